import { gcm } from '@noble/ciphers/aes.js'
import { hkdf } from '@noble/hashes/hkdf.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { concatBytes, randomBytes, utf8ToBytes } from '@noble/hashes/utils.js'
import { wipe } from '@vertex/mpc'
import { SealedValueInvalid, type RowIdentity, type RowSeal } from '../vault/ports.js'
import { u32, u8 } from './bytes.js'
import type { StorageKey } from './hierarchy.js'

const FORMAT = 1
const SALT_BYTES = 32
const TAG_BYTES = 16
/** The key is used once, for this value: there is nothing that a nonce could tell apart. */
const NONCE = new Uint8Array(12)

/**
 * Seals values at rest: version (1) ‖ salt (32) ‖ ciphertext ‖ tag (16), under a key of its own for every write, with
 * the place of the value as associated data. docs/spec/key-hierarchy.md, section 6.
 */
export function rowSeal(storageKey: StorageKey): RowSeal {
  const cipher = (row: RowIdentity, salt: Uint8Array) => {
    const place = placeOf(row)
    const info = concatBytes(utf8ToBytes('vertex/v1/row'), u8(0), sha256(place))
    const key = hkdf(sha256, storageKey.rowsKey(), salt, info, 32)
    return { key, aead: gcm(key, NONCE, place) }
  }
  return {
    seal(row, plaintext) {
      const salt = randomBytes(SALT_BYTES)
      const { key, aead } = cipher(row, salt)
      try {
        return concatBytes(u8(FORMAT), salt, aead.encrypt(plaintext))
      } finally {
        wipe(key)
      }
    },
    open(row, sealed) {
      if (sealed.length < 1 + SALT_BYTES + TAG_BYTES || sealed[0] !== FORMAT)
        throw new SealedValueInvalid(row.table, row.column)
      const { key, aead } = cipher(row, sealed.slice(1, 1 + SALT_BYTES))
      try {
        return aead.decrypt(sealed.slice(1 + SALT_BYTES))
      } catch {
        throw new SealedValueInvalid(row.table, row.column)
      } finally {
        wipe(key)
      }
    },
  }
}

/** Each name with its length before it, so that no two places give the same bytes. */
function placeOf({ table, id, column }: RowIdentity): Uint8Array {
  const names = [table, id, column].map(utf8ToBytes)
  return concatBytes(u8(FORMAT), ...names.flatMap((name) => [u32(name.length), name]))
}
