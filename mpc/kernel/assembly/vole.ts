// The multiplication's pads and sums. docs/spec/vole.md
import { BLOCK } from './blake3'
import { hashFourRows, setRowKey } from './hash'
import { scratch } from './memory'
import {
  COLUMNS,
  LIMBS,
  PRODUCTS,
  SCALAR,
  WIDE,
  addLimbs,
  addMasked,
  addProduct,
  carry,
  fromBytes,
  fromWide,
  reduce,
  setProducts,
  subtractAdd,
  toBytes,
} from './scalar'

/** Scalars in a row: two inputs, and the one that carries the check. */
const WIDTH: usize = 3
/** What four rows are hashed to. */
const PAD_BLOCKS: usize = (WIDTH * WIDE + BLOCK - 1) / BLOCK
const PAD_STEP: usize = PAD_BLOCKS * BLOCK

// In the scratch, behind that of the hash:
const PADS: usize = 1024
const OTHER_PADS: usize = PADS + 4 * PAD_STEP
const SUM_U: usize = OTHER_PADS + 4 * PAD_STEP
const SUM_V: usize = SUM_U + COLUMNS
const SUM_ROW: usize = SUM_V + COLUMNS
const VALUES: usize = SUM_ROW + COLUMNS

/** One of the scalars in limbs that a function works with. */
@inline
function value(index: usize): usize {
  return scratch() + VALUES + LIMBS * index
}

/** 48 bytes to a scalar, `count` times. */
export function reduceScalars(wide: usize, count: usize, out: usize): void {
  const x = value(0)
  for (let i: usize = 0; i < count; i++) {
    fromWide(wide + WIDE * i, x)
    toBytes(x, out + SCALAR * i)
  }
}

/** Three numbers in limbs for each of `count` columns of 16 bytes, a multiple of four: step 3.4. */
export function pads(key: usize, columns: usize, count: usize, out: usize): void {
  const wide = scratch() + PADS
  setRowKey(key)
  for (let j: usize = 0; j < count; j += 4) {
    hashFourRows(<i32>j, columns + 16 * j, 16, i64x2.splat(0), wide, PAD_STEP, <i32>PAD_BLOCKS)
    for (let k: usize = 0; k < 4; k++)
      for (let i: usize = 0; i < WIDTH; i++)
        fromWide(wide + k * PAD_STEP + i * WIDE, out + ((j + k) * WIDTH + i) * LIMBS)
  }
}

/**
 * Steps 4.3 and 4.4: the pads of both branches, α0 in limbs, and their difference with the inputs added, ã.
 */
export function maskInputs(
  key: usize,
  columns: usize,
  count: usize,
  delta: usize,
  inputs: usize,
  alpha0: usize,
  masked: usize,
): void {
  const wide = scratch() + PADS
  const other = scratch() + OTHER_PADS
  const added = v128.load(delta)
  const y = value(1)
  for (let i: usize = 0; i < WIDTH; i++) fromBytes(inputs + i * SCALAR, value(2 + i))
  setRowKey(key)
  for (let j: usize = 0; j < count; j += 4) {
    const rows = columns + 16 * j
    hashFourRows(<i32>j, rows, 16, i64x2.splat(0), wide, PAD_STEP, <i32>PAD_BLOCKS)
    hashFourRows(<i32>j, rows, 16, added, other, PAD_STEP, <i32>PAD_BLOCKS)
    for (let k: usize = 0; k < 4; k++)
      for (let i: usize = 0; i < WIDTH; i++) {
        const at = (j + k) * WIDTH + i
        const x = alpha0 + at * LIMBS
        fromWide(wide + k * PAD_STEP + i * WIDE, x)
        fromWide(other + k * PAD_STEP + i * WIDE, y)
        subtractAdd(x, y, value(2 + i), masked + at * SCALAR)
      }
  }
}

/** Zero for bit 0, all ones for bit 1. */
@inline
function maskOf(bits: usize, index: usize): u64 {
  return -(<u64>((load<u8>(bits + (index >> 3)) >> <u8>(index & 7)) & 1))
}

function clearSums(): void {
  memory.fill(scratch() + SUM_U, 0, 2 * COLUMNS)
}

/** Σ_j β_j·x_j over `count` scalars: step 3.3. */
export function selectedSum(choice: usize, scalars: usize, count: usize, out: usize): void {
  const sum = scratch() + SUM_U
  const x = value(0)
  clearSums()
  for (let j: usize = 0; j < count; j++) {
    fromBytes(scalars + SCALAR * j, x)
    addMasked(sum, x, maskOf(choice, j))
  }
  reduce(sum, out)
}

/** g_j·x_0 and g_j·x_1 to the two sums, and x_2 + θ_0·x_0 + θ_1·x_1 to SUM_ROW. */
function addRow(j: usize, gadget: usize, x: usize, theta: usize): void {
  const u = scratch() + SUM_U
  const v = scratch() + SUM_V
  const g = value(5)
  fromBytes(gadget + SCALAR * j, g)
  addProduct(u, g, x)
  addProduct(v, g, x + LIMBS)
  if ((<i32>j & (PRODUCTS - 1)) === PRODUCTS - 1) {
    carry(u)
    carry(v)
  }
  setProducts(scratch() + SUM_ROW, theta, x, theta + LIMBS, x + LIMBS, x + 2 * LIMBS)
}

/** Step 4.6: η, from the inputs a_u, a_v, â. */
export function senderEta(inputs: usize, theta: usize, out: usize): void {
  const row = scratch() + SUM_ROW
  const x = value(0)
  const t = value(3)
  for (let i: usize = 0; i < WIDTH; i++) fromBytes(inputs + i * SCALAR, x + LIMBS * i)
  fromBytes(theta, t)
  fromBytes(theta + SCALAR, t + LIMBS)
  setProducts(row, t, x, t + LIMBS, x + LIMBS, x + 2 * LIMBS)
  reduce(row, out)
}

/** Steps 4.7 and 4.8: the check's rows, and Σ_j g_j·α0_{j,i} for i = 0, 1. α0 is in limbs. */
export function senderSums(
  gadget: usize,
  alpha0: usize,
  theta: usize,
  count: usize,
  rows: usize,
  sums: usize,
): void {
  const t = value(3)
  fromBytes(theta, t)
  fromBytes(theta + SCALAR, t + LIMBS)
  clearSums()
  for (let j: usize = 0; j < count; j++) {
    addRow(j, gadget, alpha0 + j * WIDTH * LIMBS, t)
    reduce(scratch() + SUM_ROW, rows + SCALAR * j)
  }
  takeSums(sums)
}

/**
 * Steps 5.4 and 5.6: the check's rows, and Σ_j g_j·(γ_{j,i} + β_j·ã_{j,i}) for i = 0, 1. γ is in limbs; afterwards it is
 * γ + β·ã.
 */
export function receiverSums(
  gadget: usize,
  choice: usize,
  gamma: usize,
  masked: usize,
  theta: usize,
  minusEta: usize,
  count: usize,
  rows: usize,
  sums: usize,
): void {
  const row = scratch() + SUM_ROW
  const t = value(3)
  const y = value(6)
  const less = value(7)
  fromBytes(theta, t)
  fromBytes(theta + SCALAR, t + LIMBS)
  fromBytes(minusEta, less)
  clearSums()
  for (let j: usize = 0; j < count; j++) {
    const mask = maskOf(choice, j)
    const x = gamma + j * WIDTH * LIMBS
    for (let i: usize = 0; i < WIDTH; i++) {
      fromBytes(masked + (j * WIDTH + i) * SCALAR, y)
      addLimbs(x + LIMBS * i, y, mask)
    }
    addRow(j, gadget, x, t)
    addMasked(row, less, mask)
    reduce(row, rows + SCALAR * j)
  }
  takeSums(sums)
}

function takeSums(out: usize): void {
  reduce(scratch() + SUM_U, out)
  reduce(scratch() + SUM_V, out + SCALAR)
}
