import type { Scalar } from '../curve/curve.js'

/** The order n of secp256k1 (SEC 2, section 2.4.1). */
export const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n

/** Bytes of an encoded scalar. */
export const SCALAR_BYTES = 32

/** Bytes that are reduced to one scalar: 384 bits, so the result is within 2⁻¹²⁸ of uniform. docs/spec/notation.md, N.3 */
export const WIDE_BYTES = 48

/** Bytes that are not a scalar in the one accepted encoding. */
export class InvalidScalar extends Error {
  override readonly name = 'InvalidScalar'
}

/** x mod n in 0..n-1, for any integer x. */
export function mod(x: bigint): Scalar {
  const remainder = x % ORDER
  return remainder < 0n ? remainder + ORDER : remainder
}

/** Below this, the leading bits of two numbers no longer say what their quotient is. */
const UNCERTAIN = 2 ** 25

/**
 * 1/x mod n for public x, by Euclid: how long it takes depends on x. Lehmer's way: the quotients that follow from the
 * leading 51 bits are found with plain numbers, and many of them are one step on the whole ones (Knuth, volume 2, 4.5.2,
 * algorithm L).
 * @throws RangeError for 0
 */
export function invertPublic(x: Scalar): Scalar {
  let [a, b] = [ORDER, mod(x)]
  if (b === 0n) throw new RangeError('zero has no inverse')
  // a = s·x and b = t·x mod n
  let [s, t] = [0n, 1n]
  while (b > 1n) {
    const shift = Math.max(0, Math.floor(Math.log2(Number(a))) - 50)
    let [top, next] = [Number(a >> BigInt(shift)), Number(b >> BigInt(shift))]
    // The matrix of the steps: a becomes A·a + B·b and b becomes C·a + D·b.
    let [A, B, C, D] = [1, 0, 0, 1]
    while (next > (shift === 0 ? 1 : UNCERTAIN)) {
      const quotient = Math.floor(top / next)
      // What has been cut off changes both by less than the matrix says.
      if (
        shift > 0 &&
        (quotient !== Math.floor((top + A) / (next + C)) ||
          quotient !== Math.floor((top + B) / (next + D)))
      )
        break
      ;[A, B, C, D] = [C, D, A - quotient * C, B - quotient * D]
      ;[top, next] = [next, top - quotient * next]
    }
    if (B === 0) {
      // Not one quotient is certain: this one is large.
      const quotient = a / b
      ;[a, b] = [b, a - quotient * b]
      ;[s, t] = [t, s - quotient * t]
    } else {
      const matrix = [BigInt(A), BigInt(B), BigInt(C), BigInt(D)] as const
      ;[a, b] = [matrix[0] * a + matrix[1] * b, matrix[2] * a + matrix[3] * b]
      ;[s, t] = [matrix[0] * s + matrix[1] * t, matrix[2] * s + matrix[3] * t]
    }
  }
  return mod(t)
}

/** Big-endian bytes as an integer; whole 8-byte words. */
export function readUint(bytes: Uint8Array, offset: number, length: number): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, length)
  let value = 0n
  for (let at = 0; at < length; at += 8) value = (value << 64n) | view.getBigUint64(at)
  return value
}

/** Writes 0 ≤ value < 2²⁵⁶ as 32 big-endian bytes. */
export function writeUint256(value: bigint, out: Uint8Array, offset: number): void {
  const view = new DataView(out.buffer, out.byteOffset + offset, 32)
  view.setBigUint64(0, value >> 192n)
  view.setBigUint64(8, value >> 128n)
  view.setBigUint64(16, value >> 64n)
  view.setBigUint64(24, value)
}

/** 32 bytes, big-endian. @throws RangeError unless 0 ≤ s < n */
export function encodeScalar(s: Scalar): Uint8Array {
  if (s < 0n || s >= ORDER) throw new RangeError('a scalar is 0 to n-1')
  const out = new Uint8Array(SCALAR_BYTES)
  writeUint256(s, out, 0)
  return out
}

/** Exactly 32 bytes, big-endian, 0..n-1. @throws InvalidScalar */
export function decodeScalar(bytes: Uint8Array): Scalar {
  if (bytes.length !== SCALAR_BYTES) throw new InvalidScalar('a scalar is 32 bytes')
  const value = readUint(bytes, 0, SCALAR_BYTES)
  if (value >= ORDER) throw new InvalidScalar('a scalar is less than the group order')
  return value
}

/** Exactly 32 bytes, big-endian, 1..n-1. @throws InvalidScalar */
export function decodeNonZeroScalar(bytes: Uint8Array): Scalar {
  const value = decodeScalar(bytes)
  if (value === 0n) throw new InvalidScalar('a scalar is not zero here')
  return value
}

/** Reduces at least 48 uniform bytes mod n. @throws RangeError for fewer, or no multiple of 8 */
export function reduceWide(bytes: Uint8Array): Scalar {
  if (bytes.length < WIDE_BYTES || bytes.length % 8 !== 0)
    throw new RangeError('a scalar is reduced from at least 48 bytes, in whole words')
  return readUint(bytes, 0, bytes.length) % ORDER
}

/** A scalar in 1..n-1 from 48 random bytes; the chance that it must draw again is 2⁻²⁵⁶. */
export function randomScalar(rng: (length: number) => Uint8Array): Scalar {
  for (;;) {
    const bytes = rng(WIDE_BYTES)
    const value = reduceWide(bytes)
    bytes.fill(0)
    if (value !== 0n) return value
  }
}
