// Multiplication of points by secret scalars: the same operations and addresses whatever the scalar is. Scalars are
// 32 bytes, big-endian, 0..n-1.
import { negate, select, wipeField } from './field-p'
import { FIELD, mul } from './field-p-product'
import {
  AFFINE,
  OUTSIDE,
  POINT,
  addAffine,
  addPoints,
  double,
  readPoint,
  selectPoint,
  setIdentity,
  toAffine,
  wipePoint,
  writePoints,
} from './point'

// --- one base, many scalars -----------------------------------------------------------------------------------------
//
// k = Σ d_i·64^i with digits −32 ≤ d_i < 32; the table has j·64^i·P for j = 1..32, so a product is a sum of table
// entries without any doubling.

const WIDTH = 6
const HALF = 32
const WINDOWS = 43
const ENTRIES = WINDOWS * HALF

/** Bytes of the table of one base. */
const TABLE = ENTRIES * AFFINE

/** Bytes of room that `multiplyOne` needs besides 192 for each scalar. */
export function tableRoom(): usize {
  return TABLE + ENTRIES * (POINT + FIELD)
}

/** Bytes of room that `multiplyBase` needs besides 192 for each scalar: the table of G is made at first use. */
export function baseTableRoom(): usize {
  return tableOfG ? 0 : ENTRIES * (POINT + FIELD)
}

/** out_i ← P_i + k_i·G for `count` points outside and scalars. `room` has 192 bytes for each, and `baseTableRoom()`. */
export function multiplyBase(
  out: usize,
  points: usize,
  scalars: usize,
  count: i32,
  room: usize,
): void {
  if (!tableOfG) {
    makeTable(baseTable, G, room)
    tableOfG = true
  }
  for (let i = 0; i < count; i++) readPoint(room + i * POINT, points + i * OUTSIDE)
  addEntries(out, baseTable, scalars, count, room)
}

/** out_i ← k_i·P for `count` scalars, P as outside the kernel. `room` has 192 bytes for each, and `tableRoom()`. */
export function multiplyOne(
  out: usize,
  outside: usize,
  scalars: usize,
  count: i32,
  room: usize,
): void {
  const table = room + count * (POINT + FIELD)
  readPoint(product, outside)
  makeTable(table, product, table + TABLE)
  for (let i = 0; i < count; i++) setIdentity(room + i * POINT)
  addEntries(out, table, scalars, count, room)
}

/** The identity's multiples, which are no affine points, become zeros: callers keep it away. */
function makeTable(table: usize, base: usize, room: usize): void {
  const inverses = room + ENTRIES * POINT
  let at = room
  memory.copy(at, base, POINT)
  for (let i = 0; ; i++) {
    const first = at
    for (let j = 1; j < HALF; j++) {
      addPoints(at + POINT, at, first)
      at += POINT
    }
    if (i == WINDOWS - 1) break
    double(at + POINT, at)
    at += POINT
  }
  toAffine(room, ENTRIES, inverses)
  for (let i = 0; i < ENTRIES; i++) memory.copy(table + i * AFFINE, room + i * POINT, AFFINE)
}

/** Adds multiples to the points that `room` begins with, and writes them. */
function addEntries(out: usize, table: usize, scalars: usize, count: i32, room: usize): void {
  for (let i = 0; i < count; i++) {
    const sum = room + i * POINT
    offset(scalars + i * 32)
    for (let window = 0; window < WINDOWS; window++) {
      const bit = window * WIDTH
      const bits = (load<u32>(digits + (bit >> 3)) >> (bit & 7)) & (2 * HALF - 1)
      const digit = (bits as i32) - HALF
      const sign = digit >> 31
      const size = (digit ^ sign) - sign
      pick(table + window * HALF * AFFINE, size)
      negate(minus, entry + FIELD)
      select(entry + FIELD, entry + FIELD, minus, sign)
      addAffine(product, sum, entry)
      selectPoint(sum, sum, product, (0 - size) >> 31)
    }
  }
  writePoints(out, room, count, room + count * POINT)
  wipe()
}

/** digits ← k + Σ 32·64^i, so that each window is the digit + 32. */
function offset(scalar: usize): void {
  let c: u64 = 0
  for (let i: usize = 0; i < 36; i += 4) {
    const word: u32 = i == 32 ? 0 : bswap(load<u32>(scalar + 28 - i))
    c += (word as u64) + (load<u32>(OFFSET + i) as u64)
    store<u32>(digits + i, c as u32)
    c >>= 32
  }
}

/** entry ← the table's entry number `size`, counted from 1; all entries are read. Zeros for 0. */
function pick(table: usize, size: i32): void {
  let e0 = i32x4.splat(0)
  let e1 = e0
  let e2 = e0
  let e3 = e0
  let e4 = e0
  let e5 = e0
  const wanted = i32x4.splat(size)
  for (let j = 1; j <= HALF; j++) {
    const mask = i32x4.eq(wanted, i32x4.splat(j))
    e0 = v128.or(e0, v128.and(v128.load(table), mask))
    e1 = v128.or(e1, v128.and(v128.load(table, 16), mask))
    e2 = v128.or(e2, v128.and(v128.load(table, 32), mask))
    e3 = v128.or(e3, v128.and(v128.load(table, 48), mask))
    e4 = v128.or(e4, v128.and(v128.load(table, 64), mask))
    e5 = v128.or(e5, v128.and(v128.load(table, 80), mask))
    table += AFFINE
  }
  v128.store(entry, e0)
  v128.store(entry, e1, 16)
  v128.store(entry, e2, 32)
  v128.store(entry, e3, 48)
  v128.store(entry, e4, 64)
  v128.store(entry, e5, 80)
}

// --- many bases, one scalar -----------------------------------------------------------------------------------------
//
// k = k₁ + k₂·λ mod n with |k₁|, |k₂| < 2¹²⁸, where λ·(x, y) = (β·x, y). Each half has 33 digits −8 ≤ d < 8 and looks
// its multiples up in a table of 1..8 times P.
//
// The halves: the quotients are off by less than 1/2 + 2⁻¹²⁸ each, k < 2²⁵⁶ being multiplied by g/2³⁸⁴ where g is off
// by less than 1/2. So |k₁| is at most about (a₁ + a₂)/2 < 0.65·2¹²⁸ and |k₂| (|b₁| + b₂)/2 < 0.55·2¹²⁸; both fit 160
// bits with their sign, and |k_i| plus 8 in each of 33 digits stays below 2¹³².

/** out_i ← k·P_i for `count` points outside. `room` has 192 bytes for each. */
export function multiplyMany(
  out: usize,
  outside: usize,
  scalar: usize,
  count: i32,
  room: usize,
): void {
  split(scalar)
  for (let i = 0; i < count; i++) {
    const sum = room + i * POINT
    readPoint(multiples, outside + i * OUTSIDE)
    for (let j = 1; j < 8; j++)
      addPoints(multiples + j * POINT, multiples + (j - 1) * POINT, multiples)
    setIdentity(sum)
    for (let window = 32; window >= 0; window--) {
      for (let k = 0; k < 4 && window < 32; k++) double(sum, sum)
      pickPoint(digits, window, sign1)
      addPoints(sum, sum, entry)
      pickPoint(digits2, window, sign2)
      mul(entry, entry, BETA)
      addPoints(sum, sum, entry)
    }
  }
  writePoints(out, room, count, room + count * POINT)
  wipe()
}

/** entry ← ±d·P for the digit of a window. */
function pickPoint(from: usize, window: i32, sign: i32): void {
  const bits = ((load<u8>(from + (window >> 1)) as i32) >> ((window & 1) << 2)) & 15
  const digit = bits - 8
  const negative = digit >> 31
  const size = (digit ^ negative) - negative
  setIdentity(entry)
  for (let j = 1; j <= 8; j++) {
    const differ = j ^ size
    selectPoint(entry, entry, multiples + (j - 1) * POINT, (differ - 1) >> 31)
  }
  negate(minus, entry + FIELD)
  select(entry + FIELD, entry + FIELD, minus, negative ^ sign)
}

/** Splits a scalar into digits1, sign1 and digits2, sign2. */
function split(scalar: usize): void {
  for (let i: usize = 0; i < 32; i += 4) store<u32>(whole + i, bswap(load<u32>(scalar + 28 - i)))
  // k₁ = k − c₁·a₁ − c₂·a₂ and k₂ = c₁·b₁ − c₂·b₂, as numbers of 160 bits with a sign
  memory.copy(digits, whole, 20)
  memory.fill(digits2, 0, 20)
  quotient(G1)
  accumulate(digits, MINUS_A1)
  accumulate(digits2, B1)
  quotient(G2)
  accumulate(digits, MINUS_A2)
  accumulate(digits2, MINUS_B2)
  sign1 = toDigits(digits)
  sign2 = toDigits(digits2)
}

/** rounded ← k·g/2³⁸⁴, rounded, in five words. */
function quotient(g: usize): void {
  memory.fill(long, 0, 64)
  for (let i: usize = 0; i < 32; i += 4) {
    const k = load<u32>(whole + i) as u64
    let c: u64 = 0
    for (let j: usize = 0; j < 32; j += 4) {
      c += k * (load<u32>(g + j) as u64) + (load<u32>(long + i + j) as u64)
      store<u32>(long + i + j, c as u32)
      c >>= 32
    }
    store<u32>(long + i + 32, c as u32)
  }
  let c = (load<u32>(long, 44) >> 31) as u64
  for (let i: usize = 0; i < 20; i += 4) {
    if (i < 16) c += load<u32>(long + 48 + i) as u64
    store<u32>(rounded + i, c as u32)
    c >>= 32
  }
}

/** r ← r + rounded·m mod 2¹⁶⁰ */
function accumulate(r: usize, m: usize): void {
  for (let i: usize = 0; i < 20; i += 4) {
    const by = load<u32>(rounded + i) as u64
    let c: u64 = 0
    for (let j: usize = 0; i + j < 20; j += 4) {
      c += by * (load<u32>(m + j) as u64) + (load<u32>(r + i + j) as u64)
      store<u32>(r + i + j, c as u32)
      c >>= 32
    }
  }
}

/** r ← |r| + Σ 8·16^i, so that each four bits are a digit + 8; gives −1 if r was negative, else 0. */
function toDigits(r: usize): i32 {
  const sign = (load<u32>(r, 16) as i32) >> 31
  let c: u64 = (sign & 1) as u64
  for (let i: usize = 0; i < 20; i += 4) {
    c += ((load<u32>(r + i) ^ (sign as u32)) as u64) + (i == 16 ? 8 : 0x88888888)
    store<u32>(r + i, c as u32)
    c >>= 32
  }
  return sign
}

function wipe(): void {
  memory.fill(digits, 0, 64)
  memory.fill(whole, 0, 32 + 64 + 32)
  memory.fill(entry, 0, POINT + FIELD + POINT)
  memory.fill(multiples, 0, 8 * POINT)
  sign1 = 0
  sign2 = 0
  wipeField()
  wipePoint()
}

let tableOfG: bool = false
let sign1: i32 = 0
let sign2: i32 = 0

// k + OFFSET has the digits of `offset`.
const OFFSET: usize = memory.data<u32>([
  0x20820820, 0x8208208, 0x82082082, 0x20820820, 0x8208208, 0x82082082, 0x20820820, 0x8208208, 0x2,
])

// The curve's endomorphism and a short basis (a₁, −b₁), (a₂, b₂) of the lattice x + y·λ = 0 mod n; g₁ = 2³⁸⁴·b₂/n and
// g₂ = 2³⁸⁴·b₁/n, rounded. Guide to Elliptic Curve Cryptography, algorithm 3.74.
const BETA: usize = memory.data<u32>(
  [
    0x119501ee, 0x9cb6143, 0x1d626570, 0x92ea25, 0x34e99cf, 0x3cf561a, 0x1c41b991, 0x56caf80,
    0x7ae96a, 0, 0, 0,
  ],
  16,
)
const G1: usize = memory.data<u32>([
  0x45dbb031, 0xe893209a, 0x71e8ca7f, 0x3daa8a14, 0x9284eb15, 0xe86c90e4, 0xa7d46bcd, 0x3086d221,
])
const G2: usize = memory.data<u32>([
  0x8ac47f71, 0x1571b4ae, 0x9df506c6, 0x221208ac, 0xabfe4c4, 0x6f547fa9, 0x10e8828, 0xe4437ed6,
])
const MINUS_A1: usize = memory.data<u32>([
  0x6d7b14eb, 0x17936f1b, 0x582b9432, 0xcf792dde, 0xffffffff,
])
const MINUS_A2: usize = memory.data<u32>([
  0x62bb3028, 0xa83eef72, 0x571d0c09, 0xeb35af08, 0xfffffffe,
])
const B1: usize = memory.data<u32>([0xabfe4c3, 0x6f547fa9, 0x10e8828, 0xe4437ed6, 0x0])
const MINUS_B2: usize = MINUS_A1

/** The generator, as a point. */
const G: usize = memory.data<u32>(
  [
    0x16f81798, 0xf940ad8, 0x138a3656, 0x17f9b65b, 0x10b07029, 0x114ae743, 0xeb15681, 0xfdf3b97,
    0x79be66, 0, 0, 0, 0x1b10d4b8, 0x23e847f, 0x1550667, 0xf68914d, 0x108a8fd1, 0x1dfe0708,
    0x11957693, 0xee4d478, 0x483ada, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  ],
  16,
)

const baseTable: usize = memory.data(43 * 32 * 96, 16)
const digits: usize = memory.data(64, 16)
const digits2: usize = digits + 40
const whole: usize = memory.data(32 + 64 + 32, 16)
const long: usize = whole + 32
const rounded: usize = whole + 96
const entry: usize = memory.data(144 + 48 + 144, 16)
const minus: usize = entry + POINT
const product: usize = minus + FIELD
const multiples: usize = memory.data(8 * 144, 16)
