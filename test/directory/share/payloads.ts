import { randomBytes } from 'node:crypto'
import { encodePayload, fingerprintOf } from '@vertex/directory/share'

/** Keys of somebody, as they are published. */
export function contactPayload(email = 'alice@example.com'): Uint8Array {
  const keys = {
    publicKey: new Uint8Array(randomBytes(32)),
    signingKey: new Uint8Array(randomBytes(32)),
  }
  return encodePayload({
    type: 'contact',
    identity: email,
    ...keys,
    fingerprint: fingerprintOf({ email, ...keys }),
    nonce: new Uint8Array(randomBytes(24)),
    createdAt: 1_700_000_000_000n,
    expiresAt: 1_700_000_900_000n,
  })
}
