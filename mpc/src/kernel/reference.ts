import { concatBytes, wipe } from '../bytes.js'
import { ORDER, SCALAR_BYTES, WIDE_BYTES, decodeScalar, encodeScalar, mod } from '../math/scalar.js'
import { xorInto } from '../math/gf128.js'
import { BASE_OTS, KEY_BYTES, MASK_BYTES, XI } from '../ot/parameters.js'
import { keyedBlake3 } from '../transcript.js'
import { hashShortRows } from './blake3-rows.js'
import { foldRows } from './fold.js'
import type { Kernel } from './kernel.js'
import { columnsOf, receiverRows, senderRows } from './ot-rows.js'
import {
  addSelected,
  combineRows,
  gadgetProducts,
  gadgetSums,
  maskInputs,
  reduceScalars,
  selectedSum,
} from './scalar-rows.js'

/** Three scalars for each column. */
function pads(key: Uint8Array, columns: Uint8Array): Uint8Array {
  const wide = hashShortRows(key, columns, MASK_BYTES, 3 * WIDE_BYTES)
  const out = reduceScalars(wide)
  wide.fill(0)
  return out
}

/** θ_0, θ_1. docs/spec/vole.md, step 4.5 */
const challenge = (key: Uint8Array, message: Uint8Array, masked: Uint8Array): Uint8Array =>
  reduceScalars(keyedBlake3(key, concatBytes(message, masked), 2 * WIDE_BYTES))

/** Adds Δ to each column: the pads' other branch. */
function addDelta(columns: Uint8Array, delta: Uint8Array): Uint8Array {
  const out = columns.slice()
  for (let at = 0; at < out.length; at += delta.length)
    xorInto(out.subarray(at, at + delta.length), delta)
  return out
}

/** Plain TypeScript over BLAKE3 and bigints: what every other kernel must agree with, byte for byte. */
export const referenceKernel: Kernel = Object.freeze<Kernel>({
  name: 'reference',

  hash: keyedBlake3,

  hashRows: hashShortRows,

  reduceScalars,

  receiverRows,

  senderRows,

  foldRow: foldRows,

  foldRows: (rows, chi) => ({
    sums: foldRows(rows, rows.length / BASE_OTS, chi),
    columns: columnsOf(rows),
  }),

  selectedSum,

  answerMultiplication(keys, gadget, columns, delta, inputs, message) {
    const other = addDelta(columns, delta)
    const alpha0 = pads(keys.pad, columns) // 4.3
    const alpha1 = pads(keys.pad, other)
    const masked = maskInputs(alpha0, alpha1, inputs) // 4.4
    const theta = challenge(keys.theta, message, masked) // 4.5
    const eta = combineRows(inputs, theta) // 4.6
    const rows = combineRows(alpha0, theta) // 4.7
    const mu = keyedBlake3(keys.mu, rows, KEY_BYTES)
    const sums = gadgetSums(gadget, alpha0) // 4.8
    wipe(other, alpha0, alpha1, rows)
    return { answer: concatBytes(masked, eta, mu), sums }
  },

  finishMultiplication(keys, gadget, beta, columns, message, answer) {
    const masked = answer.subarray(0, 3 * XI * SCALAR_BYTES)
    const eta = answer.subarray(masked.length, masked.length + SCALAR_BYTES)
    const gamma = pads(keys.pad, columns) // 3.4
    const theta = challenge(keys.theta, message, masked) // 5.3
    // 5.4  Row j: γ̂_j + Σ θ_i·γ_{j,i}, and for β_j = 1 also â~_j + Σ θ_i·ã_{j,i} − η. The bracket is public.
    const alone = combineRows(gamma, theta)
    const minusEta = encodeScalar(mod(ORDER - decodeScalar(eta)))
    const more = maskInputs(combineRows(masked, theta), new Uint8Array(XI * SCALAR_BYTES), minusEta)
    const rows = addSelected(beta, alone, more)
    const mu = keyedBlake3(keys.mu, rows, KEY_BYTES)
    // 5.6  Σ_j g_j·(γ_{j,i} + β_j·ã_{j,i}), the second sum over public products by secret bits
    const products = gadgetProducts(gadget, masked)
    const half = products.length / 2
    const ofPads = gadgetSums(gadget, gamma)
    const sums = new Uint8Array(2 * SCALAR_BYTES)
    for (const i of [0, 1]) {
      const at = i * SCALAR_BYTES
      const chosen = selectedSum(beta, products.subarray(i * half, (i + 1) * half))
      const sum = decodeScalar(ofPads.subarray(at, at + SCALAR_BYTES)) + decodeScalar(chosen)
      sums.set(encodeScalar(mod(sum)), at)
      chosen.fill(0)
    }
    wipe(gamma, alone, rows, ofPads)
    return { mu, sums }
  },
})
