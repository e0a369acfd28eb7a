// The multiplication's pads and sums. docs/spec/vole.md
import { BLOCK } from './blake3'
import { hashFourColumns, setRowKey } from './hash'
import {
  FOUR,
  FOUR_WIDE,
  OTHER_PAIR,
  PAIR_COLUMNS,
  addProductPair,
  foldWidePair,
  fourFromBytes,
  fourToBytes,
  fourWide,
  productsPair,
  reducePair,
  subtractAddPair,
} from './lanes'
import { scratch } from './memory'
import {
  COLUMNS,
  LIMBS,
  SCALAR,
  WIDE,
  addMasked,
  fromBytes,
  fromWide,
  reduce,
  setProducts,
  toBytes,
} from './scalar'

/** Scalars in a row: two inputs, and the one that carries the check. */
const WIDTH: usize = 3
/** What four rows are hashed to, as words in lanes; what 48 bytes of each are of it. */
const FOUR_PADS: usize = 4 * 3 * BLOCK
const FOUR_PAD: usize = 4 * WIDE
/** Four rows in limbs. */
const FOUR_ROWS: usize = WIDTH * FOUR

// In the scratch, behind that of the hash:
const PADS: usize = 1024
const OTHER_PADS: usize = PADS + FOUR_PADS
/** a row's three sums, where the pads were, */
const SUM_U: usize = PADS
const SUM_V: usize = SUM_U + PAIR_COLUMNS
const PRODUCTS: usize = SUM_V + PAIR_COLUMNS
/** and numbers that are not four at once; */
const SUM: usize = PRODUCTS + PAIR_COLUMNS
const VALUES: usize = SUM + COLUMNS
/** four numbers each, the first three the same for all rows; */
const FOURS: usize = OTHER_PADS + FOUR_PADS
const WIDE_LIMBS: usize = FOURS + 6 * FOUR
const PAIR: usize = WIDE_LIMBS + FOUR_WIDE

/** One of the scalars in limbs that a function works with. */
@inline
function value(index: usize): usize {
  return scratch() + VALUES + LIMBS * index
}

/** Four numbers in limbs. */
@inline
function four(index: usize): usize {
  return scratch() + FOURS + FOUR * index
}

/** One scalar for all four lanes. */
function spreadScalar(from: usize, to: usize): void {
  fourFromBytes(from, 0, to, scratch() + PAIR)
}

/** 48 bytes to a scalar, `count` times. */
export function reduceScalars(wide: usize, count: usize, out: usize): void {
  const x = value(0)
  for (let i: usize = 0; i < count; i++) {
    fromWide(wide + WIDE * i, x)
    toBytes(x, out + SCALAR * i)
  }
}

/** Four of the pads at `words` in limbs. */
@inline
function padInLimbs(words: usize, to: usize): void {
  const wide = scratch() + WIDE_LIMBS
  fourWide(words, wide)
  foldWidePair(wide, to)
  foldWidePair(wide + OTHER_PAIR, to + OTHER_PAIR)
}

/** Three numbers for each of `count` columns of 16 bytes, a multiple of four: step 3.4. In limbs, four rows at once. */
export function pads(key: usize, columns: usize, count: usize, out: usize): void {
  const words = scratch() + PADS
  setRowKey(key)
  for (let j: usize = 0; j < count; j += 4) {
    hashFourColumns(<i32>j, columns + 16 * j, i64x2.splat(0), words)
    for (let i: usize = 0; i < WIDTH; i++) padInLimbs(words + i * FOUR_PAD, out + i * FOUR)
    out += FOUR_ROWS
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
  const words = scratch() + PADS
  const other = scratch() + OTHER_PADS
  const wide = scratch() + WIDE_LIMBS
  const pair = scratch() + PAIR
  const result = four(3)
  const added = v128.load(delta)
  for (let i: usize = 0; i < WIDTH; i++) spreadScalar(inputs + i * SCALAR, four(i))
  setRowKey(key)
  for (let j: usize = 0; j < count; j += 4) {
    const rows = columns + 16 * j
    hashFourColumns(<i32>j, rows, i64x2.splat(0), words)
    hashFourColumns(<i32>j, rows, added, other)
    for (let i: usize = 0; i < WIDTH; i++) {
      const x = alpha0 + i * FOUR
      const a = four(i)
      padInLimbs(words + i * FOUR_PAD, x)
      fourWide(other + i * FOUR_PAD, wide)
      subtractAddPair(x, wide, a, pair, result)
      subtractAddPair(
        x + OTHER_PAIR,
        wide + OTHER_PAIR,
        a + OTHER_PAIR,
        pair,
        result + OTHER_PAIR,
      )
      fourToBytes(result, masked + (j * WIDTH + i) * SCALAR, WIDTH * SCALAR)
    }
    alpha0 += FOUR_ROWS
  }
}

/** Zero for bit 0, all ones for bit 1. */
@inline
function maskOf(bits: usize, index: usize): u64 {
  return -(<u64>((load<u8>(bits + (index >> 3)) >> <u8>(index & 7)) & 1))
}

/** The same for four bits in lanes; `index` is a multiple of four. */
@inline
function fourMasks(bits: usize, index: usize): v128 {
  const four = <i32>load<u8>(bits + (index >> 3)) >> (<i32>index & 4)
  const places = i32x4(1, 2, 4, 8)
  return i32x4.eq(v128.and(i32x4.splat(four), places), places)
}

/** Σ_j β_j·x_j over `count` scalars: step 3.3. */
export function selectedSum(choice: usize, scalars: usize, count: usize, out: usize): void {
  const sum = scratch() + SUM
  const x = value(0)
  memory.fill(sum, 0, COLUMNS)
  for (let j: usize = 0; j < count; j++) {
    fromBytes(scalars + SCALAR * j, x)
    addMasked(sum, x, maskOf(choice, j))
  }
  reduce(sum, out)
}

/** θ_0 and θ_1 for all rows, and sums of nothing. */
function beginSums(theta: usize): void {
  spreadScalar(theta, four(0))
  spreadScalar(theta + SCALAR, four(1))
  memory.fill(scratch() + SUM_U, 0, 2 * PAIR_COLUMNS)
}

/** Of two rows: g·x_0 and g·x_1 to the two sums, and limbs of e + θ_0·x_0 + θ_1·x_1 mod n to `to`. */
@inline
function addTwoRows(g: usize, x: usize, e: usize, theta: usize, to: usize): void {
  const products = scratch() + PRODUCTS
  addProductPair(scratch() + SUM_U, g, x)
  addProductPair(scratch() + SUM_V, g, x + FOUR)
  productsPair(products, theta, x, theta + FOUR, x + FOUR, e)
  reducePair(products, scratch() + PAIR, to)
}

/** Of four rows: the sums, and their rows of the check. */
function addRows(gadget: usize, x: usize, e: usize, rows: usize): void {
  const theta = four(0)
  const g = four(3)
  const result = four(4)
  fourFromBytes(gadget, SCALAR, g, scratch() + PAIR)
  addTwoRows(g, x, e, theta, result)
  addTwoRows(g + OTHER_PAIR, x + OTHER_PAIR, e + OTHER_PAIR, theta, result + OTHER_PAIR)
  fourToBytes(result, rows, SCALAR)
}

/** Step 4.6: η, from the inputs a_u, a_v, â. */
export function senderEta(inputs: usize, theta: usize, out: usize): void {
  const row = scratch() + SUM
  const x = value(0)
  const t = value(3)
  for (let i: usize = 0; i < WIDTH; i++) fromBytes(inputs + i * SCALAR, x + LIMBS * i)
  fromBytes(theta, t)
  fromBytes(theta + SCALAR, t + LIMBS)
  setProducts(row, t, x, t + LIMBS, x + LIMBS, x + 2 * LIMBS)
  reduce(row, out)
}

/** Steps 4.7 and 4.8: the check's rows, and Σ_j g_j·α0_{j,i} for i = 0, 1. α0 is as `maskInputs` gives it. */
export function senderSums(
  gadget: usize,
  alpha0: usize,
  theta: usize,
  count: usize,
  rows: usize,
  sums: usize,
): void {
  beginSums(theta)
  for (let j: usize = 0; j < count; j += 4) {
    addRows(gadget + SCALAR * j, alpha0, alpha0 + 2 * FOUR, rows + SCALAR * j)
    alpha0 += FOUR_ROWS
  }
  takeSums(sums)
}

/** x += mask & y, limb by limb: limbs may have 30 bits then. */
function addFour(x: usize, y: usize, mask: v128): void {
  for (let k: usize = 0; k < FOUR; k += 16)
    v128.store(x + k, i32x4.add(v128.load(x + k), v128.and(v128.load(y + k), mask)))
}

/**
 * Steps 5.4 and 5.6: the check's rows, and Σ_j g_j·(γ_{j,i} + β_j·ã_{j,i}) for i = 0, 1. γ is as `pads` gives it, and
 * lost afterwards.
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
  const less = four(2)
  const y = four(5)
  const work = scratch() + PAIR
  beginSums(theta)
  spreadScalar(minusEta, less)
  for (let j: usize = 0; j < count; j += 4) {
    const mask = fourMasks(choice, j)
    for (let i: usize = 0; i < WIDTH; i++) {
      fourFromBytes(masked + (j * WIDTH + i) * SCALAR, WIDTH * SCALAR, y, work)
      addFour(gamma + i * FOUR, y, mask)
    }
    const e = gamma + 2 * FOUR
    addFour(e, less, mask)
    addRows(gadget + SCALAR * j, gamma, e, rows + SCALAR * j)
    gamma += FOUR_ROWS
  }
  takeSums(sums)
}

function takeSums(out: usize): void {
  takeSum(scratch() + SUM_U, out)
  takeSum(scratch() + SUM_V, out + SCALAR)
}

/** The sum of two lanes' sums of products mod n. */
function takeSum(pair: usize, out: usize): void {
  const sum = scratch() + SUM
  for (let k: usize = 0; k < 18; k++) {
    const two = v128.load(pair + 16 * k)
    store<i64>(sum + 8 * k, i64x2.extract_lane(two, 0) + i64x2.extract_lane(two, 1))
  }
  reduce(sum, out)
}
