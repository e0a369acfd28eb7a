import { gcm } from '@noble/ciphers/aes.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { concatBytes, randomBytes, utf8ToBytes } from '@noble/hashes/utils.js'
import { StoreCorruptError } from '../errors.js'
import { subkey, type PassphraseKey } from './passphrase.js'
import type { ItemKind, StoredItem } from './share-store.js'

const MAGIC = utf8ToBytes('VTXITEM1')
const kinds = { key: 1, setup: 2 } as const
const SALT_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16

/**
 * One item as a file: magic ‖ SHA-256(store header) ‖ kind ‖ id length ‖ id ‖ version ‖ salt ‖ nonce, all of which is
 * the associated data, then AES-256-GCM. Every write has its own key, by HKDF from a fresh salt.
 */
export function sealItem(
  key: PassphraseKey,
  kind: ItemKind,
  id: string,
  item: StoredItem,
): Uint8Array {
  const salt = randomBytes(SALT_BYTES)
  const nonce = randomBytes(NONCE_BYTES)
  const head = concatBytes(prefix(key, kind, id), u64(item.version), salt, nonce)
  const itemKey = subkey(key.master, salt, 'item')
  try {
    return concatBytes(head, gcm(itemKey, nonce, head).encrypt(item.value))
  } finally {
    itemKey.fill(0)
  }
}

/** @throws StoreCorruptError unless the file is whole and was written as this kind and id under this key */
export function openItem(
  key: PassphraseKey,
  kind: ItemKind,
  id: string,
  file: Uint8Array,
): StoredItem {
  const start = prefix(key, kind, id)
  const headBytes = start.length + 8 + SALT_BYTES + NONCE_BYTES
  const corrupt = () => new StoreCorruptError(`the stored ${kind} ${id} is damaged`)
  if (file.length < headBytes + TAG_BYTES) throw corrupt()
  const head = file.slice(0, headBytes)
  const salt = head.slice(start.length + 8, start.length + 8 + SALT_BYTES)
  const itemKey = subkey(key.master, salt, 'item')
  try {
    if (!start.every((byte, i) => head[i] === byte)) throw corrupt()
    const value = gcm(itemKey, head.slice(-NONCE_BYTES), head).decrypt(file.slice(headBytes))
    const view = new DataView(head.buffer, head.byteOffset + start.length, 8)
    return { value, version: Number(view.getBigUint64(0)) }
  } catch {
    throw corrupt()
  } finally {
    itemKey.fill(0)
  }
}

function prefix(key: PassphraseKey, kind: ItemKind, id: string): Uint8Array {
  const name = utf8ToBytes(id)
  return concatBytes(MAGIC, sha256(key.header), Uint8Array.of(kinds[kind], name.length), name)
}

function u64(value: number): Uint8Array {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value))
  return bytes
}
