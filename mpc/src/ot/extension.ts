import { concatBytes } from '../bytes.js'
import type { Kernel } from '../kernel/kernel.js'
import { xorInto } from '../math/gf128.js'
import { tags } from '../tags.js'
import { bitOf, byteMask } from './bits.js'
import {
  BASE_OTS,
  KEY_BYTES,
  LEAVES,
  LEAF_TABLE_BYTES,
  MASK_BYTES,
  TREES,
  TREE_DEPTH,
} from './parameters.js'
import { sessionKey } from './session-key.js'

/** The extension's consistency check failed: one guess at bits of Δ has been made. */
export class OtCheckFailed extends Error {
  override readonly name = 'OtCheckFailed'
}

const BLOCK_BYTES = 16

/** Bytes of the extension message for `choiceBytes` bytes of choice bits: u of each tree, x̂, t̂ of each row. */
export const extensionBytes = (choiceBytes: number): number =>
  TREES * (choiceBytes + MASK_BYTES) + MASK_BYTES + BASE_OTS * MASK_BYTES

const blocksOf = (choiceBytes: number): number => Math.ceil(choiceBytes / BLOCK_BYTES)

/** χ_k for each block, from the whole of u. docs/spec/ot.md, steps 3.1.5 and 3.2.4. */
const challenge = (kernel: Kernel, sid: Uint8Array, u: Uint8Array, blocks: number): Uint8Array =>
  kernel.hash(sessionKey(kernel, sid, tags.otChallenge), u, blocks * BLOCK_BYTES)

/** The choice columns of `rows` without their mask block, transposed: 16 bytes for each choice bit. */
function columnsOf(kernel: Kernel, rows: Uint8Array, choiceBytes: number): Uint8Array {
  const width = choiceBytes + MASK_BYTES
  const bare = new Uint8Array(BASE_OTS * choiceBytes)
  for (let row = 0; row < BASE_OTS; row++)
    bare.set(rows.subarray(row * width, row * width + choiceBytes), row * choiceBytes)
  const columns = kernel.transpose(bare, BASE_OTS, choiceBytes * 8)
  bare.fill(0)
  return columns
}

/**
 * The extension receiver: all leaves are known, `choice` is secret and so is `mask`, 16 fresh random bytes.
 * docs/spec/ot.md, step 3.1.
 * @returns the message, and v_j for each choice bit j, 16 bytes each
 */
export function extendReceiver(
  kernel: Kernel,
  sid: Uint8Array,
  leaves: Uint8Array,
  choice: Uint8Array,
  mask: Uint8Array,
): { message: Uint8Array; v: Uint8Array } {
  if (leaves.length !== LEAF_TABLE_BYTES || mask.length !== MASK_BYTES)
    throw new RangeError('the leaves or the mask have a wrong length')
  const width = choice.length + MASK_BYTES
  const r = kernel.hashRows(sessionKey(kernel, sid, tags.otExpand), leaves, KEY_BYTES, width) // 3.1.1
  const x = concatBytes(choice, mask) // 3.1.2
  const message = new Uint8Array(extensionBytes(choice.length))
  const u = message.subarray(0, TREES * width)
  const rows = new Uint8Array(BASE_OTS * width)
  for (let g = 0; g < TREES; g++) {
    const ug = u.subarray(g * width, (g + 1) * width)
    ug.set(x)
    for (let y = 0; y < LEAVES; y++) {
      const ry = r.subarray((LEAVES * g + y) * width, (LEAVES * g + y + 1) * width)
      xorInto(ug, ry) // 3.1.3  u_g ← Σ_y r_{g,y} + x
      for (let b = 0; b < TREE_DEPTH; b++) {
        // y is the loop's, not a secret: 3.1.4  v_{2g+b} ← Σ_y y_b·r_{g,y}
        const row = TREE_DEPTH * g + b
        if (((y >> b) & 1) === 1) xorInto(rows.subarray(row * width, (row + 1) * width), ry)
      }
    }
  }
  const chi = challenge(kernel, sid, u, blocksOf(choice.length)) // 3.1.5
  const xHat = kernel.foldRows(x, width, chi) // 3.1.6
  const tHat = kernel.foldRows(rows, width, chi) // 3.1.7
  message.set(xHat, u.length)
  message.set(tHat, u.length + MASK_BYTES)
  const v = columnsOf(kernel, rows, choice.length) // 3.1.8
  r.fill(0)
  x.fill(0)
  rows.fill(0)
  return { message, v }
}

/**
 * The extension sender: knows Δ and all leaves but Δ_g of each tree. docs/spec/ot.md, step 3.2. The message has
 * `extensionBytes(choiceBytes)` bytes, checked by the caller.
 * @returns w_j for each choice bit j of the receiver, 16 bytes each: w_j = v_j + choice_j·Δ
 * @throws OtCheckFailed after all rows have been looked at
 */
export function extendSender(
  kernel: Kernel,
  sid: Uint8Array,
  leaves: Uint8Array,
  delta: Uint8Array,
  choiceBytes: number,
  message: Uint8Array,
): Uint8Array {
  if (message.length !== extensionBytes(choiceBytes) || leaves.length !== LEAF_TABLE_BYTES)
    throw new RangeError('the leaves or the message have a wrong length')
  const width = choiceBytes + MASK_BYTES
  const r = kernel.hashRows(sessionKey(kernel, sid, tags.otExpand), leaves, KEY_BYTES, width) // 3.2.1
  const u = message.subarray(0, TREES * width)
  const rows = new Uint8Array(BASE_OTS * width)
  for (let g = 0; g < TREES; g++) {
    const ug = u.subarray(g * width, (g + 1) * width)
    for (let b = 0; b < TREE_DEPTH; b++) {
      const row = TREE_DEPTH * g + b
      const w = rows.subarray(row * width, (row + 1) * width)
      const deltaBit = bitOf(delta, row)
      const useU = byteMask(deltaBit)
      for (let k = 0; k < width; k++) w[k] = useU & ug[k]! // 3.2.3  … + Δ_{2g+b}·u_g
      for (let y = 0; y < LEAVES; y++) {
        const use = byteMask(deltaBit ^ ((y >> b) & 1)) // 3.2.2  Σ_y (Δ_g + y)_b·r_{g,y}
        const start = (LEAVES * g + y) * width
        for (let k = 0; k < width; k++) w[k]! ^= use & r[start + k]!
      }
    }
  }
  const chi = challenge(kernel, sid, u, blocksOf(choiceBytes)) // 3.2.4
  const q = kernel.foldRows(rows, width, chi) // 3.2.5
  const xHat = message.subarray(u.length, u.length + MASK_BYTES)
  const tHat = message.subarray(u.length + MASK_BYTES)
  let difference = 0
  for (let row = 0; row < BASE_OTS; row++) {
    const mask = byteMask(bitOf(delta, row))
    for (let k = 0; k < MASK_BYTES; k++) {
      const at = row * MASK_BYTES + k
      difference |= q[at]! ^ tHat[at]! ^ (mask & xHat[k]!) // 3.2.6  q̂ = t̂ + Δ_row·x̂
    }
  }
  r.fill(0)
  q.fill(0)
  if (difference !== 0) {
    rows.fill(0)
    throw new OtCheckFailed('the consistency check of the OT extension does not hold') // 3.2.6
  }
  const w = columnsOf(kernel, rows, choiceBytes) // 3.2.7
  rows.fill(0)
  return w
}

/** Adds Δ to each 16-byte column: the pads' other branch. */
export function addDelta(columns: Uint8Array, delta: Uint8Array): Uint8Array {
  const out = columns.slice()
  for (let at = 0; at < out.length; at += delta.length)
    xorInto(out.subarray(at, at + delta.length), delta)
  return out
}
