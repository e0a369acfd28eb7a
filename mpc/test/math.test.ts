import { blake3 } from '@noble/hashes/blake3.js'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { nobleCurve } from '../src/curve/noble.js'
import { referenceKernel } from '../src/kernel/reference.js'
import {
  addSelected,
  combineRows,
  gadgetProducts,
  gadgetSums,
  maskInputs,
} from '../src/kernel/scalar-rows.js'
import { transpose } from '../src/kernel/transpose.js'
import { multiply, xorInto } from '../src/math/gf128.js'
import {
  evaluate,
  evaluateInExponent,
  interpolateInExponent,
  lagrangeAtZero,
} from '../src/math/polynomial.js'
import {
  InvalidScalar,
  ORDER,
  decodeNonZeroScalar,
  decodeScalar,
  encodeScalar,
  invertPublic,
  mod,
  randomScalar,
  reduceWide,
} from '../src/math/scalar.js'
import { partyIndex, type PartyIndex } from '../src/party.js'
import { systemRng } from '../src/rng.js'
import { bit } from './support/ot.js'

const scalars = fc.bigInt({ min: 0n, max: ORDER - 1n })
const blocks = fc.uint8Array({ minLength: 16, maxLength: 16 })
const toBig = (bytes: Uint8Array) => BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
const big = (value: bigint, length = 32) =>
  Uint8Array.from(Buffer.from(value.toString(16).padStart(2 * length, '0'), 'hex'))
const flat = (values: readonly bigint[]) => Uint8Array.from(values.flatMap((v) => [...big(v)]))

describe('scalars', () => {
  it('survive encoding and decoding', () => {
    fc.assert(
      fc.property(scalars, (s) => {
        expect(encodeScalar(s)).toEqual(big(s))
        expect(decodeScalar(encodeScalar(s))).toBe(s)
      }),
    )
  })

  it.each([
    ['n', big(ORDER)],
    ['n + 1', big(ORDER + 1n)],
    ['all ones', new Uint8Array(32).fill(255)],
    ['31 bytes', new Uint8Array(31)],
    ['33 bytes', new Uint8Array(33)],
    ['nothing', new Uint8Array()],
  ])('are not decoded from %s', (_, bytes) => {
    expect(() => decodeScalar(bytes)).toThrow(InvalidScalar)
  })

  it('decode n − 1, and zero only where zero is allowed', () => {
    expect(decodeScalar(big(ORDER - 1n))).toBe(ORDER - 1n)
    expect(decodeScalar(new Uint8Array(32))).toBe(0n)
    expect(() => decodeNonZeroScalar(new Uint8Array(32))).toThrow(InvalidScalar)
    expect(decodeNonZeroScalar(big(1n))).toBe(1n)
  })

  it('refuse to be encoded out of range', () => {
    expect(() => encodeScalar(ORDER)).toThrow(RangeError)
    expect(() => encodeScalar(-1n)).toThrow(RangeError)
  })

  it('are reduced from 48 bytes, never from fewer', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 48, maxLength: 48 }), (wide) => {
        expect(reduceWide(wide)).toBe(toBig(wide) % ORDER)
      }),
    )
    expect(() => reduceWide(new Uint8Array(47))).toThrow(RangeError)
    expect(() => reduceWide(new Uint8Array(40))).toThrow(RangeError)
  })

  it('have inverses, all but zero', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 1n, max: ORDER - 1n }), (s) => {
        expect(mod(s * invertPublic(s))).toBe(1n)
      }),
      { numRuns: 20 },
    )
    // Quotients of all sizes, the first of them and in between, and numbers that are short
    for (let i = 0n; i < 256n; i++)
      for (const d of [-3n, -1n, 0n, 1n, 2n])
        for (const x of [mod((1n << i) + d), mod(-(1n << i) - d), ORDER / ((1n << i) + 7n) + d])
          if (mod(x) !== 0n) expect(mod(x * invertPublic(x))).toBe(1n)
    expect(() => invertPublic(0n)).toThrow(RangeError)
    expect(() => invertPublic(ORDER)).toThrow(RangeError)
  })

  it('are drawn again when the source gives zero', () => {
    const answers = [new Uint8Array(48), big(ORDER, 48), big(7n, 48)]
    expect(randomScalar(() => answers.shift()!)).toBe(7n)
  })
})

describe('polynomials', () => {
  const someParties = fc.uniqueArray(fc.integer({ min: 1, max: 32 }), {
    minLength: 1,
    maxLength: 5,
  })

  it('are interpolated at zero from as many points as they have coefficients', () => {
    fc.assert(
      fc.property(someParties, fc.array(scalars, { minLength: 5, maxLength: 5 }), (who, all) => {
        const parties = who.map(partyIndex)
        const coefficients = all.slice(0, parties.length)
        const sum = parties.reduce(
          (total, i) => total + lagrangeAtZero(i, parties) * evaluate(coefficients, i),
          0n,
        )
        expect(mod(sum)).toBe(coefficients[0])
      }),
    )
  })

  it('evaluate in the exponent as they do in the clear, and interpolate back', () => {
    const coefficients = [3n, 5n, ORDER - 2n]
    const F = coefficients.map((c) => nobleCurve.mulBase(c))
    const parties = [2, 5, 9].map(partyIndex)
    const points = new Map<PartyIndex, ReturnType<typeof nobleCurve.mulBase>>()
    for (const i of parties) {
      const P = evaluateInExponent(nobleCurve, F, i)
      expect(nobleCurve.equals(P, nobleCurve.mulBase(evaluate(coefficients, i)))).toBe(true)
      points.set(i, P)
    }
    expect(nobleCurve.equals(interpolateInExponent(nobleCurve, points), F[0]!)).toBe(true)
  })

  it('refuse a party twice, a stranger, and nothing at all', () => {
    const [one, two] = [partyIndex(1), partyIndex(2)]
    expect(() => lagrangeAtZero(one, [one, one])).toThrow(RangeError)
    expect(() => lagrangeAtZero(two, [one])).toThrow(RangeError)
    expect(() => evaluate([], one)).toThrow(RangeError)
    expect(() => evaluateInExponent(nobleCurve, [], one)).toThrow(RangeError)
    expect(() => interpolateInExponent(nobleCurve, new Map())).toThrow(RangeError)
  })
})

/** GF(2¹²⁸) the slow way, bit i the coefficient of xⁱ. */
function slowProduct(a: Uint8Array, b: Uint8Array): Uint8Array {
  const number = (bytes: Uint8Array) => toBig(bytes.slice().reverse())
  let product = 0n
  for (let i = 0n; i < 128n; i++) if ((number(b) >> i) & 1n) product ^= number(a) << i
  for (let i = 254n; i >= 128n; i--)
    if ((product >> i) & 1n) product ^= ((1n << 128n) | 0x87n) << (i - 128n)
  return big(product, 16).reverse()
}

describe('GF(2^128)', () => {
  it('multiplies as long division says', () => {
    fc.assert(
      fc.property(blocks, blocks, (a, b) => {
        expect(multiply(a, b)).toEqual(slowProduct(a, b))
        expect(multiply(a, b)).toEqual(multiply(b, a))
      }),
    )
  })

  it('has 1 as its neutral element and x·x¹²⁷ = x⁷ + x² + x + 1', () => {
    const one = Uint8Array.of(1, ...new Uint8Array(15))
    const x = Uint8Array.of(2, ...new Uint8Array(15))
    const x127 = Uint8Array.of(...new Uint8Array(15), 128)
    expect(multiply(one, x127)).toEqual(x127)
    expect(multiply(x, x127)).toEqual(Uint8Array.of(0x87, ...new Uint8Array(15)))
  })

  it('refuses operands of other lengths', () => {
    expect(() => multiply(new Uint8Array(15), new Uint8Array(16))).toThrow(RangeError)
    expect(() => xorInto(new Uint8Array(2), new Uint8Array(1))).toThrow(RangeError)
  })
})

describe('the reference kernel', () => {
  const kernel = referenceKernel
  const key = systemRng(32)

  it('transposes bit by bit', () => {
    fc.assert(
      fc.property(fc.constantFrom(8, 128), fc.constantFrom(8, 416, 24), (rows, columns) => {
        const matrix = systemRng((rows * columns) / 8)
        const turned = transpose(matrix, rows, columns)
        for (let r = 0; r < rows; r++)
          for (let c = 0; c < columns; c++)
            if (bit(matrix, r * columns + c) !== bit(turned, c * rows + r))
              throw new Error(`bit ${r},${c} is lost`)
        expect(transpose(turned, columns, rows)).toEqual(matrix)
      }),
      { numRuns: 8 },
    )
  })

  it('hashes rows with their number in front, as noble does', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 60 }),
        fc.integer({ min: 1, max: 200 }),
        fc.integer({ min: 1, max: 300 }),
        (rowLength, length, count) => {
          const rows = systemRng(count * rowLength)
          const hashed = kernel.hashRows(key, rows, rowLength, length)
          for (const r of [0, count >> 1, count - 1]) {
            const row = rows.subarray(rowLength * r, rowLength * (r + 1))
            const input = Uint8Array.of(0, 0, r >> 8, r & 255, ...row)
            const want = blake3(input, { key, dkLen: length })
            expect(hashed.subarray(length * r, length * (r + 1))).toEqual(want)
          }
        },
      ),
      {
        numRuns: 40,
        examples: [
          [32, 68, 256],
          [16, 144, 416],
          [60, 64, 2],
          [1, 48, 1],
        ],
      },
    )
    expect(() => kernel.hashRows(key, new Uint8Array(61), 61, 32)).toThrow(RangeError)
    expect(() => kernel.hashRows(key.subarray(1), new Uint8Array(60), 60, 32)).toThrow(RangeError)
  })

  it('folds rows of 416 + 128 bits: four challenges, the last block padded, plus the mask', () => {
    const rows = systemRng(2 * 68)
    const chi = systemRng(64)
    const folded = kernel.foldRow(rows, 68, chi)
    for (let r = 0; r < 2; r++) {
      const row = rows.subarray(68 * r, 68 * r + 68)
      const sum = row.slice(52)
      for (let k = 0; k < 4; k++) {
        const block = new Uint8Array(16)
        block.set(row.subarray(16 * k, Math.min(16 * k + 16, 52)))
        xorInto(sum, slowProduct(chi.subarray(16 * k, 16 * k + 16), block))
      }
      expect(folded.subarray(16 * r, 16 * r + 16)).toEqual(sum)
    }
    expect(() => kernel.foldRow(rows, 68, chi.subarray(16))).toThrow(RangeError)
  })

  it('does the scalar work of the multiplication as plain arithmetic does', () => {
    const row = fc.tuple(scalars, scalars, scalars)
    fc.assert(
      fc.property(
        fc.array(fc.tuple(row, row, scalars), { minLength: 1, maxLength: 9 }),
        row,
        fc.tuple(scalars, scalars),
        fc.uint8Array({ minLength: 2, maxLength: 2 }),
        (rows, a, theta, choice) => {
          const x = rows.map(([v]) => v)
          const y = rows.map(([, v]) => v)
          const g = rows.map(([, , v]) => v)
          const beta = rows.map((_, j) => BigInt(bit(choice, j)))
          const X = flat(x.flat())
          const col = (m: bigint[][], i: number) => m.map((v) => v[i]!)
          const sum = (values: bigint[]) => mod(values.reduce((t, v) => t + v, 0n))
          expect(maskInputs(X, flat(y.flat()), flat(a))).toEqual(
            flat(x.flatMap((v, j) => v.map((s, i) => mod(s - y[j]![i]! + a[i]!)))),
          )
          expect(combineRows(X, flat(theta))).toEqual(
            flat(x.map((v) => mod(v[2] + theta[0] * v[0] + theta[1] * v[1]))),
          )
          expect(gadgetSums(flat(g), X)).toEqual(
            flat([0, 1].map((i) => sum(col(x, i).map((s, j) => s * g[j]!)))),
          )
          expect(gadgetProducts(flat(g), X)).toEqual(
            flat([0, 1].flatMap((i) => col(x, i).map((s, j) => mod(s * g[j]!)))),
          )
          expect(kernel.selectedSum(choice, flat(g))).toEqual(
            flat([sum(g.map((s, j) => s * beta[j]!))]),
          )
          expect(addSelected(choice, flat(g), flat(col(x, 0)))).toEqual(
            flat(g.map((s, j) => mod(s + beta[j]! * x[j]![0]))),
          )
        },
      ),
      { numRuns: 50 },
    )
  })

  it('reduces 48 bytes to a scalar', () => {
    const wide = systemRng(96)
    expect(kernel.reduceScalars(wide)).toEqual(
      flat([reduceWide(wide.subarray(0, 48)), reduceWide(wide.subarray(48))]),
    )
  })
})
