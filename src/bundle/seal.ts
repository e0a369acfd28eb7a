import { createCipheriv, createDecipheriv, createHash, hkdfSync } from 'node:crypto'
import { concatBytes, utf8ToBytes } from '@noble/hashes/utils.js'
import { wipe } from '@vertex/mpc'
import { u64, u8 } from '../seal/bytes.js'
import type { BackupSecret } from '../seal/index.js'

/** The cipher of a bundle's chunks. docs/spec/bundle.md, section 3. */

export const SALT_BYTES = 32
export const COMMITMENT_BYTES = 32
export const SIGNATURE_BYTES = 64
export const CHUNK_BYTES = 65_536
export const TAG_BYTES = 16

const KEY_BYTES = 32
const CIPHER = 'aes-256-gcm'
const INFO = concatBytes(utf8ToBytes('vertex/v1/bundle'), u8(0))

/** The key of one bundle, and the value that commits to it. */
export function bundleKeys(secret: BackupSecret, salt: Uint8Array, prelude: Uint8Array) {
  const info = concatBytes(INFO, createHash('sha256').update(prelude).digest())
  const both = new Uint8Array(
    hkdfSync('sha256', secret.bundleKey(), salt, info, KEY_BYTES + COMMITMENT_BYTES),
  )
  return { key: both.subarray(0, KEY_BYTES), commitment: both.slice(KEY_BYTES) }
}

/** Where a chunk stands in its file. */
export interface Place {
  readonly index: number
  readonly last: boolean
}

const nonceOf = ({ index, last }: Place) =>
  concatBytes(new Uint8Array(3), u64(index), u8(last ? 1 : 0))

export function sealChunk(key: Uint8Array, place: Place, chunk: Uint8Array): Uint8Array {
  const cipher = createCipheriv(CIPHER, key, nonceOf(place), { authTagLength: TAG_BYTES })
  const body = cipher.update(chunk)
  cipher.final()
  return concatBytes(body, cipher.getAuthTag())
}

/** Undefined for anything but what was sealed under this key for this place. */
export function openChunk(
  key: Uint8Array,
  place: Place,
  sealed: Uint8Array,
): Uint8Array | undefined {
  const tagAt = sealed.length - TAG_BYTES
  const decipher = createDecipheriv(CIPHER, key, nonceOf(place), { authTagLength: TAG_BYTES })
  decipher.setAuthTag(sealed.subarray(tagAt))
  const chunk = decipher.update(sealed.subarray(0, tagAt))
  try {
    decipher.final()
    return chunk
  } catch {
    wipe(chunk)
    return undefined
  }
}
