import { describe, expect, it } from 'vitest'
import { theMachine } from '../kernel/machine.js'
import { loadWasmCurve } from '../kernel/wasm-curve.js'
import { kernel as chosenKernel } from '../kernel/wasm-kernel.js'
import { concatBytes } from '../src/bytes.js'
import { ORDER, decodeScalar, encodeScalar } from '../src/math/scalar.js'
import { LEAVES, TREES, XI } from '../src/ot/parameters.js'
import { systemRng } from '../src/rng.js'

const machine = theMachine()!
const kernel = chosenKernel()
const curve = loadWasmCurve()!

/** The whole memory: what is static too, constants and tables, and what lies behind the arena. */
const memory = () => Buffer.from(machine.run.memory.buffer.slice(0))

const scalars = (count: number) => kernel.reduceScalars(systemRng(48 * count))
const scalar = () => decodeScalar(scalars(1))
const point = () => curve.mulBase(scalar())
const tag = new Uint8Array([4])

const keys = () => ({ pad: systemRng(32), theta: systemRng(32), mu: systemRng(32) })
const columns = () => systemRng(16 * XI)
const choice = 52

/** Everything that the protocol asks of the kernel, each time with other secrets. */
const operations: Record<string, () => unknown> = {
  hash: () => kernel.hash(systemRng(32), systemRng(9000), 64),
  'hash of one block': () => kernel.hash(systemRng(32), systemRng(3), 200),
  hashRows: () => kernel.hashRows(systemRng(32), systemRng(32 * 257), 32, 68),
  reduceScalars: () => scalars(7),
  receiverRows: () =>
    kernel.receiverRows(systemRng(32), systemRng(32 * TREES * LEAVES), systemRng(choice + 16)),
  senderRows: () =>
    kernel.senderRows(
      systemRng(32),
      systemRng(32 * TREES * LEAVES),
      systemRng(16),
      systemRng(TREES * (choice + 16)),
    ),
  foldRow: () => kernel.foldRow(systemRng(choice + 16), choice + 16, systemRng(64)),
  foldRows: () => kernel.foldRows(systemRng(128 * (choice + 16)), systemRng(64)),
  selectedSum: () => kernel.selectedSum(systemRng(XI / 8), scalars(XI)),
  answerMultiplication: () =>
    kernel.answerMultiplication(
      keys(),
      scalars(XI),
      columns(),
      systemRng(16),
      scalars(3),
      systemRng(6416),
    ),
  finishMultiplication: () =>
    kernel.finishMultiplication(
      keys(),
      scalars(XI),
      systemRng(XI / 8),
      columns(),
      systemRng(6416),
      concatBytes(scalars(3 * XI + 1), systemRng(32)),
    ),
  addMulBaseMany: () => curve.addMulBaseMany([point(), point()], [scalar(), ORDER - 1n]),
  mulBaseMany: () => curve.mulBaseMany([scalar(), scalar(), 1n, ORDER - 1n]),
  mul: () => curve.mul(point(), scalar()),
  mulMany: () => curve.mulMany([point(), curve.sum([]), point()], scalar()),
  mulByMany: () => curve.mulByMany(point(), [scalar(), scalar()]),
  mulPublic: () => curve.mulPublic(point(), scalar()),
  decode: () => curve.decode(curve.encode(point())),
  addMany: () => curve.addMany([point(), curve.sum([])], [point(), point()]),
  hashManyToCurve: () => curve.hashManyToCurve([systemRng(67), systemRng(200)], tag),
  recover: () =>
    curve.recover({ r: encodeScalar(scalar()), s: encodeScalar(scalar()), v: 0 }, systemRng(32)),
}

/** Calls that end by throwing, with secrets laid out. */
const failures: Record<string, () => unknown> = {
  'a message that does not fit': () =>
    kernel.hash(systemRng(32), new Uint8Array(5 << 20).fill(1), 32),
  'an output that does not fit': () => kernel.hash(systemRng(32), systemRng(3), 5 << 20),
  'more output than addresses': () => kernel.hash(systemRng(32), systemRng(3), 2 ** 31),
  'room of no length': () =>
    machine.call(() => {
      machine.put(systemRng(32))
      machine.room(Number.NaN)
    }),
  'room of less than nothing': () =>
    machine.call(() => {
      machine.put(systemRng(32))
      machine.room(-16)
    }),
  'a key that is too short, found late': () =>
    kernel.answerMultiplication(
      { ...keys(), mu: systemRng(31) },
      scalars(XI),
      columns(),
      systemRng(16),
      scalars(3),
      systemRng(6416),
    ),
  'bytes that are no point': () => curve.decode(new Uint8Array(33).fill(2, 0, 1).fill(5, 32)),
  'too many points': () =>
    curve.mulMany(
      Array.from({ length: 20_000 }, () => curve.sum([])),
      scalar(),
    ),
  'too many messages for the curve': () =>
    curve.hashManyToCurve(
      Array.from({ length: 30_000 }, () => new Uint8Array(67).fill(9)),
      tag,
    ),
  'an error between two steps': () =>
    machine.call(() => {
      const key = machine.put(systemRng(32))
      machine.run.reduceScalars(machine.put(systemRng(48)), 1, machine.room(32))
      machine.run.hash(key, key, 32, machine.room(64), machine.room(64), 1)
      throw new Error('half way')
    }),
}

describe('the whole memory of the kernel, what is static included', () => {
  // What is made at first use: the table of the generator, constants.
  for (const operate of Object.values(operations)) operate()
  const before = memory()

  it.each(Object.entries(operations))('is after %s what it was before', (_, operate) => {
    for (let i = 0; i < 2; i++) {
      operate()
      expect(memory().equals(before)).toBe(true)
    }
  })

  it.each(Object.entries(failures))('is after %s what it was before', (_, fail) => {
    expect(fail).toThrow()
    expect(memory().equals(before)).toBe(true)
    operations['hash']!()
    expect(memory().equals(before)).toBe(true)
  })
})
