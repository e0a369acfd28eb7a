// Integers mod n, four at once: limb k of all four (limbs as in scalar.ts) is one vector of 32-bit lanes, 16·k bytes on.
// Products have 64 bits, so that two numbers are worked on at a time: a function of a `pair` is given addresses of the
// first two lanes, or 8 bytes more for the others. The same operations for all values.
//
// Columns stay below 2^64: of products of limbs below 2^29 and 2^30 they have at most nine, or twice nine, that is less
// than 18·2^59 < 2^63.2; what is carried into them is below 2^35, and all that is added besides below 2^32.
import { transposeWords } from './blake3'

/** Bytes of four numbers in limbs. */
export const FOUR: usize = 9 * 16
/** Bytes of four numbers of 384 bits in limbs. */
export const FOUR_WIDE: usize = 14 * 16
/** Bytes of a pair's columns, or of a pair's sum of products: vectors of two lanes of 64 bits. */
export const PAIR_COLUMNS: usize = 18 * 16
/** The other pair of the same four. */
export const OTHER_PAIR: usize = 8

const MASK: i32 = 0x1fffffff

// c = 2^256 - n and 32c = 2^261 mod n, in limbs for all lanes
const C = memory.data<u32>([
  0xfc9bebf, 0xfc9bebf, 0xfc9bebf, 0xfc9bebf, 0x16d0b99, 0x16d0b99, 0x16d0b99, 0x16d0b99,
  0xdd7f110, 0xdd7f110, 0xdd7f110, 0xdd7f110, 0x24632a1, 0x24632a1, 0x24632a1, 0x24632a1,
  0x1455, 0x1455, 0x1455, 0x1455,
])
const F = memory.data<u32>([
  0x1937d7e0, 0x1937d7e0, 0x1937d7e0, 0x1937d7e0, 0xda1732f, 0xda1732f, 0xda1732f, 0xda1732f,
  0x1afe2201, 0x1afe2201, 0x1afe2201, 0x1afe2201, 0x8c6542d, 0x8c6542d, 0x8c6542d, 0x8c6542d,
  0x28aa2, 0x28aa2, 0x28aa2, 0x28aa2,
])
/**
 * 128n in columns, each more than what is taken off it: one limb and of the products h_i·F_k at most five, less than
 * 2^60.4, in the eighth two, less than 2^48, and in the last one, less than 2^25.
 */
const D = memory.data<u64>([
  0x200000001b20a080, 0x1fffffff097a3340, 0x1fffffff140777fa, 0x1fffffff1ce6af48, 0x1fffffff1ff5d576,
  0x1fffffff1fffffff, 0x1fffffff1fffffff, 0x1ffff1fffffff, 0x7fefffff,
])

@inline
function add(x: v128, y: v128): v128 {
  return i64x2.add(x, y)
}
@inline
function over(x: v128): v128 {
  return i64x2.shr_u(x, 29)
}
/** A pair's limb as columns. */
@inline
function limb(from: usize): v128 {
  return v128.load32x2_u(from)
}
/** The lower 29 bits of a pair's column as its limb. */
@inline
function put(to: usize, x: v128): void {
  const limbs = v128.and(v128.shuffle<u32>(x, x, 0, 2, 0, 2), i32x4.splat(MASK))
  v128.store64_lane(to, limbs, 0)
}

/** x_0·y_0; with a number, the sum of so many products x_i·y_-i. */
@inline
function dot(x: usize, y: usize): v128 {
  return i64x2.extmul_low_i32x4_u(v128.load64_zero(x), v128.load64_zero(y))
}
@inline
function dot2(x: usize, y: usize): v128 {
  return add(dot(x, y), dot(x + 16, y - 16))
}
@inline
function dot3(x: usize, y: usize): v128 {
  return add(dot2(x, y), dot(x + 32, y - 32))
}
@inline
function dot4(x: usize, y: usize): v128 {
  return add(dot3(x, y), dot(x + 48, y - 48))
}
@inline
function dot5(x: usize, y: usize): v128 {
  return add(dot4(x, y), dot(x + 64, y - 64))
}
@inline
function dot6(x: usize, y: usize): v128 {
  return add(dot5(x, y), dot(x + 80, y - 80))
}
@inline
function dot7(x: usize, y: usize): v128 {
  return add(dot6(x, y), dot(x + 96, y - 96))
}
@inline
function dot8(x: usize, y: usize): v128 {
  return add(dot7(x, y), dot(x + 112, y - 112))
}
@inline
function dot9(x: usize, y: usize): v128 {
  return add(dot8(x, y), dot(x + 128, y - 128))
}

/** Bytes of 32-bit words the other way round. */
@inline
function swapped(x: v128): v128 {
  return i8x16.swizzle(x, i8x16(3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12))
}
/** The limb that begins at bit `at` of word x and goes on in word y. */
@inline
function across(x: v128, y: v128, at: i32): v128 {
  return v128.and(v128.or(i32x4.shr_u(x, at), i32x4.shl(y, 32 - at)), i32x4.splat(MASK))
}

/** The first eight limbs of numbers whose words, big-endian, lie backwards before `end`; answers the eighth word. */
@inline
function lowLimbs(end: usize, to: usize): v128 {
  const t0 = swapped(v128.load(end - 16))
  const t1 = swapped(v128.load(end - 32))
  const t2 = swapped(v128.load(end - 48))
  const t3 = swapped(v128.load(end - 64))
  const t4 = swapped(v128.load(end - 80))
  const t5 = swapped(v128.load(end - 96))
  const t6 = swapped(v128.load(end - 112))
  const t7 = swapped(v128.load(end - 128))
  v128.store(to, v128.and(t0, i32x4.splat(MASK)))
  v128.store(to, across(t0, t1, 29), 16)
  v128.store(to, across(t1, t2, 26), 32)
  v128.store(to, across(t2, t3, 23), 48)
  v128.store(to, across(t3, t4, 20), 64)
  v128.store(to, across(t4, t5, 17), 80)
  v128.store(to, across(t5, t6, 14), 96)
  v128.store(to, across(t6, t7, 11), 112)
  return t7
}

/** Numbers of 32 bytes, big-endian, `step` bytes from one to the next, to limbs. `work` has room for 128 bytes. */
export function fourFromBytes(from: usize, step: usize, to: usize, work: usize): void {
  const a = from
  const b = from + step
  const c = b + step
  const d = c + step
  transposeWords(v128.load(a), v128.load(b), v128.load(c), v128.load(d), work, 16)
  transposeWords(v128.load(a, 16), v128.load(b, 16), v128.load(c, 16), v128.load(d, 16), work + 64, 16)
  v128.store(to, i32x4.shr_u(lowLimbs(work + 128, to), 8), 128)
}

/** Numbers of 12 words in lanes, big-endian, to limbs. */
export function fourWide(words: usize, to: usize): void {
  const t8 = swapped(v128.load(words, 48))
  const t9 = swapped(v128.load(words, 32))
  const t10 = swapped(v128.load(words, 16))
  const t11 = swapped(v128.load(words))
  v128.store(to, across(lowLimbs(words + 192, to), t8, 8), 128)
  v128.store(to, across(t8, t9, 5), 144)
  v128.store(to, v128.and(i32x4.shr_u(t9, 2), i32x4.splat(MASK)), 160)
  v128.store(to, across(t9, t10, 31), 176)
  v128.store(to, across(t10, t11, 28), 192)
  v128.store(to, i32x4.shr_u(t11, 25), 208)
}

/** Wide numbers to ones below 2^262 that are the same mod n: their last limb has up to 30 bits. */
export function foldWidePair(wide: usize, to: usize): void {
  // What counts 2^261 and more comes back as multiples of 32c.
  const h = wide + 144
  let x = add(limb(wide), dot(h, F))
  put(to, x)
  x = add(add(over(x), limb(wide + 16)), dot2(h, F + 16))
  put(to + 16, x)
  x = add(add(over(x), limb(wide + 32)), dot3(h, F + 32))
  put(to + 32, x)
  x = add(add(over(x), limb(wide + 48)), dot4(h, F + 48))
  put(to + 48, x)
  x = add(add(over(x), limb(wide + 64)), dot5(h, F + 64))
  put(to + 64, x)
  x = add(add(over(x), limb(wide + 80)), dot4(h + 16, F + 64))
  put(to + 80, x)
  x = add(add(over(x), limb(wide + 96)), dot3(h + 32, F + 64))
  put(to + 96, x)
  x = add(add(over(x), limb(wide + 112)), dot2(h + 48, F + 64))
  put(to + 112, x)
  x = add(add(over(x), limb(wide + 128)), dot(h + 64, F + 64))
  v128.store64_lane(to + 128, v128.shuffle<u32>(x, x, 0, 2, 0, 2), 0)
}

/** Column k of x + a + 128n less that of a wide number. */
@inline
function difference(x: usize, a: usize, wide: usize, k: usize): v128 {
  const at = 16 * k
  const positive = add(v128.load64_splat(D + 8 * k), add(limb(x + at), limb(a + at)))
  return i64x2.sub(positive, limb(wide + at))
}

/**
 * x - y + a mod n for y in wide limbs, x as `foldWidePair` gives it and a below n; limbs of a number below
 * 2^256 + 2^160. `columns` is room for nine columns.
 */
export function subtractAddPair(x: usize, wide: usize, a: usize, columns: usize, to: usize): void {
  const h = wide + 144
  v128.store(columns, i64x2.sub(difference(x, a, wide, 0), dot(h, F)))
  v128.store(columns, i64x2.sub(difference(x, a, wide, 1), dot2(h, F + 16)), 16)
  v128.store(columns, i64x2.sub(difference(x, a, wide, 2), dot3(h, F + 32)), 32)
  v128.store(columns, i64x2.sub(difference(x, a, wide, 3), dot4(h, F + 48)), 48)
  v128.store(columns, i64x2.sub(difference(x, a, wide, 4), dot5(h, F + 64)), 64)
  v128.store(columns, i64x2.sub(difference(x, a, wide, 5), dot4(h + 16, F + 64)), 80)
  v128.store(columns, i64x2.sub(difference(x, a, wide, 6), dot3(h + 32, F + 64)), 96)
  v128.store(columns, i64x2.sub(difference(x, a, wide, 7), dot2(h + 48, F + 64)), 112)
  v128.store(columns, i64x2.sub(difference(x, a, wide, 8), dot(h + 64, F + 64)), 128)
  settlePair(columns, to)
}

/** sum += x·y, with all columns but the last below 2^29 before and after. The limbs of y may have 30 bits. */
export function addProductPair(sum: usize, x: usize, y: usize): void {
  let s = column(sum, 0, add(v128.load(sum), dot(x, y)))
  s = column(sum, 16, add(add(s, v128.load(sum, 16)), dot2(x, y + 16)))
  s = column(sum, 32, add(add(s, v128.load(sum, 32)), dot3(x, y + 32)))
  s = column(sum, 48, add(add(s, v128.load(sum, 48)), dot4(x, y + 48)))
  s = column(sum, 64, add(add(s, v128.load(sum, 64)), dot5(x, y + 64)))
  s = column(sum, 80, add(add(s, v128.load(sum, 80)), dot6(x, y + 80)))
  s = column(sum, 96, add(add(s, v128.load(sum, 96)), dot7(x, y + 96)))
  s = column(sum, 112, add(add(s, v128.load(sum, 112)), dot8(x, y + 112)))
  s = column(sum, 128, add(add(s, v128.load(sum, 128)), dot9(x, y + 128)))
  s = column(sum, 144, add(add(s, v128.load(sum, 144)), dot8(x + 16, y + 128)))
  s = column(sum, 160, add(add(s, v128.load(sum, 160)), dot7(x + 32, y + 128)))
  s = column(sum, 176, add(add(s, v128.load(sum, 176)), dot6(x + 48, y + 128)))
  s = column(sum, 192, add(add(s, v128.load(sum, 192)), dot5(x + 64, y + 128)))
  s = column(sum, 208, add(add(s, v128.load(sum, 208)), dot4(x + 80, y + 128)))
  s = column(sum, 224, add(add(s, v128.load(sum, 224)), dot3(x + 96, y + 128)))
  s = column(sum, 240, add(add(s, v128.load(sum, 240)), dot2(x + 112, y + 128)))
  s = column(sum, 256, add(add(s, v128.load(sum, 256)), dot(x + 128, y + 128)))
  v128.store(sum, add(s, v128.load(sum, 272)), 272)
}

/** Stores what stays in a column, and answers what goes to the next one. */
@inline
function column(sum: usize, at: usize, x: v128): v128 {
  v128.store(sum + at, v128.and(x, i64x2.splat(MASK)))
  return over(x)
}

/** Two products' limb k. */
@inline
function both(s: v128, x: v128, y: v128): v128 {
  return add(s, add(x, y))
}

/** a·b + c·d + e as 18 limbs. The limbs of b and d may have 30 bits, those of e 32. */
export function productsPair(to: usize, a: usize, b: usize, c: usize, d: usize, e: usize): void {
  let s = both(limb(e), dot(a, b), dot(c, d))
  put(to, s)
  s = both(add(over(s), limb(e + 16)), dot2(a, b + 16), dot2(c, d + 16))
  put(to + 16, s)
  s = both(add(over(s), limb(e + 32)), dot3(a, b + 32), dot3(c, d + 32))
  put(to + 32, s)
  s = both(add(over(s), limb(e + 48)), dot4(a, b + 48), dot4(c, d + 48))
  put(to + 48, s)
  s = both(add(over(s), limb(e + 64)), dot5(a, b + 64), dot5(c, d + 64))
  put(to + 64, s)
  s = both(add(over(s), limb(e + 80)), dot6(a, b + 80), dot6(c, d + 80))
  put(to + 80, s)
  s = both(add(over(s), limb(e + 96)), dot7(a, b + 96), dot7(c, d + 96))
  put(to + 96, s)
  s = both(add(over(s), limb(e + 112)), dot8(a, b + 112), dot8(c, d + 112))
  put(to + 112, s)
  s = both(add(over(s), limb(e + 128)), dot9(a, b + 128), dot9(c, d + 128))
  put(to + 128, s)
  s = both(over(s), dot8(a + 16, b + 128), dot8(c + 16, d + 128))
  put(to + 144, s)
  s = both(over(s), dot7(a + 32, b + 128), dot7(c + 32, d + 128))
  put(to + 160, s)
  s = both(over(s), dot6(a + 48, b + 128), dot6(c + 48, d + 128))
  put(to + 176, s)
  s = both(over(s), dot5(a + 64, b + 128), dot5(c + 64, d + 128))
  put(to + 192, s)
  s = both(over(s), dot4(a + 80, b + 128), dot4(c + 80, d + 128))
  put(to + 208, s)
  s = both(over(s), dot3(a + 96, b + 128), dot3(c + 96, d + 128))
  put(to + 224, s)
  s = both(over(s), dot2(a + 112, b + 128), dot2(c + 112, d + 128))
  put(to + 240, s)
  s = both(over(s), dot(a + 128, b + 128), dot(c + 128, d + 128))
  put(to + 256, s)
  put(to + 272, over(s))
}

/** 18 limbs, which are lost, to nine of a number below 2^256 + 2^160 that is the same mod n. */
export function reducePair(x: usize, columns: usize, to: usize): void {
  // What counts 2^261 and more comes back as multiples of 32c, in place: a limb of h is done with when it is replaced.
  const h = x + 144
  let s = add(limb(x), dot(h, F))
  put(x, s)
  s = add(add(over(s), limb(x + 16)), dot2(h, F + 16))
  put(x + 16, s)
  s = add(add(over(s), limb(x + 32)), dot3(h, F + 32))
  put(x + 32, s)
  s = add(add(over(s), limb(x + 48)), dot4(h, F + 48))
  put(x + 48, s)
  s = add(add(over(s), limb(x + 64)), dot5(h, F + 64))
  put(x + 64, s)
  s = add(add(over(s), limb(x + 80)), dot5(h + 16, F + 64))
  put(x + 80, s)
  s = add(add(over(s), limb(x + 96)), dot5(h + 32, F + 64))
  put(x + 96, s)
  s = add(add(over(s), limb(x + 112)), dot5(h + 48, F + 64))
  put(x + 112, s)
  s = add(add(over(s), limb(x + 128)), dot5(h + 64, F + 64))
  put(x + 128, s)
  s = add(over(s), dot4(h + 80, F + 64))
  put(x + 144, s)
  s = add(over(s), dot3(h + 96, F + 64))
  put(x + 160, s)
  s = add(over(s), dot2(h + 112, F + 64))
  put(x + 176, s)
  s = add(over(s), dot(h + 128, F + 64))
  put(x + 192, s)
  put(x + 208, over(s))
  // and what then still does, below 2^135, once more.
  v128.store(columns, add(limb(x), dot(h, F)))
  v128.store(columns, add(limb(x + 16), dot2(h, F + 16)), 16)
  v128.store(columns, add(limb(x + 32), dot3(h, F + 32)), 32)
  v128.store(columns, add(limb(x + 48), dot4(h, F + 48)), 48)
  v128.store(columns, add(limb(x + 64), dot5(h, F + 64)), 64)
  v128.store(columns, add(limb(x + 80), dot4(h + 16, F + 64)), 80)
  v128.store(columns, add(limb(x + 96), dot3(h + 32, F + 64)), 96)
  v128.store(columns, add(limb(x + 112), dot2(h + 48, F + 64)), 112)
  v128.store(columns, add(limb(x + 128), dot(h + 64, F + 64)), 128)
  settlePair(columns, to)
}

/** The numbers in nine columns, less than 2^280, to limbs of ones below 2^256 + 2^160 that are the same mod n. */
function settlePair(columns: usize, to: usize): void {
  const s0 = v128.load(columns)
  const s1 = add(over(s0), v128.load(columns, 16))
  const s2 = add(over(s1), v128.load(columns, 32))
  const s3 = add(over(s2), v128.load(columns, 48))
  const s4 = add(over(s3), v128.load(columns, 64))
  const s5 = add(over(s4), v128.load(columns, 80))
  const s6 = add(over(s5), v128.load(columns, 96))
  const s7 = add(over(s6), v128.load(columns, 112))
  const s8 = add(over(s7), v128.load(columns, 128))
  // What counts 2^256 and more comes back as multiples of c.
  const top64 = i64x2.shr_u(s8, 24)
  const top = v128.shuffle<u32>(top64, top64, 0, 2, 0, 2)
  const mask = i64x2.splat(MASK)
  let x = add(v128.and(s0, mask), i64x2.extmul_low_i32x4_u(top, v128.load(C)))
  put(to, x)
  x = add(add(over(x), v128.and(s1, mask)), i64x2.extmul_low_i32x4_u(top, v128.load(C, 16)))
  put(to + 16, x)
  x = add(add(over(x), v128.and(s2, mask)), i64x2.extmul_low_i32x4_u(top, v128.load(C, 32)))
  put(to + 32, x)
  x = add(add(over(x), v128.and(s3, mask)), i64x2.extmul_low_i32x4_u(top, v128.load(C, 48)))
  put(to + 48, x)
  x = add(add(over(x), v128.and(s4, mask)), i64x2.extmul_low_i32x4_u(top, v128.load(C, 64)))
  put(to + 64, x)
  x = add(over(x), v128.and(s5, mask))
  put(to + 80, x)
  x = add(over(x), v128.and(s6, mask))
  put(to + 96, x)
  x = add(over(x), v128.and(s7, mask))
  put(to + 112, x)
  x = add(over(x), v128.and(s8, i64x2.splat(0xffffff)))
  put(to + 128, x)
}

/** Limb k of x + c with what came from the one before. */
@inline
function withC(x: v128, k: usize, before: v128): v128 {
  return i32x4.add(i32x4.add(x, v128.load(C + 16 * k)), i32x4.shr_u(before, 29))
}
/** `less` where the mask says so, else x; then 29 bits of it. */
@inline
function choose(x: v128, less: v128, mask: v128): v128 {
  return v128.and(v128.bitselect(less, x, mask), i32x4.splat(MASK))
}

/** Numbers below 2^256 + 2^160 mod n, 32 bytes each, big-endian, `step` bytes from one to the next. */
export function fourToBytes(from: usize, to: usize, step: usize): void {
  const x0 = v128.load(from)
  const x1 = v128.load(from, 16)
  const x2 = v128.load(from, 32)
  const x3 = v128.load(from, 48)
  const x4 = v128.load(from, 64)
  const x5 = v128.load(from, 80)
  const x6 = v128.load(from, 96)
  const x7 = v128.load(from, 112)
  const x8 = v128.load(from, 128)
  // A number is n or more exactly if it reaches 2^256 with c added; what is below 2^256 of that is the number less n.
  const y0 = withC(x0, 0, i32x4.splat(0))
  const y1 = withC(x1, 1, y0)
  const y2 = withC(x2, 2, y1)
  const y3 = withC(x3, 3, y2)
  const y4 = withC(x4, 4, y3)
  const y5 = i32x4.add(x5, i32x4.shr_u(y4, 29))
  const y6 = i32x4.add(x6, i32x4.shr_u(y5, 29))
  const y7 = i32x4.add(x7, i32x4.shr_u(y6, 29))
  const y8 = i32x4.add(x8, i32x4.shr_u(y7, 29))
  const mask = i32x4.neg(i32x4.shr_u(y8, 24))
  const z0 = choose(x0, y0, mask)
  const z1 = choose(x1, y1, mask)
  const z2 = choose(x2, y2, mask)
  const z3 = choose(x3, y3, mask)
  const z4 = choose(x4, y4, mask)
  const z5 = choose(x5, y5, mask)
  const z6 = choose(x6, y6, mask)
  const z7 = choose(x7, y7, mask)
  const z8 = v128.bitselect(y8, x8, mask)
  const w0 = v128.or(z0, i32x4.shl(z1, 29))
  const w1 = v128.or(i32x4.shr_u(z1, 3), i32x4.shl(z2, 26))
  const w2 = v128.or(i32x4.shr_u(z2, 6), i32x4.shl(z3, 23))
  const w3 = v128.or(i32x4.shr_u(z3, 9), i32x4.shl(z4, 20))
  const w4 = v128.or(i32x4.shr_u(z4, 12), i32x4.shl(z5, 17))
  const w5 = v128.or(i32x4.shr_u(z5, 15), i32x4.shl(z6, 14))
  const w6 = v128.or(i32x4.shr_u(z6, 18), i32x4.shl(z7, 11))
  const w7 = v128.or(i32x4.shr_u(z7, 21), i32x4.shl(z8, 8))
  transposeWords(swapped(w7), swapped(w6), swapped(w5), swapped(w4), to, step)
  transposeWords(swapped(w3), swapped(w2), swapped(w1), swapped(w0), to + 16, step)
}
