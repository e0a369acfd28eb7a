// Arithmetic mod p = 2²⁵⁶ − 2³² − 977, the field of secp256k1.
//
// An element is 48 bytes: nine limbs of 29 bits in u32, least significant first, and three words that are zero. It
// stands for Σ limb_i·2^(29i) mod p and is in general not reduced. What a function here gives has limbs below
// T = 2²⁹ + 2²³ ("tight"); only `add` gives the sums of the limbs as they are ("loose").
//
// A product takes loose factors as long as all its columns stay below 2⁶⁴. For limbs below a·T and b·T the fullest, of
// nine terms, is below a·b·9·T² = a·b·9.29·2⁵⁸, and what is folded into it below 2⁴⁸: so a·b may be 6, but not 7. That
// is a sum of two by a sum of two, or one of three by a tight one; and, together, for both products of `mulAdd`. The
// last carry of a product is then below 2⁴⁰, comes back through 2²⁶¹ = 2⁸·2²⁹ + FOLD, and leaves less than 2¹⁹ above
// limb 2: tight. Vectors have words of 32 bits: three tight limbs fit, and what `tighten` is given.
// No branch and no address depends on what an element is.

/** Bytes of an element. */
export const FIELD = 48

const MASK: u64 = 0x1fffffff
/** 2²⁶¹ = 2⁸·2²⁹ + FOLD mod p: a limb with the weight of limb 9 goes to limbs 0 and 1. */
const FOLD: u64 = 31264

/** A multiple of p whose every limb is above that of a sum of two tight elements. */
const MULTIPLE: usize = memory.data<u32>(
  [
    0x5fff041e, 0x5ffffded, 0x5ffffffd, 0x5ffffffd, 0x5ffffffd, 0x5ffffffd, 0x5ffffffd, 0x5ffffffd,
    0x41fffffd, 0, 0, 0,
  ],
  16,
)

/** Writes nine limbs as three vectors, since vectors are how they are read next. */
function put(
  r: usize,
  r0: u64,
  r1: u64,
  r2: u64,
  r3: u64,
  r4: u64,
  r5: u64,
  r6: u64,
  r7: u64,
  r8: u64,
): void {
  const low = i64x2.replace_lane(i64x2.splat(r0 | (r1 << 32)), 1, r2 | (r3 << 32))
  const high = i64x2.replace_lane(i64x2.splat(r4 | (r5 << 32)), 1, r6 | (r7 << 32))
  v128.store(r, low)
  v128.store(r, high, 16)
  v128.store(r, i64x2.replace_lane(i64x2.splat(0), 0, r8), 32)
}

/** r ← a·b */
export function mul(r: usize, a: usize, b: usize): void {
  const a0 = load<u32>(a) as u64
  const a1 = load<u32>(a, 4) as u64
  const a2 = load<u32>(a, 8) as u64
  const a3 = load<u32>(a, 12) as u64
  const a4 = load<u32>(a, 16) as u64
  const a5 = load<u32>(a, 20) as u64
  const a6 = load<u32>(a, 24) as u64
  const a7 = load<u32>(a, 28) as u64
  const a8 = load<u32>(a, 32) as u64
  const b0 = load<u32>(b) as u64
  const b1 = load<u32>(b, 4) as u64
  const b2 = load<u32>(b, 8) as u64
  const b3 = load<u32>(b, 12) as u64
  const b4 = load<u32>(b, 16) as u64
  const b5 = load<u32>(b, 20) as u64
  const b6 = load<u32>(b, 24) as u64
  const b7 = load<u32>(b, 28) as u64
  const b8 = load<u32>(b, 32) as u64

  let c: u64 = a1 * b8 + a2 * b7 + a3 * b6 + a4 * b5 + a5 * b4 + a6 * b3 + a7 * b2 + a8 * b1
  const h0 = c & MASK
  c = (c >> 29) + (a2 * b8 + a3 * b7 + a4 * b6 + a5 * b5 + a6 * b4 + a7 * b3 + a8 * b2)
  const h1 = c & MASK
  c = (c >> 29) + (a3 * b8 + a4 * b7 + a5 * b6 + a6 * b5 + a7 * b4 + a8 * b3)
  const h2 = c & MASK
  c = (c >> 29) + (a4 * b8 + a5 * b7 + a6 * b6 + a7 * b5 + a8 * b4)
  const h3 = c & MASK
  c = (c >> 29) + (a5 * b8 + a6 * b7 + a7 * b6 + a8 * b5)
  const h4 = c & MASK
  c = (c >> 29) + (a6 * b8 + a7 * b7 + a8 * b6)
  const h5 = c & MASK
  c = (c >> 29) + (a7 * b8 + a8 * b7)
  const h6 = c & MASK
  c = (c >> 29) + a8 * b8
  const h7 = c & MASK
  const h8 = c >> 29

  c = a0 * b0 + h0 * FOLD
  let r0 = c & MASK
  c = (c >> 29) + a0 * b1 + a1 * b0 + h1 * FOLD + (h0 << 8)
  let r1 = c & MASK
  c = (c >> 29) + a0 * b2 + a1 * b1 + a2 * b0 + h2 * FOLD + (h1 << 8)
  let r2 = c & MASK
  c = (c >> 29) + a0 * b3 + a1 * b2 + a2 * b1 + a3 * b0 + h3 * FOLD + (h2 << 8)
  const r3 = c & MASK
  c = (c >> 29) + a0 * b4 + a1 * b3 + a2 * b2 + a3 * b1 + a4 * b0 + h4 * FOLD + (h3 << 8)
  const r4 = c & MASK
  c = (c >> 29) + a0 * b5 + a1 * b4 + a2 * b3 + a3 * b2 + a4 * b1 + a5 * b0 + h5 * FOLD + (h4 << 8)
  const r5 = c & MASK
  c =
    (c >> 29) +
    a0 * b6 +
    a1 * b5 +
    a2 * b4 +
    a3 * b3 +
    a4 * b2 +
    a5 * b1 +
    a6 * b0 +
    h6 * FOLD +
    (h5 << 8)
  const r6 = c & MASK
  c =
    (c >> 29) +
    a0 * b7 +
    a1 * b6 +
    a2 * b5 +
    a3 * b4 +
    a4 * b3 +
    a5 * b2 +
    a6 * b1 +
    a7 * b0 +
    h7 * FOLD +
    (h6 << 8)
  const r7 = c & MASK
  c =
    (c >> 29) +
    a0 * b8 +
    a1 * b7 +
    a2 * b6 +
    a3 * b5 +
    a4 * b4 +
    a5 * b3 +
    a6 * b2 +
    a7 * b1 +
    a8 * b0 +
    h8 * FOLD +
    (h7 << 8)
  const r8 = c & MASK
  c = (c >> 29) + (h8 << 8)
  r0 += c * FOLD
  r1 += (c << 8) + (r0 >> 29)
  r2 += r1 >> 29
  put(r, r0 & MASK, r1 & MASK, r2, r3, r4, r5, r6, r7, r8)
}

/** r ← a·b + x·y, with one reduction. At most a tight one by a sum of two and two by two, six products of tight ones. */
export function mulAdd(r: usize, a: usize, b: usize, x: usize, y: usize): void {
  const a0 = load<u32>(a) as u64
  const a1 = load<u32>(a, 4) as u64
  const a2 = load<u32>(a, 8) as u64
  const a3 = load<u32>(a, 12) as u64
  const a4 = load<u32>(a, 16) as u64
  const a5 = load<u32>(a, 20) as u64
  const a6 = load<u32>(a, 24) as u64
  const a7 = load<u32>(a, 28) as u64
  const a8 = load<u32>(a, 32) as u64
  const b0 = load<u32>(b) as u64
  const b1 = load<u32>(b, 4) as u64
  const b2 = load<u32>(b, 8) as u64
  const b3 = load<u32>(b, 12) as u64
  const b4 = load<u32>(b, 16) as u64
  const b5 = load<u32>(b, 20) as u64
  const b6 = load<u32>(b, 24) as u64
  const b7 = load<u32>(b, 28) as u64
  const b8 = load<u32>(b, 32) as u64
  const x0 = load<u32>(x) as u64
  const x1 = load<u32>(x, 4) as u64
  const x2 = load<u32>(x, 8) as u64
  const x3 = load<u32>(x, 12) as u64
  const x4 = load<u32>(x, 16) as u64
  const x5 = load<u32>(x, 20) as u64
  const x6 = load<u32>(x, 24) as u64
  const x7 = load<u32>(x, 28) as u64
  const x8 = load<u32>(x, 32) as u64
  const y0 = load<u32>(y) as u64
  const y1 = load<u32>(y, 4) as u64
  const y2 = load<u32>(y, 8) as u64
  const y3 = load<u32>(y, 12) as u64
  const y4 = load<u32>(y, 16) as u64
  const y5 = load<u32>(y, 20) as u64
  const y6 = load<u32>(y, 24) as u64
  const y7 = load<u32>(y, 28) as u64
  const y8 = load<u32>(y, 32) as u64

  let c: u64 =
    a1 * b8 +
    x1 * y8 +
    a2 * b7 +
    x2 * y7 +
    a3 * b6 +
    x3 * y6 +
    a4 * b5 +
    x4 * y5 +
    a5 * b4 +
    x5 * y4 +
    a6 * b3 +
    x6 * y3 +
    a7 * b2 +
    x7 * y2 +
    a8 * b1 +
    x8 * y1
  const h0 = c & MASK
  c =
    (c >> 29) +
    (a2 * b8 +
      x2 * y8 +
      a3 * b7 +
      x3 * y7 +
      a4 * b6 +
      x4 * y6 +
      a5 * b5 +
      x5 * y5 +
      a6 * b4 +
      x6 * y4 +
      a7 * b3 +
      x7 * y3 +
      a8 * b2 +
      x8 * y2)
  const h1 = c & MASK
  c =
    (c >> 29) +
    (a3 * b8 +
      x3 * y8 +
      a4 * b7 +
      x4 * y7 +
      a5 * b6 +
      x5 * y6 +
      a6 * b5 +
      x6 * y5 +
      a7 * b4 +
      x7 * y4 +
      a8 * b3 +
      x8 * y3)
  const h2 = c & MASK
  c =
    (c >> 29) +
    (a4 * b8 +
      x4 * y8 +
      a5 * b7 +
      x5 * y7 +
      a6 * b6 +
      x6 * y6 +
      a7 * b5 +
      x7 * y5 +
      a8 * b4 +
      x8 * y4)
  const h3 = c & MASK
  c = (c >> 29) + (a5 * b8 + x5 * y8 + a6 * b7 + x6 * y7 + a7 * b6 + x7 * y6 + a8 * b5 + x8 * y5)
  const h4 = c & MASK
  c = (c >> 29) + (a6 * b8 + x6 * y8 + a7 * b7 + x7 * y7 + a8 * b6 + x8 * y6)
  const h5 = c & MASK
  c = (c >> 29) + (a7 * b8 + x7 * y8 + a8 * b7 + x8 * y7)
  const h6 = c & MASK
  c = (c >> 29) + (a8 * b8 + x8 * y8)
  const h7 = c & MASK
  const h8 = c >> 29

  c = a0 * b0 + x0 * y0 + h0 * FOLD
  let r0 = c & MASK
  c = (c >> 29) + a0 * b1 + x0 * y1 + a1 * b0 + x1 * y0 + h1 * FOLD + (h0 << 8)
  let r1 = c & MASK
  c = (c >> 29) + a0 * b2 + x0 * y2 + a1 * b1 + x1 * y1 + a2 * b0 + x2 * y0 + h2 * FOLD + (h1 << 8)
  let r2 = c & MASK
  c =
    (c >> 29) +
    a0 * b3 +
    x0 * y3 +
    a1 * b2 +
    x1 * y2 +
    a2 * b1 +
    x2 * y1 +
    a3 * b0 +
    x3 * y0 +
    h3 * FOLD +
    (h2 << 8)
  const r3 = c & MASK
  c =
    (c >> 29) +
    a0 * b4 +
    x0 * y4 +
    a1 * b3 +
    x1 * y3 +
    a2 * b2 +
    x2 * y2 +
    a3 * b1 +
    x3 * y1 +
    a4 * b0 +
    x4 * y0 +
    h4 * FOLD +
    (h3 << 8)
  const r4 = c & MASK
  c =
    (c >> 29) +
    a0 * b5 +
    x0 * y5 +
    a1 * b4 +
    x1 * y4 +
    a2 * b3 +
    x2 * y3 +
    a3 * b2 +
    x3 * y2 +
    a4 * b1 +
    x4 * y1 +
    a5 * b0 +
    x5 * y0 +
    h5 * FOLD +
    (h4 << 8)
  const r5 = c & MASK
  c =
    (c >> 29) +
    a0 * b6 +
    x0 * y6 +
    a1 * b5 +
    x1 * y5 +
    a2 * b4 +
    x2 * y4 +
    a3 * b3 +
    x3 * y3 +
    a4 * b2 +
    x4 * y2 +
    a5 * b1 +
    x5 * y1 +
    a6 * b0 +
    x6 * y0 +
    h6 * FOLD +
    (h5 << 8)
  const r6 = c & MASK
  c =
    (c >> 29) +
    a0 * b7 +
    x0 * y7 +
    a1 * b6 +
    x1 * y6 +
    a2 * b5 +
    x2 * y5 +
    a3 * b4 +
    x3 * y4 +
    a4 * b3 +
    x4 * y3 +
    a5 * b2 +
    x5 * y2 +
    a6 * b1 +
    x6 * y1 +
    a7 * b0 +
    x7 * y0 +
    h7 * FOLD +
    (h6 << 8)
  const r7 = c & MASK
  c =
    (c >> 29) +
    a0 * b8 +
    x0 * y8 +
    a1 * b7 +
    x1 * y7 +
    a2 * b6 +
    x2 * y6 +
    a3 * b5 +
    x3 * y5 +
    a4 * b4 +
    x4 * y4 +
    a5 * b3 +
    x5 * y3 +
    a6 * b2 +
    x6 * y2 +
    a7 * b1 +
    x7 * y1 +
    a8 * b0 +
    x8 * y0 +
    h8 * FOLD +
    (h7 << 8)
  const r8 = c & MASK
  c = (c >> 29) + (h8 << 8)
  r0 += c * FOLD
  r1 += (c << 8) + (r0 >> 29)
  r2 += r1 >> 29
  put(r, r0 & MASK, r1 & MASK, r2, r3, r4, r5, r6, r7, r8)
}

/** r ← a² */
export function sqr(r: usize, a: usize): void {
  sqrTimes(r, a, 1)
}

/** r ← a^(2^n), with the limbs at hand all the way. */
export function sqrTimes(r: usize, a: usize, n: i32): void {
  let a0 = load<u32>(a) as u64
  let a1 = load<u32>(a, 4) as u64
  let a2 = load<u32>(a, 8) as u64
  let a3 = load<u32>(a, 12) as u64
  let a4 = load<u32>(a, 16) as u64
  let a5 = load<u32>(a, 20) as u64
  let a6 = load<u32>(a, 24) as u64
  let a7 = load<u32>(a, 28) as u64
  let a8 = load<u32>(a, 32) as u64
  for (let i = 0; i < n; i++) {
    const d0 = a0 << 1
    const d1 = a1 << 1
    const d2 = a2 << 1
    const d3 = a3 << 1
    const d4 = a4 << 1
    const d5 = a5 << 1
    const d6 = a6 << 1
    const d7 = a7 << 1

    let c: u64 = d1 * a8 + d2 * a7 + d3 * a6 + d4 * a5
    const h0 = c & MASK
    c = (c >> 29) + (d2 * a8 + d3 * a7 + d4 * a6 + a5 * a5)
    const h1 = c & MASK
    c = (c >> 29) + (d3 * a8 + d4 * a7 + d5 * a6)
    const h2 = c & MASK
    c = (c >> 29) + (d4 * a8 + d5 * a7 + a6 * a6)
    const h3 = c & MASK
    c = (c >> 29) + (d5 * a8 + d6 * a7)
    const h4 = c & MASK
    c = (c >> 29) + (d6 * a8 + a7 * a7)
    const h5 = c & MASK
    c = (c >> 29) + d7 * a8
    const h6 = c & MASK
    c = (c >> 29) + a8 * a8
    const h7 = c & MASK
    const h8 = c >> 29

    c = a0 * a0 + h0 * FOLD
    let r0 = c & MASK
    c = (c >> 29) + d0 * a1 + h1 * FOLD + (h0 << 8)
    let r1 = c & MASK
    c = (c >> 29) + d0 * a2 + a1 * a1 + h2 * FOLD + (h1 << 8)
    let r2 = c & MASK
    c = (c >> 29) + d0 * a3 + d1 * a2 + h3 * FOLD + (h2 << 8)
    const r3 = c & MASK
    c = (c >> 29) + d0 * a4 + d1 * a3 + a2 * a2 + h4 * FOLD + (h3 << 8)
    const r4 = c & MASK
    c = (c >> 29) + d0 * a5 + d1 * a4 + d2 * a3 + h5 * FOLD + (h4 << 8)
    const r5 = c & MASK
    c = (c >> 29) + d0 * a6 + d1 * a5 + d2 * a4 + a3 * a3 + h6 * FOLD + (h5 << 8)
    const r6 = c & MASK
    c = (c >> 29) + d0 * a7 + d1 * a6 + d2 * a5 + d3 * a4 + h7 * FOLD + (h6 << 8)
    const r7 = c & MASK
    c = (c >> 29) + d0 * a8 + d1 * a7 + d2 * a6 + d3 * a5 + a4 * a4 + h8 * FOLD + (h7 << 8)
    const r8 = c & MASK
    c = (c >> 29) + (h8 << 8)
    r0 += c * FOLD
    r1 += (c << 8) + (r0 >> 29)
    r2 += r1 >> 29
    a0 = r0 & MASK
    a1 = r1 & MASK
    a2 = r2
    a3 = r3
    a4 = r4
    a5 = r5
    a6 = r6
    a7 = r7
    a8 = r8
  }
  put(r, a0, a1, a2, a3, a4, a5, a6, a7, a8)
}

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
