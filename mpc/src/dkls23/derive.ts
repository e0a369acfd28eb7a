import { hmac } from '@noble/hashes/hmac.js'
import { sha512 } from '@noble/hashes/sha2.js'
import { bytesToNumberBE } from '@noble/curves/utils.js'
import { concatBytes, u32 } from '../bytes.js'
import type { Curve, Point, Scalar } from '../curve/curve.js'
import { mod, ORDER } from '../math/scalar.js'

/** A public key below another. */
export interface DerivedKey {
  /** 33 bytes, compressed. */
  readonly publicKey: Uint8Array
  /** The same, in the form of the curve's backend. */
  readonly point: Point
  /** Of the derived key, 32 bytes. */
  readonly chainCode: Uint8Array
  /** What the derived key's secret is ahead of the first key's, mod n. Public, as the path and both keys are. */
  readonly tweak: Scalar
}

/** A path that is no non-hardened BIP-32 path. The caller can mend it. */
export class InvalidPath extends RangeError {
  override readonly name = 'InvalidPath'
}

/** BIP-32 has no key at this path (chance below 2^-127). Take another index. */
export class NoSuchChild extends Error {
  override readonly name = 'NoSuchChild'
}

/** The depth of a BIP-32 key is one byte. */
const MAX_DEPTH = 255
const HARDENED = 2 ** 31

/**
 * Non-hardened BIP-32 derivation (CKDpub) along `path`. Only the public key and chain code are needed, so every party
 * and anyone else they are given to derives the same. docs/spec/derive.md, steps 1–5
 * @throws InvalidPath for more than 255 levels or an index that is not 0..2^31-1
 * @throws NoSuchChild when I_L is 0 or at least n, or the derived key would be the identity
 */
export function derivePublicKey(
  curve: Curve,
  publicKey: Uint8Array,
  chainCode: Uint8Array,
  path: readonly number[],
): DerivedKey {
  checkPath(path) // 1
  let K = curve.decode(publicKey)
  let encoded: Uint8Array = publicKey.slice()
  let c: Uint8Array = chainCode.slice()
  let tweak = 0n
  for (const i of path) {
    // 2  I ← HMAC-SHA512(c, ser_P(K) ‖ ser_32(i))
    const I = hmac(sha512, c, concatBytes(encoded, u32(i)))
    const I_L = childTweak(I.subarray(0, 32)) // ★ 3
    // 4  K ← I_L·G + K, c ← I_R; ★ K ≠ O
    K = curve.add(curve.mulBase(I_L), K)
    if (curve.isIdentity(K)) throw new NoSuchChild(`there is no key at index ${i}`)
    encoded = curve.encode(K)
    c = I.slice(32)
    tweak = mod(tweak + I_L) // 5  δ ← δ + I_L
  }
  return { publicKey: encoded, point: K, chainCode: c, tweak }
}

/**
 * I_L as a scalar. docs/spec/derive.md, step 3. BIP-32 calls I_L ≥ n invalid; reducing it would give a key that no
 * wallet derives. 0 would give the parent under another name.
 * @throws NoSuchChild for 0 or anything from n
 */
export function childTweak(I_L: Uint8Array): Scalar {
  const value = bytesToNumberBE(I_L)
  if (value === 0n || value >= ORDER) throw new NoSuchChild('there is no key at this index')
  return value
}

/** @throws InvalidPath */
export function checkPath(path: readonly number[]): void {
  if (path.length > MAX_DEPTH) throw new InvalidPath(`a path has at most ${MAX_DEPTH} levels`)
  for (const i of path)
    if (!Number.isInteger(i) || i < 0 || i >= HARDENED)
      throw new InvalidPath(
        `a path index is 0 to ${HARDENED - 1}: hardened derivation is not possible`,
      )
}
