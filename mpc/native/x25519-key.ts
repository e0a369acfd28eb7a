import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto'

/**
 * As a JSON Web Key (RFC 8037) a secret is read ten times faster than as DER: OpenSSL takes its 32 bytes as they are.
 * The public key in it, `x`, is not known here; Node computes its own.
 * The price is the secret as text, which stays in memory until it is collected. So only the long-lived secrets of
 * identities come this way, which a Vertex has in memory whenever it uses them; ephemeral ones are made in OpenSSL.
 */
export function fromJwk(secret: Uint8Array): KeyObject {
  const d = bufferOf(secret).toString('base64url')
  return createPrivateKey({ key: { kty: 'OKP', crv: 'X25519', x: '', d }, format: 'jwk' })
}

/** The same key, the slow way. */
export function fromDer(secret: Uint8Array): KeyObject {
  // RFC 8410: what stands before the 32 bytes of an X25519 key in PKCS #8.
  const der = Buffer.concat([Buffer.from('302e020100300506032b656e04220420', 'hex'), secret])
  try {
    return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  } finally {
    der.fill(0)
  }
}

/** The 32 bytes of the public key. From a public key object, so that the secret is not written out with it. */
export function publicBytes(key: KeyObject): Uint8Array {
  const { x } = (key.type === 'private' ? createPublicKey(key) : key).export({ format: 'jwk' })
  return Uint8Array.from(Buffer.from(x!, 'base64url'))
}

/** A Node that wants to be told `x`, or believes what it is told, gets DER. */
export const readPrivateKey = computesX() ? fromJwk : fromDer

function computesX(): boolean {
  try {
    const own = publicBytes(fromJwk(new Uint8Array(32).fill(7)))
    return bufferOf(own).toString('base64url') === 'E75P6uryBMf9M1j8nAByGIHRdCeBKCJ-xnTzf3_pe20'
  } catch {
    return false
  }
}

/** The same bytes in the other type; nothing is copied. */
export function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
}
