import { createPublicKey, verify } from 'node:crypto'
import type { Equation } from '@vertex/directory/keypackage'

/** OpenSSL's verification: without the cofactor, S below L, R byte for byte. Keys of small order it takes. */
export const byOpenssl: Equation = (key, message, signature) => {
  // As a JWK, because a key in DER is looked at by many decoders before one takes it.
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: Buffer.from(key).toString('base64url') }
  try {
    return verify(null, message, createPublicKey({ key: jwk, format: 'jwk' }), signature)
  } catch {
    // What is no key may be found out at once, depending on the version.
    return false
  }
}
