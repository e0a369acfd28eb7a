import { gcm } from '@noble/ciphers/aes.js'
import { concatBytes, randomBytes, utf8ToBytes } from '@noble/hashes/utils.js'
import { StoreConflictError, StoreCorruptError } from '../errors.js'
import {
  HEADER_BYTES,
  newPassphraseKey,
  nobleKdf,
  openPassphraseKey,
  subkey,
  type Kdf,
} from './passphrase.js'
import { checkId, type ShareStore } from './share-store.js'

const NONCE_BYTES = 12
const MAX_KEYS = 1_000_000

/** What {@link importAll} did with each key of an archive. */
export interface ImportedArchive {
  readonly imported: readonly string[]
  /** Keys that the store had already: they stay as they are, whatever the archive holds. */
  readonly kept: readonly string[]
}

/**
 * Writes all keys of a store into one encrypted file: this party's shares, and the backups of the server's.
 * OT setups are left out: they must never be in two places.
 * @param passphrase may differ from the store's own
 */
export async function exportAll(
  store: ShareStore,
  passphrase: string,
  kdf: Kdf = nobleKdf,
): Promise<Uint8Array> {
  const ids = await store.list('key')
  const parts: Uint8Array[] = []
  for (const id of ids) {
    const item = await store.get('key', id)
    if (item === undefined) continue
    const name = utf8ToBytes(id)
    parts.push(u32(name.length), name, u32(item.value.length), item.value)
  }
  const plaintext = concatBytes(u32(parts.length / 4), ...parts)
  const { master, header } = await newPassphraseKey('archive', passphrase, kdf)
  const nonce = randomBytes(NONCE_BYTES)
  const key = subkey(master, header, 'archive')
  try {
    return concatBytes(header, nonce, gcm(key, nonce, header).encrypt(plaintext))
  } finally {
    for (const secret of [plaintext, master, key, ...parts]) secret.fill(0)
  }
}

/**
 * Puts the keys of an archive into a store. A key that the store has already is kept as it is.
 * @throws WrongPassphraseError
 * @throws StoreCorruptError when the file is damaged; nothing is imported then
 */
export async function importAll(
  store: ShareStore,
  archive: Uint8Array,
  passphrase: string,
  kdf: Kdf = nobleKdf,
): Promise<ImportedArchive> {
  const header = archive.slice(0, HEADER_BYTES)
  const { master } = await openPassphraseKey('archive', header, passphrase, kdf)
  const key = subkey(master, header, 'archive')
  const nonce = archive.slice(HEADER_BYTES, HEADER_BYTES + NONCE_BYTES)
  let plaintext: Uint8Array
  try {
    plaintext = gcm(key, nonce, header).decrypt(archive.slice(HEADER_BYTES + NONCE_BYTES))
  } catch {
    throw new StoreCorruptError('the archive is damaged')
  } finally {
    master.fill(0)
    key.fill(0)
  }
  const imported: string[] = []
  const kept: string[] = []
  try {
    for (const [id, value] of parse(plaintext)) {
      try {
        await store.put('key', id, value, 0)
        imported.push(id)
      } catch (error) {
        if (!(error instanceof StoreConflictError)) throw error
        kept.push(id)
      }
    }
  } finally {
    plaintext.fill(0)
  }
  return { imported, kept }
}

function parse(bytes: Uint8Array): [id: string, value: Uint8Array][] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const items: [string, Uint8Array][] = []
  try {
    let at = 4
    const take = () => {
      const length = view.getUint32(at)
      if (at + 4 + length > bytes.length) throw new RangeError()
      at += 4 + length
      return bytes.subarray(at - length, at)
    }
    const count = view.getUint32(0)
    if (count > MAX_KEYS) throw new RangeError()
    for (let i = 0; i < count; i++) {
      const id = checkId(new TextDecoder().decode(take()))
      items.push([id, take()])
    }
    if (at !== bytes.length) throw new RangeError()
  } catch {
    throw new StoreCorruptError('the archive is damaged')
  }
  return items
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value)
  return bytes
}
