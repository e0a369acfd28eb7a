import { createHmac } from 'node:crypto'
import { createRequire } from 'node:module'

const libsecp256k1 = createRequire(import.meta.url)('secp256k1') as {
  publicKeyTweakAdd(publicKey: Uint8Array, tweak: Uint8Array, compressed: boolean): Uint8Array
}

/** BIP-32 CKDpub along a path, from Node's HMAC and libsecp256k1. */
export function HDKey(publicKey: string, chainCode: string, path: readonly number[]): Uint8Array {
  let point: Uint8Array = Buffer.from(publicKey, 'hex')
  let chain: Uint8Array = Buffer.from(chainCode, 'hex')
  for (const index of path) {
    const number = Buffer.alloc(4)
    number.writeUInt32BE(index)
    const I = createHmac('sha512', chain).update(point).update(number).digest()
    point = libsecp256k1.publicKeyTweakAdd(point, new Uint8Array(I.subarray(0, 32)), true)
    chain = I.subarray(32)
  }
  return new Uint8Array(point)
}
