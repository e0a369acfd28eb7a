import { createPublicKey, verify } from 'node:crypto'
import type { Equation } from '@vertex/directory/keypackage'

/** A raw Ed25519 key as SubjectPublicKeyInfo, RFC 8410. */
const SPKI = Buffer.from('302a300506032b6570032100', 'hex')

/** OpenSSL's verification: without the cofactor, S below L, R byte for byte. Keys of small order it takes. */
export const byOpenssl: Equation = (key, message, signature) => {
  const spki = Buffer.concat([SPKI, key])
  try {
    const publicKey = createPublicKey({ key: spki, format: 'der', type: 'spki' })
    return verify(null, message, publicKey, signature)
  } catch {
    // What is no key may be found out at once, depending on the version.
    return false
  }
}
