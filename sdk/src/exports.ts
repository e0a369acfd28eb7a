export { VertexBase, type VertexOptions } from './vertex.js'
export type { Recovery, RecoveryOffer } from './context.js'
export {
  Ecdsa,
  type CreateKeyOptions,
  type ImportedBackup,
  type OpenKeyOptions,
  type VertexAccess,
} from './ecdsa.js'
export { EcdsaKey, type AtVertex } from './key.js'
export type {
  AddContactOptions,
  Contact,
  PublishContactOptions,
  PublishedContact,
} from './contacts.js'
export {
  createRecipientKey,
  Directory,
  openSealedBackup,
  primaryOfIdentity,
  type LookupOptions,
  type Party,
  type PublishOptions,
  type SealedBackup,
} from './directory.js'
export {
  createEscrowKey,
  createNameSecrets,
  escrowKeyOf,
  Names,
  type ChainPlace,
  type KeyInitSecret,
  type Name,
  type NameOptions,
  type NameSecrets,
  type PaidOptions,
} from './names.js'
export type { Head, Signer } from '@vertex/directory/sigchain'
export type { SealTo } from './sealed-export.js'
export type { Backup } from './record.js'
export type { VerifiedBackup } from './backups.js'
export { verifyDrillReport, type DrilledBackup, type DrillReport } from './drill.js'
export type { SignOptions, SignRequest, Signature, ToSign } from './signing.js'
export type { Listener, VertexEvents } from './events.js'
export type { Fetch } from './exchange.js'
export type { WebSocketConstructor, WebSocketLike } from './relay.js'
export type { Rest, RestInput, RestOptions, RestOutput } from './rest/client.js'
export type { RouteName } from './rest/routes.js'
export type { components, operations, paths } from './generated/api.js'
export type { ItemKind, ShareStore, StoredItem } from './store/share-store.js'
export { MemoryShareStore } from './store/memory.js'
export { exportAll, importAll, type ImportedArchive } from './store/archive.js'
export * from './errors.js'
export type { HashAlgo, Suite } from '@vertex/mpc'
