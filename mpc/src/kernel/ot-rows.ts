import { xorInto } from '../math/gf128.js'
import { bitOf, byteMask } from '../ot/bits.js'
import { BASE_OTS, KEY_BYTES, LEAVES, MASK_BYTES, TREES, TREE_DEPTH } from '../ot/parameters.js'
import { hashShortRows } from './blake3-rows.js'
import type { ReceiverRows } from './kernel.js'
import { transpose } from './transpose.js'

/** See Kernel.receiverRows. */
export function receiverRows(key: Uint8Array, leaves: Uint8Array, x: Uint8Array): ReceiverRows {
  const width = x.length
  const r = hashShortRows(key, leaves, KEY_BYTES, width) // 3.1.1
  const u = new Uint8Array(TREES * width)
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
  r.fill(0)
  return { u, rows }
}

/** See Kernel.senderRows. */
export function senderRows(
  key: Uint8Array,
  leaves: Uint8Array,
  delta: Uint8Array,
  u: Uint8Array,
): Uint8Array {
  const width = u.length / TREES
  const r = hashShortRows(key, leaves, KEY_BYTES, width) // 3.2.1
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
  r.fill(0)
  return rows
}

/** The rows without their last 16 bytes, transposed: 16 bytes for each choice bit. */
export function columnsOf(rows: Uint8Array): Uint8Array {
  const width = rows.length / BASE_OTS
  const choiceBytes = width - MASK_BYTES
  const bare = new Uint8Array(BASE_OTS * choiceBytes)
  for (let row = 0; row < BASE_OTS; row++)
    bare.set(rows.subarray(row * width, row * width + choiceBytes), row * choiceBytes)
  const columns = transpose(bare, BASE_OTS, choiceBytes * 8)
  bare.fill(0)
  return columns
}
