import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto'
import { concatBytes, utf8ToBytes } from '@noble/hashes/utils.js'
import { wipe } from '@vertex/mpc'
import { SealedValueInvalid, type RowIdentity, type RowSeal } from '../vault/ports.js'
import { u32, u8 } from './bytes.js'
import type { StorageKey } from './hierarchy.js'

const FORMAT = 1
const SALT_BYTES = 32
const TAG_BYTES = 16
const KEY_BYTES = 32
const CIPHER = 'aes-256-gcm'
/** The key is used once, for this value: there is nothing that a nonce could tell apart. */
const NONCE = new Uint8Array(12)
const INFO = concatBytes(utf8ToBytes('vertex/v1/row'), u8(0))

/**
 * Seals values at rest: version (1) ‖ salt (32) ‖ ciphertext ‖ tag (16), under a key of its own for every write, with
 * the place of the value as associated data. docs/spec/key-hierarchy.md, section 6. With Node's own ciphers: every
 * signature opens a share and an OT setup of 16 kB.
 */
export function rowSeal(storageKey: StorageKey): RowSeal {
  const keyFor = (place: Uint8Array, salt: Uint8Array) => {
    const info = concatBytes(INFO, createHash('sha256').update(place).digest())
    return new Uint8Array(hkdfSync('sha256', storageKey.rowsKey(), salt, info, KEY_BYTES))
  }
  return {
    seal(row, plaintext) {
      const place = placeOf(row)
      const salt = randomBytes(SALT_BYTES)
      const key = keyFor(place, salt)
      try {
        const cipher = createCipheriv(CIPHER, key, NONCE, { authTagLength: TAG_BYTES })
        cipher.setAAD(place)
        const body = cipher.update(plaintext)
        cipher.final()
        return concatBytes(u8(FORMAT), salt, body, cipher.getAuthTag())
      } finally {
        wipe(key)
      }
    },
    open(row, sealed) {
      const invalid = () => new SealedValueInvalid(row.table, row.column)
      if (sealed.length < 1 + SALT_BYTES + TAG_BYTES || sealed[0] !== FORMAT) throw invalid()
      const tagAt = sealed.length - TAG_BYTES
      const place = placeOf(row)
      const key = keyFor(place, sealed.subarray(1, 1 + SALT_BYTES))
      try {
        const decipher = createDecipheriv(CIPHER, key, NONCE, { authTagLength: TAG_BYTES })
        decipher.setAAD(place)
        decipher.setAuthTag(sealed.subarray(tagAt))
        const plaintext = decipher.update(sealed.subarray(1 + SALT_BYTES, tagAt))
        try {
          decipher.final()
        } catch {
          wipe(plaintext)
          throw invalid()
        }
        return new Uint8Array(plaintext.buffer, plaintext.byteOffset, plaintext.byteLength)
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
