import { ORDER, SCALAR_BYTES, WIDE_BYTES } from '../math/scalar.js'

/*
 * The scalar work of the multiplication over flat byte arrays, with bigints. Scalars are 32 bytes, big-endian; a row is
 * three of them.
 */

const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.length)

/** 128 bits, big-endian. */
const read128 = (view: DataView, at: number): bigint =>
  (view.getBigUint64(at) << 64n) | view.getBigUint64(at + 8)

/** Scalar `index` of a flat array. */
const scalar = (view: DataView, index: number): bigint => {
  const at = index * SCALAR_BYTES
  return (read128(view, at) << 128n) | read128(view, at + 16)
}

/** Writes 0 ≤ value < 2²⁵⁶ as entry `index` of a flat array. */
function write(view: DataView, index: number, value: bigint): void {
  const at = index * SCALAR_BYTES
  const high = value >> 128n
  const low = BigInt.asUintN(128, value)
  view.setBigUint64(at, high >> 64n)
  view.setBigUint64(at + 8, BigInt.asUintN(64, high))
  view.setBigUint64(at + 16, low >> 64n)
  view.setBigUint64(at + 24, BigInt.asUintN(64, low))
}

/** All ones when bit `index` is set, else all zeros: selects bytes without a branch. */
const maskOf = (bits: Uint8Array, index: number): number =>
  -((bits[index >> 3]! >> (index & 7)) & 1) & 0xff

/** mask ? b : a, byte by byte, 32 bytes. */
function select(out: Uint8Array, at: number, mask: number, a: Uint8Array, b: Uint8Array): void {
  for (let i = 0; i < SCALAR_BYTES; i++) out[at + i] = a[i]! ^ (mask & (a[i]! ^ b[i]!))
}

const HALF = (ORDER + 1n) / 2n

/** See Kernel.reduceScalars. */
export function reduceScalars(wide: Uint8Array): Uint8Array {
  const count = wide.length / WIDE_BYTES
  const out = new Uint8Array(count * SCALAR_BYTES)
  const [from, to] = [viewOf(wide), viewOf(out)]
  for (let i = 0; i < count; i++) {
    const at = i * WIDE_BYTES
    const top = (read128(from, at) << 128n) | read128(from, at + 16)
    write(to, i, ((top << 128n) | read128(from, at + 32)) % ORDER)
  }
  return out
}

/** α0_{j,i} − α1_{j,i} + a_i for rows of `a.length/32` scalars. */
export function maskInputs(alpha0: Uint8Array, alpha1: Uint8Array, a: Uint8Array): Uint8Array {
  const width = a.length / SCALAR_BYTES
  const inputs = Array.from({ length: width }, (_, i) => scalar(viewOf(a), i))
  const count = alpha0.length / SCALAR_BYTES
  const out = new Uint8Array(alpha0.length)
  const [zeros, ones, to] = [viewOf(alpha0), viewOf(alpha1), viewOf(out)]
  for (let j = 0; j < count; j++) {
    // n is added first, so that the sum is never negative and one % reduces it.
    write(to, j, (scalar(zeros, j) + ORDER - scalar(ones, j) + inputs[j % width]!) % ORDER)
  }
  return out
}

/** x_{j,2} + Σ_{i<2} θ_i·x_{j,i} for each row. */
export function combineRows(rows: Uint8Array, theta: Uint8Array): Uint8Array {
  const [theta0, theta1] = [scalar(viewOf(theta), 0), scalar(viewOf(theta), 1)]
  const count = rows.length / (3 * SCALAR_BYTES)
  const out = new Uint8Array(count * SCALAR_BYTES)
  const [x, to] = [viewOf(rows), viewOf(out)]
  for (let j = 0; j < count; j++) {
    const sum = theta0 * scalar(x, 3 * j) + theta1 * scalar(x, 3 * j + 1)
    write(to, j, (scalar(x, 3 * j + 2) + sum) % ORDER)
  }
  return out
}

/** Σ_j g_j·x_{j,i} for i = 0, 1; gives two scalars. */
export function gadgetSums(gadget: Uint8Array, rows: Uint8Array): Uint8Array {
  const count = gadget.length / SCALAR_BYTES
  const [g, x] = [viewOf(gadget), viewOf(rows)]
  let sum0 = 0n
  let sum1 = 0n
  for (let j = 0; j < count; j++) {
    const factor = scalar(g, j)
    sum0 += factor * scalar(x, 3 * j)
    sum1 += factor * scalar(x, 3 * j + 1)
  }
  const out = new Uint8Array(2 * SCALAR_BYTES)
  write(viewOf(out), 0, sum0 % ORDER)
  write(viewOf(out), 1, sum1 % ORDER)
  return out
}

/** g_j·x_{j,i} for i = 0, 1; gives i = 0 for all j, then i = 1. */
export function gadgetProducts(gadget: Uint8Array, rows: Uint8Array): Uint8Array {
  const count = gadget.length / SCALAR_BYTES
  const out = new Uint8Array(2 * count * SCALAR_BYTES)
  const [g, x, to] = [viewOf(gadget), viewOf(rows), viewOf(out)]
  for (let j = 0; j < count; j++) {
    const factor = scalar(g, j)
    write(to, j, (factor * scalar(x, 3 * j)) % ORDER)
    write(to, count + j, (factor * scalar(x, 3 * j + 1)) % ORDER)
  }
  return out
}

/** See Kernel.selectedSum. */
export function selectedSum(choice: Uint8Array, scalars: Uint8Array): Uint8Array {
  // Σ β_j·x_j = (Σ x_j + Σ ±x_j)/2 with + where β_j = 1: both signs are there before one is selected by bytes,
  // so no number is zero because a secret bit is.
  const count = scalars.length / SCALAR_BYTES
  const minus = new Uint8Array(SCALAR_BYTES)
  const signed = new Uint8Array(SCALAR_BYTES)
  const [from, negative, selected] = [viewOf(scalars), viewOf(minus), viewOf(signed)]
  let total = 0n
  for (let j = 0; j < count; j++) {
    const x = scalar(from, j)
    write(negative, 0, ORDER - x)
    const plus = scalars.subarray(j * SCALAR_BYTES, (j + 1) * SCALAR_BYTES)
    select(signed, 0, maskOf(choice, j), minus, plus)
    total += x + scalar(selected, 0)
  }
  signed.fill(0)
  const out = new Uint8Array(SCALAR_BYTES)
  write(viewOf(out), 0, ((total % ORDER) * HALF) % ORDER)
  return out
}

/** x_j + β_j·y_j mod n for each j, with the bits β secret. */
export function addSelected(choice: Uint8Array, x: Uint8Array, y: Uint8Array): Uint8Array {
  const count = x.length / SCALAR_BYTES
  const sum = new Uint8Array(SCALAR_BYTES)
  const out = new Uint8Array(x.length)
  const [base, more, both] = [viewOf(x), viewOf(y), viewOf(sum)]
  for (let j = 0; j < count; j++) {
    write(both, 0, (scalar(base, j) + scalar(more, j)) % ORDER)
    const alone = x.subarray(j * SCALAR_BYTES, (j + 1) * SCALAR_BYTES)
    select(out, j * SCALAR_BYTES, maskOf(choice, j), alone, sum)
  }
  sum.fill(0)
  return out
}
