import { blake3 } from '@noble/hashes/blake3.js'
import fc from 'fast-check'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { Machine } from '../kernel/machine.js'
import { kernel as chosenKernel, wasmKernel } from '../kernel/wasm-kernel.js'
import type { Kernel } from '../src/kernel/kernel.js'
import { concatBytes } from '../src/bytes.js'
import { referenceKernel } from '../src/kernel/reference.js'
import { ORDER, encodeScalar, mod, readUint } from '../src/math/scalar.js'
import { TREES, XI } from '../src/ot/parameters.js'
import { systemRng } from '../src/rng.js'
import { finish } from './support/simulate.js'
import { native, readyKey, sign } from './support/parties.js'
import { seeded } from './support/seeded.js'

const machine = new Machine()
const kernel = wasmKernel(machine)
const key = systemRng(32)

/** The same call on both kernels; the machine's is also to have left nothing behind. */
function both(call: (kernel: Kernel) => unknown): void {
  expect(call(kernel)).toEqual(call(referenceKernel))
  expect(left()).toBe(0)
}

/** Bytes of the machine's memory, from where calls work, that are not zero. */
function left(): number {
  const memory = Buffer.from(machine.run.memory.buffer, machine.run.scratchStart())
  if (memory.equals(Buffer.alloc(memory.length))) return 0
  return memory.reduce((count, byte) => count + Number(byte !== 0), 0)
}

/** Bytes that carries, borrows and masks go wrong on, and random ones. */
const kinds = ['random', 'zeros', 'ones'] as const
type Kind = (typeof kinds)[number]
function bytes(kind: Kind, length: number): Uint8Array {
  return kind === 'random'
    ? systemRng(length)
    : new Uint8Array(length).fill(kind === 'ones' ? 255 : 0)
}

const edges = [0n, 1n, 2n, (1n << 232n) - 1n, 1n << 128n, ORDER >> 1n, ORDER - 2n, ORDER - 1n]

/** Scalars: all the same edge, edges mixed, or random ones. */
function scalars(kind: Kind | 'mixed', count: number): Uint8Array {
  const out = new Uint8Array(32 * count)
  const random = referenceKernel.reduceScalars(systemRng(48 * count))
  for (let i = 0; i < count; i++) {
    const at = 32 * i
    if (kind === 'random') out.set(random.subarray(at, at + 32), at)
    else if (kind === 'ones') out.set(encodeScalar(ORDER - 1n), at)
    else if (kind === 'mixed') out.set(encodeScalar(edges[systemRng(1)[0]! % edges.length]!), at)
  }
  return out
}
const scalarKinds = ['random', 'zeros', 'ones', 'mixed'] as const

describe("the WebAssembly kernel's BLAKE3", () => {
  const check = (message: Uint8Array, length: number) => {
    expect(kernel.hash(key, message, length)).toEqual(blake3(message, { key, dkLen: length }))
  }

  it('is noble’s for every length up to a few chunks, at the edges of all more', () => {
    const message = new Uint8Array(70_000).map((_, i) => (i * i) >> 3)
    for (let length = 0; length <= 5200; length += length % 64 < 3 || length % 64 > 54 ? 1 : 7)
      check(message.subarray(0, length), 32)
    for (const chunks of [5, 7, 8, 9, 12, 15, 16, 17, 31, 33, 45, 64, 66])
      for (const off of [-1, 0, 1, 64]) check(message.subarray(0, 1024 * chunks + off), 64)
    expect(left()).toBe(0)
  })

  it('is noble’s for every length of output', () => {
    for (const message of [0, 3, 64, 1024, 1025, 5000].map((length) => systemRng(length)))
      for (const length of [1, 16, 31, 32, 33, 63, 64, 65, 96, 128, 129, 1000])
        check(message, length)
  })

  it('is noble’s at any place in memory', () => {
    const buffer = systemRng(9000)
    for (let offset = 0; offset < 17; offset++) check(buffer.subarray(offset, 8000 + offset), 32)
  })

  it('refuses other keys, and a message that does not fit; nothing stays after a throw', () => {
    expect(() => kernel.hash(key.subarray(1), key, 32)).toThrow(RangeError)
    expect(() => kernel.hash(key, new Uint8Array(5 << 20).fill(1), 32)).toThrow(RangeError)
    expect(left()).toBe(0)
    expect(() =>
      machine.call(() => {
        machine.put(key)
        throw new Error('half way')
      }),
    ).toThrow('half way')
    expect(left()).toBe(0)
    check(key, 32)
  })

  it('hashes rows with their numbers as the reference does', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 60 }),
        fc.integer({ min: 1, max: 200 }),
        fc.integer({ min: 1, max: 300 }),
        (rowLength, length, count) => {
          const rows = systemRng(count * rowLength)
          both((k) => k.hashRows(key, rows, rowLength, length))
        },
      ),
      {
        numRuns: 25,
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
})

describe('the WebAssembly kernel answers what the reference answers', () => {
  const of = <T>(values: readonly T[]) => fc.constantFrom(...values)

  it('for scalars from 48 bytes', () => {
    for (const kind of kinds) {
      const wide = bytes(kind, 48 * 100)
      both((k) => k.reduceScalars(wide))
    }
    // just below, at and above multiples of n, and of 2^256
    const wide = [0n, 1n, 2n, (1n << 128n) - 1n, 1n << 127n].flatMap((k) =>
      [ORDER, 1n << 256n].flatMap((m) => [-1n, 0n, 1n].map((off) => k * m + off)),
    )
    const input = new Uint8Array(48 * wide.length)
    wide.forEach((value, i) => {
      const hex = (value < 0n ? 0n : value).toString(16).padStart(96, '0')
      input.set(Buffer.from(hex, 'hex'), 48 * i)
    })
    both((k) => k.reduceScalars(input))
  })

  it.each([52, 16])('for the rows of the OT extension, with %i bytes of choice', (choice) => {
    fc.assert(
      fc.property(of(kinds), of(kinds), of(kinds), (leafKind, xKind, deltaKind) => {
        const leaves = bytes(leafKind, TREES * 4 * 32)
        const x = bytes(xKind, choice + 16)
        both((k) => k.receiverRows(key, leaves, x))
        const delta = bytes(deltaKind, 16)
        const u = bytes(xKind, TREES * (choice + 16))
        both((k) => k.senderRows(key, leaves, delta, u))
      }),
      { numRuns: 12 },
    )
  })

  it.each([52, 16])('for the check of the OT extension, with %i bytes of choice', (choice) => {
    const width = choice + 16
    fc.assert(
      fc.property(of(kinds), of(kinds), (rowKind, chiKind) => {
        const rows = bytes(rowKind, 128 * width)
        const chi = bytes(chiKind, 16 * Math.ceil(choice / 16))
        both((k) => k.foldRows(rows, chi))
        both((k) => k.foldRow(rows.subarray(0, width), width, chi))
        expect(() => kernel.foldRows(rows, chi.subarray(16))).toThrow(RangeError)
        expect(() => kernel.foldRow(rows, width, chi.subarray(16))).toThrow(RangeError)
      }),
      { numRuns: 12 },
    )
  })

  it('for both sides of a multiplication', () => {
    fc.assert(
      fc.property(
        of(kinds),
        of(kinds),
        of(scalarKinds),
        of(scalarKinds),
        of(scalarKinds),
        fc.integer({ min: 0, max: 7000 }),
        (choiceKind, deltaKind, gadgetKind, inputKind, maskedKind, messageLength) => {
          const keys = { pad: key, theta: systemRng(32), mu: systemRng(32) }
          const columns = systemRng(16 * XI)
          const choice = bytes(choiceKind, XI / 8)
          const delta = bytes(deltaKind, 16)
          const gadget = scalars(gadgetKind, XI)
          const inputs = scalars(inputKind, 3)
          const message = systemRng(messageLength)
          both((k) => k.selectedSum(choice, gadget))
          both((k) => k.answerMultiplication(keys, gadget, columns, delta, inputs, message))
          const { answer } = kernel.answerMultiplication(
            keys,
            gadget,
            columns,
            delta,
            inputs,
            message,
          )
          both((k) => k.finishMultiplication(keys, gadget, choice, columns, message, answer))
          const other = Uint8Array.from([...scalars(maskedKind, 3 * XI + 1), ...systemRng(32)])
          both((k) => k.finishMultiplication(keys, gadget, choice, columns, message, other))
        },
      ),
      {
        numRuns: 12,
        examples: [
          ['ones', 'ones', 'ones', 'ones', 'ones', 6416],
          ['zeros', 'zeros', 'ones', 'zeros', 'ones', 6416],
        ],
      },
    )
    const short = { pad: key, theta: key, mu: key.subarray(1) }
    const [gadget, columns] = [scalars('random', XI), systemRng(16 * XI)]
    expect(() =>
      kernel.answerMultiplication(short, gadget, columns, key, scalars('ones', 3), key),
    ).toThrow(RangeError)
    expect(left()).toBe(0)
  })

  it('for the same input again: nothing is carried over from call to call', () => {
    const wide = seeded('kernel')(48)
    const first = kernel.reduceScalars(wide)
    kernel.hash(key, systemRng(5000), 64)
    expect(kernel.reduceScalars(wide)).toEqual(first)
  })
})

// Pads stay in limbs between the kernel's steps, and need not be below n. What a hash gives never comes near the bounds.
describe('the sums of the multiplication, with pads at the bounds of their limbs', () => {
  const { run } = machine
  const LIMBS = 9
  const ROWS = 3 * XI
  /** What a pad may be: eight limbs below 2^29, and one below 2^30. */
  const limbKinds = {
    highest: (i: number) => (i % LIMBS === 8 ? 2 ** 30 - 1 : 2 ** 29 - 1),
    mixed: (i: number) => {
      const full = i % LIMBS === 8 ? 2 ** 30 - 1 : 2 ** 29 - 1
      return [0, 1, full, full - 1, full >> 1][systemRng(1)[0]! % 5]!
    },
    zeros: () => 0,
  }
  const list = (encoded: Uint8Array) =>
    Array.from({ length: encoded.length / 32 }, (_, i) =>
      BigInt(`0x${Buffer.from(encoded.subarray(32 * i, 32 * i + 32)).toString('hex')}`),
    )
  const encode = (values: readonly bigint[]) =>
    Uint8Array.from(values.flatMap((x) => [...encodeScalar(mod(x))]))

  it.each(
    Object.keys(limbKinds).flatMap((limbs) =>
      (['ones', 'mixed', 'random'] as const).map(
        (rest) => [limbs as keyof typeof limbKinds, rest] as const,
      ),
    ),
  )('%s, and other scalars that are %s', (limbKind, kind) => {
    const limbs = Array.from({ length: ROWS * LIMBS }, (_, i) => limbKinds[limbKind](i))
    const pads = Array.from({ length: ROWS }, (_, row) =>
      limbs
        .slice(LIMBS * row, LIMBS * (row + 1))
        .reduce((sum, limb, i) => sum + (BigInt(limb) << BigInt(29 * i)), 0n),
    )
    // A limb of four rows is one vector.
    const words = new Uint32Array(LIMBS * ROWS)
    for (const [at, limb] of limbs.entries()) {
      const [pad, k] = [Math.floor(at / LIMBS), at % LIMBS]
      const [row, i] = [Math.floor(pad / 3), pad % 3]
      words[((row >> 2) * 3 + i) * 4 * LIMBS + 4 * k + (row & 3)] = limb
    }
    const [gadget, theta, masked, eta] = [XI, 2, ROWS, 1].map((count) => scalars(kind, count))
    const choice = bytes(kind === 'ones' ? 'ones' : 'random', XI / 8)
    const [t0, t1] = list(theta!) as [bigint, bigint]
    const [g, more, minusEta] = [list(gadget!), list(masked!), list(eta!)[0]!]

    /** Runs one of the two, and compares what it makes of rows x, less η where a bit is set. */
    const check = (
      x: readonly bigint[],
      bits: (j: number) => bigint,
      work: (
        put: { gadget: number; theta: number; pads: number },
        rows: number,
        sums: number,
      ) => void,
    ) => {
      const made = machine.call(() => {
        const put = {
          gadget: machine.put(gadget!),
          theta: machine.put(theta!),
          pads: machine.put(new Uint8Array(words.buffer)),
        }
        const [rows, sums] = [machine.room(32 * XI), machine.room(64)]
        work(put, rows, sums)
        return { rows: machine.take(rows, 32 * XI), sums: machine.take(sums, 64) }
      })
      const row = (j: number) =>
        x[3 * j + 2]! + t0 * x[3 * j]! + t1 * x[3 * j + 1]! + bits(j) * minusEta
      const sum = (i: number) => g.reduce((total, g_j, j) => total + g_j * x[3 * j + i]!, 0n)
      expect(made.rows).toEqual(encode(g.map((_, j) => row(j))))
      expect(made.sums).toEqual(encode([sum(0), sum(1)]))
      expect(left()).toBe(0)
    }
    check(
      pads,
      () => 0n,
      (put, rows, sums) => run.senderSums(put.gadget, put.pads, put.theta, XI, rows, sums),
    )
    const bit = (j: number) => BigInt((choice[j >> 3]! >> (j & 7)) & 1)
    const chosen = pads.map((pad, i) => pad + bit(Math.floor(i / 3)) * more[i]!)
    check(chosen, bit, (put, rows, sums) =>
      run.receiverSums(
        put.gadget,
        machine.put(choice),
        put.pads,
        machine.put(masked!),
        put.theta,
        machine.put(eta!),
        XI,
        rows,
        sums,
      ),
    )
  })
})

// Nor can a hash be made to give pads at their bounds.
describe('the difference of two pads', () => {
  const { run } = machine
  const N = 4

  it('is that of any 48 bytes, four at once', () => {
    for (const kind of kinds)
      for (const otherKind of kinds)
        for (const inputKind of scalarKinds) {
          const [x, y] = [kind, otherKind].map((each) => bytes(each, 48 * N)) as [
            Uint8Array,
            Uint8Array,
          ]
          const inputs = scalars(inputKind, N)
          const made = machine.call(() => {
            // 12 words of each, word after word
            const inLanes = (wide: Uint8Array) => {
              const lanes = new Uint8Array(48 * N)
              for (let i = 0; i < 48 * N; i++)
                lanes[((i % 48) >> 2) * 16 + 4 * Math.floor(i / 48) + (i & 3)] = wide[i]!
              const limbs = machine.room(14 * 16)
              run.fourWide(machine.put(lanes), limbs)
              return limbs
            }
            const limbsOfInputs = new Uint32Array(9 * N)
            for (let i = 0; i < N; i++)
              for (let k = 0, rest = readUint(inputs, 32 * i, 32); k < 9; k++, rest >>= 29n)
                limbsOfInputs[4 * k + i] = Number(BigInt.asUintN(29, rest))
            const [wideX, wideY] = [inLanes(x), inLanes(y)]
            const a = machine.put(new Uint8Array(limbsOfInputs.buffer))
            const [folded, difference] = [machine.room(9 * 16), machine.room(9 * 16)]
            const columns = machine.room(18 * 16)
            for (const pair of [0, 8]) {
              run.foldWidePair(wideX + pair, folded + pair)
              run.subtractAddPair(folded + pair, wideY + pair, a + pair, columns, difference + pair)
            }
            const out = machine.room(32 * N)
            run.fourToBytes(difference, out, 32)
            return machine.take(out, 32 * N)
          })
          const expected = Array.from({ length: N }, (_, i) => {
            const wide = readUint(x, 48 * i, 48) - readUint(y, 48 * i, 48)
            return encodeScalar(mod(wide + readUint(inputs, 32 * i, 32)))
          })
          expect(made).toEqual(concatBytes(...expected))
        }
    expect(left()).toBe(0)
  })
})

describe('which kernel is used', () => {
  afterEach(() => {
    vi.unstubAllGlobals()
    vi.resetModules()
  })

  it('is the WebAssembly one here, one for the whole process', () => {
    expect(chosenKernel().name).toBe('wasm')
    expect(chosenKernel()).toBe(native.kernel)
  })

  it('is the reference where WebAssembly is missing or forbidden', async () => {
    for (const missing of [
      undefined,
      {
        Module: function refused() {
          throw new Error('refused by a content security policy')
        },
      },
    ]) {
      vi.resetModules()
      vi.stubGlobal('WebAssembly', missing)
      const { portableSuite } = await import('../src/portable-suite.js')
      expect(portableSuite().kernel.name).toBe('reference')
      expect(portableSuite().curve.name).toBe('noble')
    }
  })

  it('may differ between the parties of a signature', () => {
    const plain = { ...native, kernel: referenceKernel }
    for (const suites of [
      [native, plain],
      [plain, native],
    ]) {
      const key = readyKey(2, 2, suites)
      const signatures = [...finish(sign(key, { signers: [1, 2] }), 2).values()]
      expect(signatures[0]).toEqual(signatures[1])
    }
  })
})
