import { hash_to_field } from '@noble/curves/abstract/hash-to-curve.js'
import { secp256k1, secp256k1_hasher } from '@noble/curves/secp256k1.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { readUint, writeUint256 } from '../src/math/scalar.js'
import type { Bindings } from './bindings.js'

const P = 0xfffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2fn

// RFC 9380, section 8.7: the curve E' that is 3-isogenous to secp256k1, and Z.
const A = 0x3f8731abdd661adca08a5558f0f5d272e953d363cb6f0e5d405447c01a444533n
const B = 1771n
const Z = P - 11n

// RFC 9380, appendix E.1: the isogeny map, coefficients in ascending order; both denominators are monic.
const X_NUM = [
  0x8e38e38e38e38e38e38e38e38e38e38e38e38e38e38e38e38e38e38daaaaa8c7n,
  0x07d3d4c80bc321d5b9f315cea7fd44c5d595d2fc0bf63b92dfff1044f17c6581n,
  0x534c328d23f234e6e2a413deca25caece4506144037c40314ecbd0b53d9dd262n,
  0x8e38e38e38e38e38e38e38e38e38e38e38e38e38e38e38e38e38e38daaaaa88cn,
] as const
const X_DEN = [
  0xd35771193d94918a9ca34ccbb7b640dd86cd409542f8487d9fe6b745781eb49bn,
  0xedadc6f64383dc1df7c4b2d51b54225406d36b641f5e41bbc52a56612a8c6d14n,
] as const
const Y_NUM = [
  0x4bda12f684bda12f684bda12f684bda12f684bda12f684bda12f684b8e38e23cn,
  0xc75e0c32d5cb7c0fa9d0a54b12a0a6d5647ab046d686da6fdffc90fc201d71a3n,
  0x29a6194691f91a73715209ef6512e576722830a201be2018a765e85a9ecee931n,
  0x2f684bda12f684bda12f684bda12f684bda12f684bda12f684bda12f38e38d84n,
] as const
const Y_DEN = [
  0xfffffffffffffffffffffffffffffffffffffffffffffffffffffffefffff93bn,
  0x7a06534bb8bdb49fd5e9e6632722c2989467c1bfc8e8d978dfb425d2685c2573n,
  0x6484aa716545ca2cf3a70c3fa8fe337e0a3d21162f0d6299a7bf8192bfd2a76fn,
] as const

/** One field element on its way to the curve. */
interface Candidate {
  readonly uIsOdd: bigint
  /** Numerators of x' for both choices of SSWU, over the common denominator d. */
  readonly n1: bigint
  readonly n2: bigint
  readonly d: bigint
}

/** Steps 1-8 and 17 of RFC 9380, appendix F.2: x1' = n1/d, x2' = n2/d; d = 0 is left to the caller. */
function candidate(u: bigint): Candidate {
  const zu2 = (Z * ((u * u) % P)) % P
  const t = (zu2 * zu2 + zu2) % P
  const n1 = (B * (t + 1n)) % P
  return { uIsOdd: u & 1n, n1, n2: (zu2 * n1) % P, d: (A * (P - t)) % P }
}

interface Mapped {
  /** Numerator and denominator of x on secp256k1. */
  readonly xNum: bigint
  readonly xDen: bigint
  /** y = y'·yNum/yDen */
  readonly yNum: bigint
  readonly yDen: bigint
}

/** The isogeny at x' = n/d, with numerators and denominators apart. */
function isogeny(n: bigint, d: bigint): Mapped {
  const n2 = (n * n) % P
  const n3 = (n2 * n) % P
  const d2 = (d * d) % P
  const d3 = (d2 * d) % P
  const n2d = (n2 * d) % P
  const nd2 = (n * d2) % P
  return {
    xNum: (X_NUM[3] * n3 + X_NUM[2] * n2d + X_NUM[1] * nd2 + X_NUM[0] * d3) % P,
    xDen: (((n2 + X_DEN[1] * ((n * d) % P) + X_DEN[0] * d2) % P) * d) % P,
    yNum: (Y_NUM[3] * n3 + Y_NUM[2] * n2d + Y_NUM[1] * nd2 + Y_NUM[0] * d3) % P,
    yDen: (n3 + Y_DEN[2] * n2d + Y_DEN[1] * nd2 + Y_DEN[0] * d3) % P,
  }
}

/**
 * 1/x for every x, by one inversion (Montgomery), which is Fermat's: the same operations whatever the batch.
 * Undefined when one of them is 0.
 */
function invertAll(values: readonly bigint[]): bigint[] | undefined {
  const prefix: bigint[] = []
  let product = 1n
  for (const value of values) {
    prefix.push(product)
    product = (product * value) % P
  }
  if (product === 0n) return undefined
  let inverse = secp256k1.Point.Fp.pow(product, P - 2n)
  const out = new Array<bigint>(values.length)
  for (let i = values.length - 1; i >= 0; i--) {
    out[i] = (inverse * prefix[i]!) % P
    inverse = (inverse * values[i]!) % P
  }
  return out
}

const fieldOptions = { p: P, m: 1, k: 128, expand: 'xmd', hash: sha256 } as const

/** As the reference does it: for the inputs (never met by chance) at which the isogeny or SSWU is exceptional. */
const reference = (message: Uint8Array, dst: Uint8Array): Uint8Array =>
  secp256k1_hasher.hashToCurve(message, { DST: dst }).toBytes(false)

/**
 * RFC 9380 secp256k1_XMD:SHA-256_SSWU_RO_, with libsecp256k1 taking the square roots and one inversion for the whole
 * batch. x' lies on E' exactly when its image lies on secp256k1, because y is y' times a rational function of x';
 * so SSWU's square test and root, done on E' in the RFC, are done on secp256k1, where the library does them in
 * fixed time; the sign is then settled on E' as the RFC wants. Same operations for every input. Answers the
 * 65 bytes 04 ‖ x ‖ y for each message.
 */
export function hashMany(
  lib: Bindings,
  add: (a: Uint8Array, b: Uint8Array) => Uint8Array,
  messages: readonly Uint8Array[],
  dst: Uint8Array,
): Uint8Array[] {
  const candidates = messages.flatMap((message) =>
    hash_to_field(message, 2, { DST: dst, ...fieldOptions }).map(([u]) => candidate(u!)),
  )
  const mapped = candidates.flatMap(({ n1, n2, d }) => [isogeny(n1, d), isogeny(n2, d)])
  const inverses = invertAll(mapped.flatMap(({ xDen, yNum }) => [xDen, yNum]))
  if (inverses === undefined) return messages.map((message) => reference(message, dst))
  const points = candidates.map(({ uIsOdd }, k) => {
    const first = compressed(mapped[2 * k]!, inverses[4 * k]!)
    const second = compressed(mapped[2 * k + 1]!, inverses[4 * k + 2]!)
    const isSquare = Number(lib.publicKeyVerify(first))
    const mask = -isSquare & 0xff
    const point = lib.publicKeyConvert(
      second.map((byte, i) => byte ^ (mask & (byte ^ first[i]!))),
      false,
    )
    // sgn0(y') = sgn0(u), with y' = y·yDen/yNum at the selected x'
    const y = readUint(point, 33, 32)
    const parities = [0, 1].map((which) => {
      const { yDen } = mapped[2 * k + which]!
      return Number(((((y * yDen) % P) * inverses[4 * k + 2 * which + 1]!) % P) & 1n)
    })
    const parity = parities[1]! ^ (-isSquare & (parities[0]! ^ parities[1]!))
    const flip = -(parity ^ Number(uIsOdd)) & 0xff
    const negative = new Uint8Array(32)
    writeUint256(P - y, negative, 0)
    for (let i = 0; i < 32; i++) point[33 + i]! ^= flip & (point[33 + i]! ^ negative[i]!)
    return point
  })
  return messages.map((_, i) => add(points[2 * i]!, points[2 * i + 1]!))
}

/** 02 ‖ x */
function compressed(at: Mapped, inverse: bigint): Uint8Array {
  const out = new Uint8Array(33)
  out[0] = 2
  writeUint256((at.xNum * inverse) % P, out, 1)
  return out
}
