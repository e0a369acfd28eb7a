/** What only Node can do: shares in files. */
export { FileShareStore, type FileShareStoreOptions } from './node/file-share-store.js'
export {
  ShareStoreError,
  StoreConflictError,
  StoreCorruptError,
  StoreLockedError,
  WrongPassphraseError,
} from './errors.js'
