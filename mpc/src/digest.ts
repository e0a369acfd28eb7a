import { keccak_256 } from '@noble/hashes/sha3.js'
import { sha256 } from '@noble/hashes/sha2.js'

/** How a message becomes the 32 bytes that are signed. `none`: the message is the digest. */
export const hashAlgos = ['sha256', 'keccak256', 'sha256d', 'none'] as const
export type HashAlgo = (typeof hashAlgos)[number]

/**
 * The 32-byte digest that is signed. Nothing is ever padded or truncated.
 * @throws RangeError when `none` is given anything but 32 bytes
 */
export function digestOf(message: Uint8Array, algo: HashAlgo): Uint8Array {
  switch (algo) {
    case 'sha256':
      return sha256(message)
    case 'keccak256':
      return keccak_256(message)
    case 'sha256d':
      return sha256(sha256(message))
    case 'none':
      if (message.length !== 32)
        throw new RangeError('with hash_algo none the message is exactly 32 bytes')
      return message
  }
}
