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

export const MASK: u64 = 0x1fffffff
/** 2²⁶¹ = 2⁸·2²⁹ + FOLD mod p: a limb with the weight of limb 9 goes to limbs 0 and 1. */
export const FOLD: u64 = 31264

/** Writes nine limbs as three vectors, since vectors are how they are read next. */
export function put(
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
