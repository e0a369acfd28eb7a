import { ORDER, SCALAR_BYTES, WIDE_BYTES, readUint, writeUint256 } from '../math/scalar.js'
import { keyedBlake3 } from '../transcript.js'
import { hashShortRows } from './blake3-rows.js'
import { foldRows } from './fold.js'
import type { Kernel } from './kernel.js'
import { transpose } from './transpose.js'

const scalar = (bytes: Uint8Array, index: number): bigint =>
  readUint(bytes, index * SCALAR_BYTES, SCALAR_BYTES)

/** All ones when bit `index` is set, else all zeros: selects bytes without a branch. */
const maskOf = (bits: Uint8Array, index: number): number =>
  -((bits[index >> 3]! >> (index & 7)) & 1) & 0xff

/** mask ? b : a, byte by byte, 32 bytes. */
function select(out: Uint8Array, at: number, mask: number, a: Uint8Array, b: Uint8Array): void {
  for (let i = 0; i < SCALAR_BYTES; i++) out[at + i] = a[i]! ^ (mask & (a[i]! ^ b[i]!))
}

const HALF = (ORDER + 1n) / 2n

/** Plain TypeScript over BLAKE3 and bigints: what every other kernel must agree with, byte for byte. */
export const referenceKernel: Kernel = Object.freeze<Kernel>({
  name: 'reference',

  hash: keyedBlake3,

  hashRows: hashShortRows,

  reduceScalars(wide) {
    const count = wide.length / WIDE_BYTES
    const out = new Uint8Array(count * SCALAR_BYTES)
    for (let i = 0; i < count; i++)
      writeUint256(readUint(wide, i * WIDE_BYTES, WIDE_BYTES) % ORDER, out, i * SCALAR_BYTES)
    return out
  },

  transpose,

  foldRows,

  maskInputs(alpha0, alpha1, a) {
    const width = a.length / SCALAR_BYTES
    const inputs = Array.from({ length: width }, (_, i) => scalar(a, i))
    const count = alpha0.length / SCALAR_BYTES
    const out = new Uint8Array(alpha0.length)
    for (let j = 0; j < count; j++) {
      // n is added first, so that the sum is never negative and one % reduces it.
      const sum = scalar(alpha0, j) + ORDER - scalar(alpha1, j) + inputs[j % width]!
      writeUint256(sum % ORDER, out, j * SCALAR_BYTES)
    }
    return out
  },

  combineRows(rows, theta) {
    const theta0 = scalar(theta, 0)
    const theta1 = scalar(theta, 1)
    const count = rows.length / (3 * SCALAR_BYTES)
    const out = new Uint8Array(count * SCALAR_BYTES)
    for (let j = 0; j < count; j++) {
      const sum =
        scalar(rows, 3 * j + 2) + theta0 * scalar(rows, 3 * j) + theta1 * scalar(rows, 3 * j + 1)
      writeUint256(sum % ORDER, out, j * SCALAR_BYTES)
    }
    return out
  },

  gadgetSums(gadget, rows) {
    const count = gadget.length / SCALAR_BYTES
    let sum0 = 0n
    let sum1 = 0n
    for (let j = 0; j < count; j++) {
      const g = scalar(gadget, j)
      sum0 += g * scalar(rows, 3 * j)
      sum1 += g * scalar(rows, 3 * j + 1)
    }
    const out = new Uint8Array(2 * SCALAR_BYTES)
    writeUint256(sum0 % ORDER, out, 0)
    writeUint256(sum1 % ORDER, out, SCALAR_BYTES)
    return out
  },

  gadgetProducts(gadget, rows) {
    const count = gadget.length / SCALAR_BYTES
    const out = new Uint8Array(2 * count * SCALAR_BYTES)
    for (let j = 0; j < count; j++) {
      const g = scalar(gadget, j)
      writeUint256((g * scalar(rows, 3 * j)) % ORDER, out, j * SCALAR_BYTES)
      writeUint256((g * scalar(rows, 3 * j + 1)) % ORDER, out, (count + j) * SCALAR_BYTES)
    }
    return out
  },

  selectedSum(choice, scalars) {
    // Σ β_j·x_j = (Σ x_j + Σ ±x_j)/2 with + where β_j = 1: both signs are there before one is selected by bytes,
    // so no number is zero because a secret bit is.
    const count = scalars.length / SCALAR_BYTES
    const minus = new Uint8Array(SCALAR_BYTES)
    const signed = new Uint8Array(SCALAR_BYTES)
    let total = 0n
    for (let j = 0; j < count; j++) {
      const x = scalar(scalars, j)
      writeUint256(ORDER - x, minus, 0)
      const plus = scalars.subarray(j * SCALAR_BYTES, (j + 1) * SCALAR_BYTES)
      select(signed, 0, maskOf(choice, j), minus, plus)
      total += x + scalar(signed, 0)
    }
    signed.fill(0)
    const out = new Uint8Array(SCALAR_BYTES)
    writeUint256(((total % ORDER) * HALF) % ORDER, out, 0)
    return out
  },

  addSelected(choice, x, y) {
    const count = x.length / SCALAR_BYTES
    const sum = new Uint8Array(SCALAR_BYTES)
    const out = new Uint8Array(x.length)
    for (let j = 0; j < count; j++) {
      writeUint256((scalar(x, j) + scalar(y, j)) % ORDER, sum, 0)
      const alone = x.subarray(j * SCALAR_BYTES, (j + 1) * SCALAR_BYTES)
      select(out, j * SCALAR_BYTES, maskOf(choice, j), alone, sum)
    }
    sum.fill(0)
    return out
  },
})
