// The field of secp256k1, all but its products: what an element is, stands in field-p-product.ts.
import { FIELD, MASK, mul, put, sqr, sqrTimes } from './field-p-product'

/** A multiple of p whose every limb is above that of a sum of two tight elements. */
const MULTIPLE: usize = memory.data<u32>(
  [
    0x5fff041e, 0x5ffffded, 0x5ffffffd, 0x5ffffffd, 0x5ffffffd, 0x5ffffffd, 0x5ffffffd, 0x5ffffffd,
    0x41fffffd, 0, 0, 0,
  ],
  16,
)

/** r ← a + b, limb by limb: loose. */
export function add(r: usize, a: usize, b: usize): void {
  v128.store(r, i32x4.add(v128.load(a), v128.load(b)))
  v128.store(r, i32x4.add(v128.load(a, 16), v128.load(b, 16)), 16)
  v128.store(r, i32x4.add(v128.load(a, 32), v128.load(b, 32)), 32)
}

/** r ← a − b; both may be sums of two: MULTIPLE's limbs are above 2·T, and with those of a below 2³². */
export function sub(r: usize, a: usize, b: usize): void {
  const k = MULTIPLE
  tighten(
    r,
    i32x4.sub(i32x4.add(v128.load(a), v128.load(k)), v128.load(b)),
    i32x4.sub(i32x4.add(v128.load(a, 16), v128.load(k, 16)), v128.load(b, 16)),
    i32x4.sub(i32x4.add(v128.load(a, 32), v128.load(k, 32)), v128.load(b, 32)),
  )
}

/** r ← −a; a may be a sum of two. */
export function negate(r: usize, a: usize): void {
  const k = MULTIPLE
  tighten(
    r,
    i32x4.sub(v128.load(k), v128.load(a)),
    i32x4.sub(v128.load(k, 16), v128.load(a, 16)),
    i32x4.sub(v128.load(k, 32), v128.load(a, 32)),
  )
}

/** r ← m·a for tight a, m ≤ 7; also a loose one with m = 1, which makes it tight. */
export function small(r: usize, a: usize, m: i32): void {
  const by = i32x4.splat(m)
  tighten(
    r,
    i32x4.mul(v128.load(a), by),
    i32x4.mul(v128.load(a, 16), by),
    i32x4.mul(v128.load(a, 32), by),
  )
}

/** r ← 21·a for tight a: 3·b of the curve's complete formulas. */
export function times21(r: usize, a: usize): void {
  small(r, a, 3)
  small(r, r, 7)
}

/**
 * Carries every limb into the next one, once, and writes the element: tight, from limbs of 32 bits, whose carries are
 * below 8 and the last one's, times FOLD, below 2¹⁸.
 */
function tighten(r: usize, x0: v128, x1: v128, x2: v128): void {
  const mask = i32x4.splat(0x1fffffff)
  const c0 = i32x4.shr_u(x0, 29)
  const c1 = i32x4.shr_u(x1, 29)
  const c2 = i32x4.shr_u(x2, 29)
  const zero = i32x4.splat(0)
  // The carry of limb 8 goes round to limbs 0 and 1.
  const top = i32x4.mul(i32x4.splat(i32x4.extract_lane(c2, 0)), i32x4(31264, 256, 0, 0))
  const s0 = i8x16.shuffle(zero, c0, 0, 1, 2, 3, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27)
  const s1 = i8x16.shuffle(c0, c1, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27)
  const s2 = i8x16.shuffle(c1, zero, 12, 13, 14, 15, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16)
  v128.store(r, i32x4.add(i32x4.add(v128.and(x0, mask), s0), top))
  v128.store(r, i32x4.add(v128.and(x1, mask), s1), 16)
  v128.store(r, i32x4.add(v128.and(x2, mask), s2), 32)
}

/** Reduces tight a to the one representative below p, in place. */
export function normalize(a: usize): void {
  foldTop(a)
  foldTop(a)
  // Now a < 2²⁵⁶ with full carries; a ≥ p exactly when a + 2³² + 977 reaches 2²⁵⁶.
  let c: u64 = 977
  for (let i: usize = 0; i < 36; i += 4) {
    c += (load<u32>(a + i) as u64) + (i == 4 ? 8 : 0)
    store<u32>(sum + i, (c & MASK) as u32)
    c >>= 29
  }
  const reached = load<u32>(sum, 32) >> 24
  store<u32>(sum, load<u32>(sum, 32) & 0xffffff, 32)
  select(a, a, sum, -(reached as i32))
}

/** Carries through all limbs, taking what lies above 2²⁵⁶ to the bottom before. */
function foldTop(a: usize): void {
  const last = load<u32>(a, 32) as u64
  let c = (last >> 24) * 977
  store<u32>(a, (last & 0xffffff) as u32, 32)
  for (let i: usize = 0; i < 36; i += 4) {
    c += (load<u32>(a + i) as u64) + (i == 4 ? (last >> 24) << 3 : 0)
    store<u32>(a + i, (i == 32 ? c : c & MASK) as u32)
    c >>= 29
  }
}

/** r ← b where mask is −1, a where it is 0. */
export function select(r: usize, a: usize, b: usize, mask: i32): void {
  const m = i32x4.splat(mask)
  v128.store(r, v128.bitselect(v128.load(b), v128.load(a), m))
  v128.store(r, v128.bitselect(v128.load(b, 16), v128.load(a, 16), m), 16)
  v128.store(r, v128.bitselect(v128.load(b, 32), v128.load(a, 32), m), 32)
}

export function copy(r: usize, a: usize): void {
  v128.store(r, v128.load(a))
  v128.store(r, v128.load(a, 16), 16)
  v128.store(r, v128.load(a, 32), 32)
}

/** r ← n, for n < 2²⁹. */
export function setSmall(r: usize, n: u32): void {
  put(r, n, 0, 0, 0, 0, 0, 0, 0, 0)
}

/** −1 if tight a is 0 mod p, else 0. */
export function isZero(a: usize): i32 {
  copy(other, a)
  normalize(other)
  let any: u32 = 0
  for (let i: usize = 0; i < 36; i += 4) any |= load<u32>(other + i)
  return ((any as i32) - 1) >> 31
}

/** −1 if a = b mod p, else 0; both tight. */
export function areEqual(a: usize, b: usize): i32 {
  sub(other, a, b)
  return isZero(other)
}

/** The lowest bit of a normalized element. */
export function parity(a: usize): i32 {
  return (load<u32>(a) & 1) as i32
}

/** Reads 32 bytes, big-endian, any value. */
export function fromBytes(r: usize, bytes: usize): void {
  const w0 = bswap(load<u64>(bytes, 24))
  const w1 = bswap(load<u64>(bytes, 16))
  const w2 = bswap(load<u64>(bytes, 8))
  const w3 = bswap(load<u64>(bytes))
  put(
    r,
    w0 & MASK,
    (w0 >> 29) & MASK,
    ((w0 >> 58) | (w1 << 6)) & MASK,
    (w1 >> 23) & MASK,
    ((w1 >> 52) | (w2 << 12)) & MASK,
    (w2 >> 17) & MASK,
    ((w2 >> 46) | (w3 << 18)) & MASK,
    (w3 >> 11) & MASK,
    w3 >> 40,
  )
}

/** Writes a normalized element as 32 bytes, big-endian. */
export function toBytes(bytes: usize, a: usize): void {
  const r0 = load<u32>(a) as u64
  const r1 = load<u32>(a, 4) as u64
  const r2 = load<u32>(a, 8) as u64
  const r3 = load<u32>(a, 12) as u64
  const r4 = load<u32>(a, 16) as u64
  const r5 = load<u32>(a, 20) as u64
  const r6 = load<u32>(a, 24) as u64
  const r7 = load<u32>(a, 28) as u64
  const r8 = load<u32>(a, 32) as u64
  store<u64>(bytes, bswap(r0 | (r1 << 29) | (r2 << 58)), 24)
  store<u64>(bytes, bswap((r2 >> 6) | (r3 << 23) | (r4 << 52)), 16)
  store<u64>(bytes, bswap((r4 >> 12) | (r5 << 17) | (r6 << 46)), 8)
  store<u64>(bytes, bswap((r6 >> 18) | (r7 << 11) | (r8 << 40)))
}

/** r ← a^((p−3)/4), from which both the inverse and the square root are near. */
export function power(r: usize, a: usize): void {
  copy(ta, a)
  sqr(t2, ta)
  mul(t2, t2, ta) // the exponent is 2 ones
  sqr(t3, t2)
  mul(t3, t3, ta) // 3
  sqrTimes(tb, t3, 3)
  mul(tb, tb, t3) // 6
  sqrTimes(tb, tb, 3)
  mul(tb, tb, t3) // 9
  sqrTimes(tb, tb, 2)
  mul(tb, tb, t2) // 11
  sqrTimes(tc, tb, 11)
  mul(tb, tc, tb) // 22
  sqrTimes(tc, tb, 22)
  mul(tc, tc, tb) // 44
  sqrTimes(td, tc, 44)
  mul(td, td, tc) // 88
  sqrTimes(te, td, 88)
  mul(td, te, td) // 176
  sqrTimes(td, td, 44)
  mul(tc, td, tc) // 220
  sqrTimes(tc, tc, 3)
  mul(tc, tc, t3) // 223
  sqrTimes(tc, tc, 23)
  mul(tc, tc, tb) // then 0 and 22 ones
  sqrTimes(tc, tc, 5)
  mul(tc, tc, ta) // 00001
  sqrTimes(tc, tc, 3)
  mul(r, tc, t2) // 011
}

/** r ← a^(p−2) = 1/a, and 0 for 0. */
export function invert(r: usize, a: usize): void {
  power(tc, a)
  sqrTimes(tc, tc, 2)
  mul(r, tc, ta)
}

/** r ← a^((p+1)/4): a square root of a if it has one, else one of −a. */
export function root(r: usize, a: usize): void {
  power(tc, a)
  mul(r, tc, ta)
}

/** Overwrites what the functions above leave behind. */
export function wipeField(): void {
  memory.fill(work, 0, WORK)
}

const WORK = 9 * FIELD
const work = memory.data(9 * 48, 16)
const sum = work
const other = work + FIELD
const ta = work + 2 * FIELD
const tb = work + 3 * FIELD
const tc = work + 4 * FIELD
const td = work + 5 * FIELD
const te = work + 6 * FIELD
const t2 = work + 7 * FIELD
const t3 = work + 8 * FIELD
