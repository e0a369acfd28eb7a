import binaryen from 'assemblyscript/binaryen'
import { beforeAll, describe, expect, it } from 'vitest'
import { fromBase64 } from '../kernel/base64.js'
import { binary } from '../kernel/binary.js'
import type { CurveFunctions } from '../kernel/curve-functions.js'
import type { SymmetricFunctions } from '../kernel/symmetric-functions.js'
import { nobleCurve } from '../src/curve/noble.js'
import { ORDER, encodeScalar } from '../src/math/scalar.js'
import { LEAVES, TREES, XI } from '../src/ot/parameters.js'
import { systemRng } from '../src/rng.js'

/*
 * The binary that is shipped, after the compiler's optimisations, with a call before each load and store that says which
 * one it is and to where, and one at each loop and function. Whatever the secrets are, this trace is to be the same: no
 * branch and no address depends on them. (Not seen are loads of single lanes, branches around nothing but arithmetic, and
 * what an engine makes of it all.)
 */

type Functions = SymmetricFunctions &
  CurveFunctions & { readonly memory: { readonly buffer: ArrayBuffer }; arenaStart(): number }

let run: Functions
let memory: Uint8Array
let trace = 0
let events = 0

const note = (...numbers: number[]) => {
  for (const n of numbers) trace = (Math.imul(trace, 0x01000193) ^ n) >>> 0
  events++
}

beforeAll(() => {
  const module_ = binaryen.readBinary(fromBase64(binary))
  module_.setFeatures(binaryen.Features.All)
  module_.runPasses(['log-execution', 'instrument-memory'])
  const compiled = new WebAssembly.Module(Uint8Array.from(module_.emitBinary()))
  module_.dispose()
  const pointer = (id: number, bytes: number, offset: number, address: number) => {
    note(id, bytes, offset, address)
    return address
  }
  const named: WebAssembly.ModuleImports = {
    log_execution: note,
    load_ptr: pointer,
    store_ptr: pointer,
  }
  const env = new Proxy(named, {
    get: (all, name) => all[String(name)] ?? ((_id: number, value: number) => value),
  })
  run = new WebAssembly.Instance(compiled, { env }).exports as unknown as Functions
  memory = new Uint8Array(run.memory.buffer)
})

/** The trace of a call with these inputs, each laid out at its own place, and room behind them. */
function traceOf(
  inputs: readonly Uint8Array[],
  work: (room: number, ...inputs: number[]) => void,
): number {
  let next = run.arenaStart()
  memory.fill(0, next)
  const at = inputs.map((bytes) => {
    const here = next
    memory.set(bytes, here)
    next = (here + bytes.length + 31) & ~15
    return here
  })
  trace = 0
  events = 0
  work(next, ...at)
  expect(events).toBeGreaterThan(10)
  return trace
}

function expectOneTrace(
  inputs: readonly (readonly Uint8Array[])[],
  work: (room: number, ...inputs: number[]) => void,
): void {
  traceOf(inputs[0]!, work) // makes what is made at first use
  const traces = inputs.map((each) => traceOf(each, work))
  expect(new Set(traces).size).toBe(1)
}

const zeros = (length: number) => new Uint8Array(length)
const ones = (length: number) => new Uint8Array(length).fill(255)
/** Inputs of these lengths: zeros, ones and random ones. */
const anything = (...lengths: number[]) => [
  lengths.map(zeros),
  lengths.map(ones),
  ...[1, 2, 3].map(() => lengths.map((length) => systemRng(length))),
]

const scalars = [
  ...[1n, 2n, 16n, 0x5555555555555555n, ORDER >> 1n, ORDER - 16n, ORDER - 1n].map(encodeScalar),
  ...[1, 2, 3].map(() => Uint8Array.from([1, ...systemRng(31)])),
]

/** A point as outside the kernel. */
const outside = (k: bigint) => {
  const out = new Uint8Array(65)
  if (k === 0n) return out
  const P = nobleCurve.mulBase(k)
  const Q = nobleCurve.coordinates(P)
  out[0] = 4
  out.set(Q.x, 1)
  const hex = (P as unknown as { toHex(compressed: boolean): string }).toHex(false)
  out.set(Buffer.from(hex.slice(66), 'hex'), 33)
  return out
}

describe('the trace of the kernel', () => {
  it('shows what depends on an input', () => {
    const [valid, none] = [nobleCurve.encode(nobleCurve.mulBase(3n)), ones(33)]
    const decode = (room: number, at: number) => void run.decodePoint(room, at)
    expect(traceOf([valid], decode)).not.toBe(traceOf([none], decode))
    const hash = (length: number) => (room: number, key: number, message: number) => {
      run.hash(key, message, length, room, room + 4096, 1)
    }
    const inputs = [zeros(32), zeros(200)]
    expect(traceOf(inputs, hash(128))).not.toBe(traceOf(inputs, hash(129)))
    const challenge = (room: number, columns: number, turned: number) => {
      run.foldColumns(columns, turned, 128, room, room + 512, room + 4096)
    }
    const [one, two] = [zeros(2048), ones(2048)].map((turned) =>
      traceOf([zeros(4096), turned], challenge),
    )
    expect(one).not.toBe(two)
  })

  it('is one for all scalars and points that are multiplied', () => {
    const P = outside(7n)
    expectOneTrace(
      scalars.flatMap((k) => [
        [P, k],
        [outside(0n), k],
      ]),
      (room, P, k) => {
        run.multiplyBase(room, P, k, 1, room + 128)
      },
    )
    expectOneTrace(
      scalars.map((k) => [P, k]),
      (room, P, k) => {
        run.multiplyOne(room, P, k, 1, room + 128)
      },
    )
    expectOneTrace(
      scalars.flatMap((k) => [
        [P, k],
        [outside(5n), k],
        [outside(0n), k],
      ]),
      (room, P, k) => {
        run.multiplyMany(room, P, k, 1, room + 128)
      },
    )
  })

  it('is one for all points that are added, equal, opposite or none', () => {
    const pairs = [
      [3n, 4n],
      [3n, 3n],
      [3n, ORDER - 3n],
      [0n, 3n],
      [3n, 0n],
      [0n, 0n],
    ].map((pair) => pair.map(outside))
    expectOneTrace(pairs, (room, p, q) => {
      run.addMany(room, p, q, 1, room + 128)
    })
  })

  it('is one for all messages of one length that are hashed to the curve, and exceptions of its map', () => {
    const length = new Uint8Array(Uint32Array.of(67).buffer)
    expectOneTrace(
      anything(67).map(([message]) => [message!, length, Uint8Array.of(65, 66, 2)]),
      (room, message, lengths, tag) => {
        run.hashToCurve(room, message, lengths, 1, tag, 3, room + 128)
      },
    )
    expectOneTrace([...anything(32), [encodeScalar(1n)]], (room, element) => {
      run.mapToCurve(room, element, room + 128)
    })
  })

  it('is one for all that is hashed, reduced and extended', () => {
    const rows = 128 * 68
    expectOneTrace(anything(32, 5000), (room, key, message) => {
      run.hash(key, message, 5000, room, room + 8192, 2)
    })
    expectOneTrace(anything(48 * 4), (room, wide) => {
      run.reduceScalars(wide, 4, room)
    })
    expectOneTrace(anything(32, TREES * LEAVES * 32, 68 + 16), (room, key, leaves, x) => {
      run.receiverRows(key, leaves, TREES, x, 68, room, room + 40_000, room + 60_000)
    })
    expectOneTrace(
      anything(32, TREES * LEAVES * 32, 16, TREES * 68 + 16),
      (room, key, leaves, delta, u) => {
        run.senderRows(key, leaves, TREES, delta, u, 68, room, room + 40_000)
      },
    )
    expectOneTrace(anything(rows), (room, bits) => {
      run.transposeBits(bits, 68, room, 16, 128, 8 * 68)
    })
    const elements = systemRng(416 * 16)
    expectOneTrace(
      anything(68).map(([row]) => [row!, elements]),
      (room, row, elements) => {
        run.foldRow(row, elements, 416, room)
      },
    )
    expectOneTrace(
      anything(8 * 68 * 16).map(([columns]) => [columns!, elements]),
      (room, columns, turned) => {
        run.foldColumns(columns, turned, 416, room, room + 512, room + 4096)
      },
    )
  })

  it('is one for all inputs of a multiplication', () => {
    const width = 3 * XI * 32
    expectOneTrace(anything(32, 16 * XI), (room, key, columns) => {
      run.pads(key, columns, XI, room)
    })
    expectOneTrace(anything(32, 16 * XI, 16, 96), (room, key, columns, delta, inputs) => {
      run.maskInputs(key, columns, XI, delta, inputs, room, room + width)
    })
    expectOneTrace(anything(XI / 8, 32 * XI), (room, choice, gadget) => {
      run.selectedSum(choice, gadget, XI, room)
    })
    expectOneTrace(anything(32 * XI, width, 64), (room, gadget, alpha0, theta) => {
      run.senderSums(gadget, alpha0, theta, XI, room, room + 32 * XI)
    })
    expectOneTrace(
      anything(32 * XI, XI / 8, width, width, 64, 32),
      (room, gadget, choice, gamma, masked, theta, eta) => {
        run.receiverSums(gadget, choice, gamma, masked, theta, eta, XI, room, room + 32 * XI)
      },
    )
  })
})
