import { scrypt } from 'node:crypto'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { ShareStoreError, StoreConflictError, StoreCorruptError } from '../errors.js'
import { exportAll, importAll, type ImportedArchive } from '../store/archive.js'
import {
  newPassphraseKey,
  openPassphraseKey,
  type Kdf,
  type PassphraseKey,
} from '../store/passphrase.js'
import { openItem, sealItem } from '../store/sealed-item.js'
import { checkId, type ItemKind, type ShareStore, type StoredItem } from '../store/share-store.js'
import {
  deleteFile,
  makeDirectory,
  readFileIfThere,
  removeTemporaries,
  writeFileAtomically,
} from './atomic-file.js'
import { takeLock, type LockFile } from './lock-file.js'

export interface FileShareStoreOptions {
  /** Made with mode 0700 where it is missing. */
  readonly directory: string
  readonly passphrase: string
  /** log2 of scrypt's N for a new store, 17 (the default, 128 MiB) to 20. An existing store keeps its own. */
  readonly logN?: number
}

const folders = { key: 'keys', setup: 'setups' } as const satisfies Record<ItemKind, string>
const HEADER = 'store.vtx'
const LOCK = 'lock'

/** OpenSSL's scrypt, off the main thread. */
const nodeKdf: Kdf = (passphrase, salt, cost) =>
  new Promise((resolve, reject) => {
    scrypt(passphrase, salt, 32, { ...cost, maxmem: 256 * cost.N * cost.r }, (error, key) => {
      if (error === null) resolve(new Uint8Array(key))
      else reject(error)
    })
  })

/**
 * Keeps shares as files under a passphrase: scrypt once per opened store, then a fresh key for every write
 * (AES-256-GCM). Writes are atomic and durable on return. One process at a time may have a store open.
 */
export class FileShareStore implements ShareStore {
  readonly #directory: string
  readonly #lock: LockFile
  #key: PassphraseKey | undefined
  /** Runs one operation at a time: compare-and-swap is a read and a write. */
  #queue: Promise<unknown> = Promise.resolve()

  private constructor(directory: string, key: PassphraseKey, lock: LockFile) {
    this.#directory = directory
    this.#key = key
    this.#lock = lock
  }

  /**
   * Opens a store, or makes one in an empty directory. Close it, or end the process, to let another one open it.
   * @throws StoreLockedError while another process has it open
   * @throws WrongPassphraseError
   * @throws StoreCorruptError when there are items without the header that they were written under
   */
  static async open(options: FileShareStoreOptions): Promise<FileShareStore> {
    const { directory, passphrase } = options
    await makeDirectory(directory)
    const lock = await takeLock(join(directory, LOCK))
    try {
      for (const folder of Object.values(folders)) await makeDirectory(join(directory, folder))
      for (const folder of ['', ...Object.values(folders)])
        await removeTemporaries(join(directory, folder))
      return new FileShareStore(directory, await keyOf(directory, passphrase, options.logN), lock)
    } catch (error) {
      await lock.release()
      throw error
    }
  }

  get(kind: ItemKind, id: string): Promise<StoredItem | undefined> {
    return this.#alone(() => this.#read(kind, id))
  }

  put(kind: ItemKind, id: string, value: Uint8Array, expected: number): Promise<number> {
    return this.#alone(async () => {
      const version = (await this.#read(kind, id))?.version ?? 0
      if (version !== expected)
        throw new StoreConflictError(`the item is at version ${version}, not at ${expected}`)
      const item = { value, version: version + 1 }
      await writeFileAtomically(this.#path(kind, id), sealItem(this.#open, kind, id, item))
      return item.version
    })
  }

  list(kind: ItemKind): Promise<readonly string[]> {
    return this.#alone(async () => {
      const names = await readdir(join(this.#directory, folders[kind]))
      return names
        .filter((name) => name.endsWith('.vtx'))
        .map((name) => name.slice(0, -'.vtx'.length))
        .sort()
    })
  }

  delete(kind: ItemKind, id: string): Promise<void> {
    return this.#alone(() => deleteFile(this.#path(kind, id)))
  }

  /** Writes all keys into one encrypted file. Keep it where the store is not. */
  async exportAll(file: string, passphrase: string): Promise<void> {
    await writeFileAtomically(file, await exportAll(this, passphrase, nodeKdf))
  }

  /** Reads the keys of such a file into this store; keys that are here already stay as they are. */
  async importAll(file: string, passphrase: string): Promise<ImportedArchive> {
    const archive = await readFileIfThere(file)
    if (archive === undefined)
      throw new ShareStoreError('share_not_found', 'there is no such archive')
    return importAll(this, archive, passphrase, nodeKdf)
  }

  /** Forgets the key and lets go of the store. Idempotent. */
  async close(): Promise<void> {
    await this.#queue.catch(() => undefined)
    this.#key?.master.fill(0)
    this.#key = undefined
    await this.#lock.release()
  }

  get #open(): PassphraseKey {
    if (this.#key === undefined) throw new ShareStoreError('store_locked', 'the store is closed')
    return this.#key
  }

  #path(kind: ItemKind, id: string): string {
    return join(this.#directory, folders[kind], `${checkId(id)}.vtx`)
  }

  async #read(kind: ItemKind, id: string): Promise<StoredItem | undefined> {
    const key = this.#open
    const file = await readFileIfThere(this.#path(kind, id))
    return file && openItem(key, kind, id, file)
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#queue.then(work, work)
    this.#queue = turn.catch(() => undefined)
    return turn
  }
}

async function keyOf(
  directory: string,
  passphrase: string,
  logN: number | undefined,
): Promise<PassphraseKey> {
  const path = join(directory, HEADER)
  const header = await readFileIfThere(path)
  if (header !== undefined) return openPassphraseKey('store', header, passphrase, nodeKdf)
  for (const folder of Object.values(folders))
    if ((await readdir(join(directory, folder))).length > 0)
      throw new StoreCorruptError(`the store has items but its ${HEADER} is missing`)
  const key = await newPassphraseKey('store', passphrase, nodeKdf, logN)
  await writeFileAtomically(path, key.header)
  return key
}
