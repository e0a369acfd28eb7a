import type { Kernel } from '../src/kernel/kernel.js'
import { SCALAR_BYTES, WIDE_BYTES, decodeScalar, encodeScalar, mod } from '../src/math/scalar.js'
import { BASE_OTS, KEY_BYTES, LEAVES, MASK_BYTES, TREES, XI } from '../src/ot/parameters.js'
import { theMachine, type Machine } from './machine.js'
import { referenceKernel } from '../src/kernel/reference.js'

const BLOCK = 64
const CHUNK = 1024
/** Vector instructions may write this much past an end. */
const SLACK = 16

/** A row that is hashed in one block has its number in front. */
const MAX_ROW_BYTES = BLOCK - 4

const blocksOf = (length: number): number => Math.ceil(length / BLOCK)

let chosen: Kernel | undefined

/** The WebAssembly kernel, or the reference where that cannot run; its `name` tells. Chosen once. */
export function kernel(): Kernel {
  if (chosen === undefined) {
    const machine = theMachine()
    chosen = machine === undefined ? referenceKernel : wasmKernel(machine)
  }
  return chosen
}

/** The kernel's functions on a machine: inputs are copied in, results out, and the machine wipes what lay between. */
export function wasmKernel(machine: Machine): Kernel {
  const { run } = machine

  return Object.freeze<Kernel>({
    name: 'wasm',

    hash(key, message, length) {
      if (key.length !== KEY_BYTES) throw new RangeError('a BLAKE3 key has 32 bytes')
      return machine.call(() => {
        const blocks = blocksOf(length)
        const work = machine.room(message.length / (CHUNK / 32) + BLOCK)
        const out = machine.room(blocks * BLOCK)
        run.hash(machine.put(key), machine.put(message), message.length, work, out, blocks)
        return machine.take(out, length)
      })
    },

    hashRows(key, rows, rowLength, length) {
      if (rowLength > MAX_ROW_BYTES || key.length !== KEY_BYTES)
        throw new RangeError(`a row has at most ${MAX_ROW_BYTES} bytes, and a key 32`)
      return machine.call(() => {
        const count = rows.length / rowLength
        const padded = (rowLength + 15) & ~15
        const blocks = blocksOf(length)
        // Four rows are hashed at once, so there is room for three more.
        const from = machine.room((count + 3) * padded)
        for (let r = 0; r < count; r++)
          machine.set(from + r * padded, rows.subarray(r * rowLength, (r + 1) * rowLength))
        const out = machine.room((count + 3) * blocks * BLOCK)
        run.hashRows(machine.put(key), from, count, rowLength, out, blocks)
        return machine.takeRows(out, blocks * BLOCK, count, length)
      })
    },

    reduceScalars: (wide) =>
      machine.call(() => {
        const count = wide.length / WIDE_BYTES
        const out = machine.room(count * SCALAR_BYTES)
        run.reduceScalars(machine.put(wide), count, out)
        return machine.take(out, count * SCALAR_BYTES)
      }),

    receiverRows: (key, leaves, x) =>
      machine.call(() => {
        const width = x.length
        const from = machine.room(width + SLACK)
        machine.set(from, x)
        const r = machine.room(TREES * LEAVES * blocksOf(width) * BLOCK)
        const u = machine.room(TREES * width + SLACK)
        const rows = machine.room(BASE_OTS * width + SLACK)
        run.receiverRows(machine.put(key), machine.put(leaves), TREES, from, width, r, u, rows)
        return { u: machine.take(u, TREES * width), rows: machine.take(rows, BASE_OTS * width) }
      }),

    senderRows: (key, leaves, delta, u) =>
      machine.call(() => {
        const width = u.length / TREES
        const from = machine.room(u.length + SLACK)
        machine.set(from, u)
        const r = machine.room(TREES * LEAVES * blocksOf(width) * BLOCK)
        const rows = machine.room(BASE_OTS * width + SLACK)
        run.senderRows(
          machine.put(key),
          machine.put(leaves),
          TREES,
          machine.put(delta),
          from,
          width,
          r,
          rows,
        )
        return machine.take(rows, BASE_OTS * width)
      }),

    foldRow(row, rowLength, chi) {
      checkChallenge(rowLength, chi)
      return machine.call(() => {
        const bits = 8 * (rowLength - MASK_BYTES)
        const elements = machine.room(bits * MASK_BYTES)
        const out = machine.room(MASK_BYTES)
        run.positions(machine.put(chi), bits, elements)
        run.foldRow(machine.put(row), elements, bits, out)
        return machine.take(out, MASK_BYTES)
      })
    },

    foldRows(rows, chi) {
      const width = rows.length / BASE_OTS
      checkChallenge(width, chi)
      return machine.call(() => {
        const bits = 8 * (width - MASK_BYTES)
        const elements = machine.room(bits * MASK_BYTES)
        const turned = machine.room(bits * MASK_BYTES)
        run.positions(machine.put(chi), bits, elements)
        run.transposeBits(elements, MASK_BYTES, turned, bits / 8, bits, 128)
        const columns = machine.room(8 * width * MASK_BYTES)
        run.transposeBits(machine.put(rows), width, columns, MASK_BYTES, BASE_OTS, 8 * width)
        const table = machine.room(2 * 16 * MASK_BYTES)
        const bitsOfSums = machine.room(128 * MASK_BYTES)
        const sums = machine.room(BASE_OTS * MASK_BYTES)
        run.foldColumns(columns, turned, bits, table, bitsOfSums, sums)
        return {
          sums: machine.take(sums, BASE_OTS * MASK_BYTES),
          columns: machine.take(columns, bits * MASK_BYTES),
        }
      })
    },

    pads: (key, columns) =>
      machine.call(() => {
        const out = machine.room(3 * XI * SCALAR_BYTES)
        run.pads(machine.put(key), machine.put(columns), XI, out)
        return machine.take(out, 3 * XI * SCALAR_BYTES)
      }),

    selectedSum: (choice, scalars) =>
      machine.call(() => {
        const out = machine.room(SCALAR_BYTES)
        const count = scalars.length / SCALAR_BYTES
        run.selectedSum(machine.put(choice), machine.put(scalars), count, out)
        return machine.take(out, SCALAR_BYTES)
      }),

    maskInputs: (key, columns, delta, inputs) =>
      machine.call(() => {
        const length = 3 * XI * SCALAR_BYTES
        const alpha0 = machine.room(length)
        const masked = machine.room(length)
        run.maskInputs(
          machine.put(key),
          machine.put(columns),
          XI,
          machine.put(delta),
          machine.put(inputs),
          alpha0,
          masked,
        )
        return { alpha0: machine.take(alpha0, length), masked: machine.take(masked, length) }
      }),

    senderSums: (gadget, alpha0, theta) =>
      machine.call(() => {
        const count = gadget.length / SCALAR_BYTES
        const rows = machine.room(gadget.length)
        const sums = machine.room(2 * SCALAR_BYTES)
        run.senderSums(
          machine.put(gadget),
          machine.put(alpha0),
          machine.put(theta),
          count,
          rows,
          sums,
        )
        return {
          rows: machine.take(rows, gadget.length),
          sums: machine.take(sums, 2 * SCALAR_BYTES),
        }
      }),

    receiverSums(gadget, beta, gamma, masked, theta, eta) {
      const minusEta = encodeScalar(mod(-decodeScalar(eta)))
      return machine.call(() => {
        const count = gadget.length / SCALAR_BYTES
        const rows = machine.room(gadget.length)
        const sums = machine.room(2 * SCALAR_BYTES)
        run.receiverSums(
          machine.put(gadget),
          machine.put(beta),
          machine.put(gamma),
          machine.put(masked),
          machine.put(theta),
          machine.put(minusEta),
          count,
          rows,
          sums,
        )
        return {
          rows: machine.take(rows, gadget.length),
          sums: machine.take(sums, 2 * SCALAR_BYTES),
        }
      })
    },
  })
}

function checkChallenge(rowLength: number, chi: Uint8Array): void {
  if (chi.length !== Math.ceil((rowLength - MASK_BYTES) / MASK_BYTES) * MASK_BYTES)
    throw new RangeError('one challenge for each block before the mask')
}
