import { ed25519, ED25519_TORSION_SUBGROUP } from '@noble/curves/ed25519.js'
import { sha512 } from '@noble/hashes/sha2.js'
import { hexToBytes } from '@noble/hashes/utils.js'

/*
 * Ed25519 signatures as the strictest common verifier takes them (`verify_strict` of ed25519-dalek 2), so that no two
 * readers of this directory disagree about one:
 *
 *   1. the key is a point of the curve; neither it nor R has small order;
 *   2. S < L;
 *   3. [S]B - [k]A, encoded, is R byte for byte, k = SHA-512(R || key || message) mod L: without the cofactor, and with
 *      the one encoding that a point has.
 *
 * What libraries offer by default is less: most take keys of small order, under which one signature fits every message;
 * and some multiply the equation by the cofactor, after which a signature with a torsion component in R or in the key
 * fits here and not there.
 */

const { Point } = ed25519
const P = 2n ** 255n - 19n
const L = Point.Fn.ORDER

/**
 * Whether points 2 and 3 hold, for a key and an R that are not of small order. One implementation is
 * {@link equationHolds}; OpenSSL's verification is another, and much faster.
 * @param key 32 bytes, perhaps no point
 * @param signature 64 bytes
 */
export type Equation = (key: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean

/** What is found of a signature. */
export type Verdict = 'valid' | 'not a key' | 'not a signature'

/**
 * @param key 32 bytes
 * @param signature 64 bytes
 */
export function verifyStrict(
  key: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
  equation: Equation = equationHolds,
): Verdict {
  const r = signature.subarray(0, 32)
  if (!hasSmallOrder(key) && !hasSmallOrder(r) && equation(key, message, signature)) return 'valid'
  return pointOf(key) === undefined ? 'not a key' : 'not a signature'
}

export const equationHolds: Equation = (key, message, signature) => {
  const a = pointOf(key)
  const s = numberOf(signature.subarray(32))
  if (a === undefined || s >= L) return false
  const r = signature.subarray(0, 32)
  const k = numberOf(sha512.create().update(r).update(key).update(message).digest()) % L
  // All of it is public: there is nothing that time could tell.
  const found = Point.BASE.multiplyUnsafe(s).subtract(a.multiplyUnsafe(k)).toBytes()
  return found.every((byte, i) => byte === r[i])
}

/** The y of the points whose order divides the cofactor 8; the x of each is one of two. */
const smallOrderY: ReadonlySet<bigint> = new Set(
  ED25519_TORSION_SUBGROUP.map((point) => numberOf(hexToBytes(point)) % 2n ** 255n),
)

/** By its y alone, and whatever way it is written: with a y of P or more, or with a sign where x is 0. */
function hasSmallOrder(encoding: Uint8Array): boolean {
  return smallOrderY.has((numberOf(encoding) % 2n ** 255n) % P)
}

/** Undefined for what is no point. A y of P or more, and a sign where x is 0, are taken, as dalek takes them. */
function pointOf(encoding: Uint8Array) {
  try {
    return Point.fromBytes(encoding, true)
  } catch {
    return undefined
  }
}

/** Little-endian. */
function numberOf(bytes: Uint8Array): bigint {
  let hex = '0x'
  for (let i = bytes.length - 1; i >= 0; i--) hex += bytes[i]!.toString(16).padStart(2, '0')
  return BigInt(hex)
}
