import { secp256k1, secp256k1_hasher } from '@noble/curves/secp256k1.js'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { theMachine } from '../kernel/machine.js'
import { loadWasmCurve } from '../kernel/wasm-curve.js'
import { encodeScalar } from '../src/math/scalar.js'

const machine = theMachine()!
const { run } = machine
const P = 2n ** 256n - 2n ** 32n - 977n
const mod = (x: bigint) => ((x % P) + P) % P

/** Limbs are below this in what the field's functions call tight. */
const TIGHT = 2 ** 29 + 2 ** 23

/** Nine limbs, and what they stand for. */
type Limbs = readonly number[]
const valueOf = (limbs: Limbs) =>
  limbs.reduce((sum, limb, i) => sum + (BigInt(limb) << BigInt(29 * i)), 0n)
const limbsOf = (x: bigint): Limbs =>
  Array.from({ length: 9 }, (_, i) => Number((x >> BigInt(29 * i)) & 0x1fffffffn))

/** Elements whose limbs are at or near the bounds, or anything. */
const elements = (most: number): fc.Arbitrary<Limbs> =>
  fc.oneof(
    fc.array(fc.integer({ min: 0, max: most }), { minLength: 9, maxLength: 9 }),
    fc.array(fc.constantFrom(0, 1, 2 ** 29 - 1, 2 ** 29, most - 1, most), {
      minLength: 9,
      maxLength: 9,
    }),
    fc
      .tuple(fc.bigInt({ min: 0n, max: 31n }), fc.bigInt({ min: -3n, max: 2n ** 33n + 3n }))
      .map(([times, more]) => limbsOf(times * P + (more < 0n && times === 0n ? -more : more))),
  )
const tight = elements(TIGHT - 1)
const sumOfTwo = elements(2 * (TIGHT - 1))

/** Lays elements out, computes into a first one, and gives its limbs. */
function compute(
  inputs: readonly Limbs[],
  work: (result: number, ...inputs: number[]) => void,
): Limbs {
  return machine.call(() => {
    const put = (limbs: Limbs) =>
      machine.put(new Uint8Array(Uint32Array.from([...limbs, 0, 0, 0]).buffer))
    const result = machine.room(48)
    work(result, ...inputs.map(put))
    const words = new Uint32Array(machine.take(result, 48).buffer)
    expect([...words.subarray(9)]).toEqual([0, 0, 0])
    return [...words.subarray(0, 9)]
  })
}

const expectTight = (limbs: Limbs) => {
  for (const limb of limbs) expect(limb).toBeLessThan(TIGHT)
}

describe('the field of the kernel', () => {
  it.each<[string, fc.Arbitrary<Limbs>, fc.Arbitrary<Limbs>]>([
    ['two sums of two', sumOfTwo, sumOfTwo],
    ['a tight element and a sum of three', tight, elements(3 * (TIGHT - 1))],
  ])('multiplies %s', (_, left, right) => {
    fc.assert(
      fc.property(left, right, (a, b) => {
        const product = compute([a, b], run.fieldMul)
        expectTight(product)
        expect(mod(valueOf(product))).toBe(mod(valueOf(a) * valueOf(b)))
      }),
      { numRuns: 400 },
    )
    const most = Array.from({ length: 9 }, () => 2 * (TIGHT - 1))
    expect(mod(valueOf(compute([most, most], run.fieldMul)))).toBe(mod(valueOf(most) ** 2n))
  })

  it('adds two products: tight by two, and two by two', () => {
    const check = (a: Limbs, b: Limbs, x: Limbs, y: Limbs) => {
      const sum = compute([a, b, x, y], run.fieldMulAdd)
      expectTight(sum)
      expect(mod(valueOf(sum))).toBe(mod(valueOf(a) * valueOf(b) + valueOf(x) * valueOf(y)))
    }
    fc.assert(fc.property(tight, sumOfTwo, sumOfTwo, sumOfTwo, check), { numRuns: 400 })
    const two = Array.from({ length: 9 }, () => 2 * (TIGHT - 1))
    check(
      two.map((limb) => limb / 2),
      two,
      two,
      two,
    )
  })

  it('squares, negates, subtracts and multiplies by small numbers', () => {
    fc.assert(
      fc.property(tight, sumOfTwo, sumOfTwo, fc.integer({ min: 0, max: 7 }), (t, a, b, m) => {
        const results: [Limbs, bigint][] = [
          [compute([a], run.fieldSqr), valueOf(a) ** 2n],
          [compute([a], run.fieldNegate), -valueOf(a)],
          [compute([a, b], run.fieldSub), valueOf(a) - valueOf(b)],
          [compute([t], (r, at) => run.fieldSmall(r, at, m)), valueOf(t) * BigInt(m)],
          [compute([t], run.fieldTimes21), valueOf(t) * 21n],
        ]
        for (const [got, want] of results) {
          expectTight(got)
          expect(mod(valueOf(got))).toBe(mod(want))
        }
      }),
      { numRuns: 400 },
    )
  })

  it('reduces to the one representative below p', () => {
    const normalized = (limbs: Limbs) =>
      compute([limbs], (r, a) => {
        run.fieldNormalize(a)
        machine.set(r, machine.take(a, 48))
      })
    const check = (a: Limbs) => {
      expect(normalized(a)).toEqual(limbsOf(mod(valueOf(a))))
    }
    fc.assert(fc.property(tight, check), { numRuns: 400 })
    for (const x of [0n, 1n, P - 1n, P, P + 1n, 2n ** 256n - 1n, 2n ** 256n, 2n * P - 1n, 31n * P])
      check(limbsOf(x))
    check(Array.from({ length: 9 }, () => TIGHT - 1))
    machine.call(() => {
      const at = machine.room(48)
      for (const [x, want] of [
        [0n, -1],
        [P, -1],
        [31n * P, -1],
        [1n, 0],
        [P - 1n, 0],
        [P + 1n, 0],
      ] as const) {
        machine.set(at, new Uint8Array(Uint32Array.from(limbsOf(x)).buffer))
        expect(run.fieldIsZero(at)).toBe(want)
      }
    })
  })

  it('inverts and takes roots', () => {
    fc.assert(
      fc.property(tight, (a) => {
        const inverse = mod(valueOf(compute([a], run.fieldInvert)))
        expect(mod(inverse * valueOf(a))).toBe(mod(valueOf(a)) === 0n ? 0n : 1n)
        const root = mod(valueOf(compute([a], run.fieldRoot)))
        expect([mod(valueOf(a)), mod(-valueOf(a))]).toContain(mod(root * root))
      }),
      { numRuns: 50 },
    )
  })
})

describe('the map to the curve of the kernel', () => {
  const mapped = (u: bigint) =>
    machine.call(() => {
      const out = machine.room(65)
      run.mapToCurve(out, machine.put(encodeField(u)), machine.room(192))
      return Buffer.from(machine.take(out, 65)).toString('hex')
    })
  const encodeField = (u: bigint) =>
    Uint8Array.from(Buffer.from(u.toString(16).padStart(64, '0'), 'hex'))
  // Declared to take an array, it wants the number itself for a field of degree one.
  const hasher = secp256k1_hasher as unknown as {
    mapToCurve(u: bigint): InstanceType<typeof secp256k1.Point>
  }
  const reference = (u: bigint) => hasher.mapToCurve(u).toHex(false)
  const { Fp } = secp256k1.Point

  it('is the reference for any field element', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: P - 1n }), (u) => {
        expect(mapped(u)).toBe(reference(u))
      }),
      { numRuns: 100 },
    )
  })

  it('is the reference where the map is exceptional', () => {
    // Z²u⁴ + Zu² = 0 for u = 0 and, with Z = −11, for u² = 1/11.
    const r = Fp.sqrt(Fp.inv(11n))
    for (const u of [0n, 1n, P - 1n, r, P - r]) expect(mapped(u)).toBe(reference(u))
  })
})

describe('the memory of the kernel', () => {
  it('is after each operation of the curve as it was before', () => {
    const curve = loadWasmCurve()!
    const operations: ((x: bigint) => unknown)[] = [
      (x) => curve.mulBase(x),
      (x) => curve.mul(curve.mulBase(x + 1n), x),
      (x) => curve.mulByMany(curve.mulBase(x + 2n), [x, x + 3n]),
      (x) => curve.addMany([curve.mulBase(x)], [curve.mulBase(x + 1n)]),
      (x) => curve.hashToCurve(encodeScalar(x), new Uint8Array([4])),
    ]
    const memory = () => Buffer.from(run.memory.buffer.slice(0))
    for (const operate of operations) operate(2n ** 200n + 99n)
    const before = memory()
    for (const operate of operations) {
      operate(2n ** 250n + 12345n)
      expect(memory().equals(before)).toBe(true)
    }
  })
})
