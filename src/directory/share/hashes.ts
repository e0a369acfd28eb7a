import { createHash, createHmac } from 'node:crypto'

/** What is kept of a token, and what is the same on all servers. docs/spec/share-codes.md, 7.3 */
function stableHash(domain: string, value: string | Uint8Array): Buffer {
  const hash = createHash('sha256').update('lockbox-key-server-stable-hash-v1').update(domain)
  return hash.update(value).digest().subarray(0, 16)
}

export const deleteTokenHash = (token: Uint8Array) => stableHash('delete-token', token)

/** @param token as it stands in the link */
export const emailTokenHash = (token: string) => stableHash('email-verification-token', token)

interface Attested {
  readonly code: string
  readonly email: string
  readonly verifiedAt: number
  readonly expiresAt: number
}

/** What only the servers with this secret can make or check. 8.5 */
export function attestationOf(secret: Uint8Array, attested: Attested): Buffer {
  const { code, email, verifiedAt, expiresAt } = attested
  const times = Buffer.alloc(16)
  times.writeBigUInt64BE(BigInt(verifiedAt))
  times.writeBigUInt64BE(BigInt(expiresAt), 8)
  return createHash('sha256')
    .update(secret)
    .update('email-verification-attestation-v1')
    .update(code)
    .update(email)
    .update(times)
    .digest()
}

/** In the place of an address in what is counted. 9.4 */
export const countedAs = (secret: Uint8Array, kind: 'email' | 'source', who: string): string =>
  createHmac('sha256', secret).update(`${kind}:${who}`).digest('hex')

/** What the log says of a verified address. 10.1 */
export function verificationDigest(payload: Uint8Array, verifiedAt: number): Buffer {
  const time = Buffer.alloc(8)
  time.writeBigUInt64BE(BigInt(verifiedAt))
  return createHash('sha256').update(time).update(payload).digest()
}
