import { concatBytes, wipe } from '../bytes.js'
import type { Kernel } from '../kernel/kernel.js'
import { xorInto } from '../math/gf128.js'
import { tags } from '../tags.js'
import { bitOf, byteMask } from './bits.js'
import { BASE_OTS, LEAF_TABLE_BYTES, MASK_BYTES, TREES } from './parameters.js'
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
  const x = concatBytes(choice, mask) // 3.1.2
  const key = sessionKey(kernel, sid, tags.otExpand)
  const { u, rows } = kernel.receiverRows(key, leaves, x) // 3.1.1, 3.1.3, 3.1.4
  const chi = challenge(kernel, sid, u, blocksOf(choice.length)) // 3.1.5
  const xHat = kernel.foldRow(x, x.length, chi) // 3.1.6
  const { sums: tHat, columns: v } = kernel.foldRows(rows, chi) // 3.1.7, 3.1.8
  wipe(x, rows)
  return { message: concatBytes(u, xHat, tHat), v }
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
  const u = message.subarray(0, TREES * (choiceBytes + MASK_BYTES))
  const key = sessionKey(kernel, sid, tags.otExpand)
  const rows = kernel.senderRows(key, leaves, delta, u) // 3.2.1–3.2.3
  const chi = challenge(kernel, sid, u, blocksOf(choiceBytes)) // 3.2.4
  const { sums: q, columns: w } = kernel.foldRows(rows, chi) // 3.2.5, and 3.2.7 if 3.2.6 holds
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
  wipe(rows, q)
  if (difference !== 0) {
    wipe(w)
    throw new OtCheckFailed('the consistency check of the OT extension does not hold') // 3.2.6
  }
  return w
}

/** Adds Δ to each 16-byte column: the pads' other branch. */
export function addDelta(columns: Uint8Array, delta: Uint8Array): Uint8Array {
  const out = columns.slice()
  for (let at = 0; at < out.length; at += delta.length)
    xorInto(out.subarray(at, at + delta.length), delta)
  return out
}
