import { createPublicKey, verify } from 'node:crypto'
import { createRequire } from 'node:module'

const libsecp256k1 = createRequire(import.meta.url)('secp256k1') as {
  ecdsaVerify(signature: Uint8Array, digest: Uint8Array, publicKey: Uint8Array): boolean
  ecdsaRecover(
    signature: Uint8Array,
    v: number,
    digest: Uint8Array,
    compressed: boolean,
  ): Uint8Array
}

/** SubjectPublicKeyInfo of a compressed secp256k1 point, up to the point. */
const SPKI = Buffer.from('3036301006072a8648ce3d020106052b8104000a032200', 'hex')

/** OpenSSL's opinion of a DER signature over SHA-256 of a message. */
export function opensslVerifies(
  publicKey: Uint8Array,
  message: Uint8Array,
  der: Uint8Array,
): boolean {
  const key = createPublicKey({
    key: Buffer.concat([SPKI, publicKey]),
    format: 'der',
    type: 'spki',
  })
  return verify('sha256', message, key, der)
}

/** libsecp256k1's opinion of a signature over 32 bytes, and of its recovery id. */
export function libsecpVerifies(
  publicKey: Uint8Array,
  digest: Uint8Array,
  signature: { r: Uint8Array; s: Uint8Array; v: number },
): boolean {
  const rs = new Uint8Array([...signature.r, ...signature.s])
  if (!libsecp256k1.ecdsaVerify(rs, digest, publicKey)) return false
  const recovered = libsecp256k1.ecdsaRecover(rs, signature.v, digest, true)
  return Buffer.from(recovered).equals(publicKey)
}
