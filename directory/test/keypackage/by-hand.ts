import { ed25519, ED25519_TORSION_SUBGROUP } from '@noble/curves/ed25519.js'
import { sha512 } from '@noble/hashes/sha2.js'
import { hexToBytes } from '@noble/hashes/utils.js'

/*
 * Signatures that no honest signer makes, from the equation itself: with torsion in the key, in R or in both, and
 * points written in ways that are not theirs.
 */

export const { Point } = ed25519
export type PointOf = InstanceType<typeof Point>
export const P = 2n ** 255n - 19n
export const L = Point.Fn.ORDER
export const ZERO = Point.ZERO

/** The points whose order divides 8. */
export const torsion: readonly PointOf[] = ED25519_TORSION_SUBGROUP.map((hex) =>
  Point.fromBytes(hexToBytes(hex)),
)
/** One of order 8. */
export const T = torsion[1]!

export function bytesOf(value: bigint): Uint8Array {
  const bytes = new Uint8Array(32)
  for (let i = 0; i < 32; i++) bytes[i] = Number((value >> BigInt(8 * i)) & 255n)
  return bytes
}

export function numberOf(bytes: Uint8Array): bigint {
  return bytes.reduceRight((number, byte) => number * 256n + BigInt(byte), 0n)
}

/** Every way of writing a point that decoders are known to take, its own first. */
export function encodings(point: PointOf): Uint8Array[] {
  const own = point.toBytes()
  const sign = BigInt(own[31]! >> 7)
  const y = numberOf(own) % 2n ** 255n
  const ys = [y, ...(y + P < 2n ** 255n ? [y + P] : [])]
  const signs = point.x === 0n ? [0n, 1n] : [sign]
  return ys.flatMap((each) => signs.map((bit) => bytesOf(each + bit * 2n ** 255n)))
}

export const secret = 7_777_777_777_777_777_777n
export const key = Point.BASE.multiply(secret)
const nonce = 5_555_555_555_555_555_555n

export function challenge(r: Uint8Array, a: Uint8Array, message: Uint8Array): bigint {
  return numberOf(sha512(Uint8Array.from([...r, ...a, ...message]))) % L
}

export interface Made {
  readonly key: Uint8Array
  readonly message: Uint8Array
  readonly signature: Uint8Array
  /** The challenge, which decides whether torsion in the key shows. */
  readonly k: bigint
}

/** [S]B = rB + [k]aB for these a and r, whatever is added to the key and to R. */
export function make(
  message: Uint8Array,
  add: {
    readonly toKey?: PointOf
    readonly toR?: PointOf
    readonly a?: bigint
    readonly r?: bigint
  },
): Made {
  const a = add.a ?? secret
  const r = add.r ?? nonce
  const times = (scalar: bigint) => (scalar === 0n ? ZERO : Point.BASE.multiply(scalar))
  const publicKey = times(a)
    .add(add.toKey ?? ZERO)
    .toBytes()
  const R = times(r)
    .add(add.toR ?? ZERO)
    .toBytes()
  const k = challenge(R, publicKey, message)
  const s = (r + k * a) % L
  return { key: publicKey, message, signature: Uint8Array.from([...R, ...bytesOf(s)]), k }
}

/** The first of the messages 0, 1, 2, … whose signature is as wanted. */
export function find(add: Parameters<typeof make>[1], wanted: (made: Made) => boolean): Made {
  for (let i = 0; i < 1000; i++) {
    const made = make(Uint8Array.of(i & 255, i >> 8), add)
    if (wanted(made)) return made
  }
  throw new Error('none of a thousand messages will do')
}
