import { createPublicKey, verify } from 'node:crypto'

/**
 * Checks a signature with OpenSSL, which has no part in making it: ECDSA on secp256k1 over SHA-256 of the message.
 * @param publicKey 33 bytes, compressed
 * @param der the signature, DER
 */
export function verifiesWithOpenssl(
  publicKey: Uint8Array,
  message: Uint8Array,
  der: Uint8Array,
): boolean {
  // SubjectPublicKeyInfo of a compressed secp256k1 key: fixed bytes, then the point (RFC 5480, section 2).
  const prefix = Buffer.from('3036301006072a8648ce3d020106052b8104000a032200', 'hex')
  const key = createPublicKey({
    key: Buffer.concat([prefix, publicKey]),
    format: 'der',
    type: 'spki',
  })
  return verify('sha256', message, { key, dsaEncoding: 'der' }, der)
}
