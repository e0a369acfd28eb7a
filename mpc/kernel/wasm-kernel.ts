import type { Kernel } from '../src/kernel/kernel.js'
import { SCALAR_BYTES, WIDE_BYTES, decodeScalar, encodeScalar, mod } from '../src/math/scalar.js'
import { BASE_OTS, KEY_BYTES, LEAVES, MASK_BYTES, TREES, XI } from '../src/ot/parameters.js'
import { theMachine, type Address, type Machine } from './machine.js'
import { referenceKernel } from '../src/kernel/reference.js'

const BLOCK = 64
const CHUNK = 1024
/** Vector instructions may write this much past an end. */
const SLACK = 16

/** Pads of one multiplication. */
const PAD_COUNT = 3 * XI
/** Bytes of a pad in the kernel's limbs. */
const LIMBS_BYTES = 36
/** ã, and ã ‖ η ‖ μ. */
const MASKED_BYTES = PAD_COUNT * SCALAR_BYTES
const ANSWER_BYTES = MASKED_BYTES + SCALAR_BYTES + KEY_BYTES

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

  /** Hashes what lies in the kernel's memory, to where there is room for `blocks` blocks. */
  const hashAt = (
    key: Uint8Array,
    from: Address,
    length: number,
    out: Address,
    blocks: number,
  ): void => {
    if (key.length !== KEY_BYTES) throw new RangeError('a BLAKE3 key has 32 bytes')
    const work = machine.room(length / (CHUNK / 32) + BLOCK)
    run.hash(machine.put(key), from, length, work, out, blocks)
  }

  /** θ_0, θ_1 from what lies in the kernel's memory. docs/spec/vole.md, step 4.5 */
  const challenge = (key: Uint8Array, from: Address, length: number): Address => {
    const wide = machine.room(2 * BLOCK)
    const theta = machine.room(2 * SCALAR_BYTES)
    hashAt(key, from, length, wide, 2)
    run.reduceScalars(wide, 2, theta)
    return theta
  }

  return Object.freeze<Kernel>({
    name: 'wasm',

    hash: (key, message, length) =>
      machine.call(() => {
        const blocks = blocksOf(length)
        const out = machine.room(blocks * BLOCK)
        hashAt(key, machine.put(message), message.length, out, blocks)
        return machine.take(out, length)
      }),

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

    selectedSum: (choice, scalars) =>
      machine.call(() => {
        const out = machine.room(SCALAR_BYTES)
        const count = scalars.length / SCALAR_BYTES
        run.selectedSum(machine.put(choice), machine.put(scalars), count, out)
        return machine.take(out, SCALAR_BYTES)
      }),

    answerMultiplication: (keys, gadget, columns, delta, inputs, message) =>
      machine.call(() => {
        // message ‖ ã is what θ comes from, ã ‖ η ‖ μ the answer; the hash writes whole blocks.
        const hashed = machine.room(message.length + ANSWER_BYTES + BLOCK)
        machine.set(hashed, message)
        const masked = hashed + message.length
        const eta = masked + MASKED_BYTES
        const alpha0 = machine.room(PAD_COUNT * LIMBS_BYTES)
        const from = machine.put(inputs)
        run.maskInputs(
          machine.put(keys.pad),
          machine.put(columns),
          XI,
          machine.put(delta),
          from,
          alpha0,
          masked,
        )
        const theta = challenge(keys.theta, hashed, message.length + MASKED_BYTES)
        run.senderEta(from, theta, eta)
        const rows = machine.room(XI * SCALAR_BYTES)
        const sums = machine.room(2 * SCALAR_BYTES)
        run.senderSums(machine.put(gadget), alpha0, theta, XI, rows, sums)
        hashAt(keys.mu, rows, XI * SCALAR_BYTES, eta + SCALAR_BYTES, 1)
        return {
          answer: machine.take(masked, ANSWER_BYTES),
          sums: machine.take(sums, 2 * SCALAR_BYTES),
        }
      }),

    finishMultiplication(keys, gadget, beta, columns, message, answer) {
      const eta = answer.subarray(MASKED_BYTES, MASKED_BYTES + SCALAR_BYTES)
      const minusEta = encodeScalar(mod(-decodeScalar(eta)))
      return machine.call(() => {
        const hashed = machine.room(message.length + ANSWER_BYTES)
        const masked = hashed + message.length
        machine.set(hashed, message)
        machine.set(masked, answer)
        const theta = challenge(keys.theta, hashed, message.length + MASKED_BYTES)
        const gamma = machine.room(PAD_COUNT * LIMBS_BYTES)
        run.pads(machine.put(keys.pad), machine.put(columns), XI, gamma)
        const rows = machine.room(XI * SCALAR_BYTES)
        const sums = machine.room(2 * SCALAR_BYTES)
        run.receiverSums(
          machine.put(gadget),
          machine.put(beta),
          gamma,
          masked,
          theta,
          machine.put(minusEta),
          XI,
          rows,
          sums,
        )
        const mu = machine.room(BLOCK)
        hashAt(keys.mu, rows, XI * SCALAR_BYTES, mu, 1)
        return { mu: machine.take(mu, KEY_BYTES), sums: machine.take(sums, 2 * SCALAR_BYTES) }
      })
    },
  })
}

function checkChallenge(rowLength: number, chi: Uint8Array): void {
  if (chi.length !== Math.ceil((rowLength - MASK_BYTES) / MASK_BYTES) * MASK_BYTES)
    throw new RangeError('one challenge for each block before the mask')
}
