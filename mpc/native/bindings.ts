import { createRequire } from 'node:module'

/** The calls of `secp256k1/bindings.js` that are used here. */
export interface Bindings {
  contextRandomize(seed: Uint8Array): void
  publicKeyVerify(key: Uint8Array): boolean
  publicKeyCreate(secret: Uint8Array, compressed: boolean): Uint8Array
  publicKeyConvert(key: Uint8Array, compressed: boolean): Uint8Array
  publicKeyNegate(key: Uint8Array, compressed: boolean): Uint8Array
  publicKeyCombine(keys: Uint8Array[], compressed: boolean): Uint8Array
  publicKeyTweakMul(key: Uint8Array, tweak: Uint8Array, compressed: boolean): Uint8Array
  ecdsaRecover(
    signature: Uint8Array,
    recoveryId: number,
    digest: Uint8Array,
    compressed: boolean,
  ): Uint8Array
  ecdh(
    key: Uint8Array,
    secret: Uint8Array,
    options: {
      hashfn: (x: Uint8Array, y: Uint8Array) => Uint8Array
      xbuf: Uint8Array
      ybuf: Uint8Array
    },
    out: Uint8Array,
  ): Uint8Array
}

/**
 * libsecp256k1, or undefined where the package is not installed or has no binary for this platform. Names
 * `bindings.js` itself: the package's main entry would silently take another library's place.
 */
export function loadBindings(): Bindings | undefined {
  try {
    return createRequire(import.meta.url)('secp256k1/bindings.js') as Bindings
  } catch {
    return undefined
  }
}
