// Integers mod n, the order of secp256k1, as nine limbs of 29 bits in 32-bit words, least significant first. All of it
// is arithmetic on 64-bit words, the same operations for all values.

/** From one scalar in limbs to the next. */
export const LIMBS: usize = 48

/** Bytes of an encoded scalar, and of what is reduced to one. docs/spec/notation.md, N.1, N.3 */
export const SCALAR: usize = 32
export const WIDE: usize = 48

/** A sum of products is 18 columns of 64 bits, column k counting 2^(29k). */
export const COLUMNS: usize = 18 * 8

/** This many products may be added to carried columns before they are carried again. */
export const PRODUCTS: i32 = 4

const MASK: u64 = 0x1fffffff

// c = 2^256 - n, and 32c = 2^261 mod n
const C0: u64 = 0xfc9bebf
const C1: u64 = 0x16d0b99
const C2: u64 = 0xdd7f110
const C3: u64 = 0x24632a1
const C4: u64 = 0x1455
const F0: u64 = 0x1937d7e0
const F1: u64 = 0xda1732f
const F2: u64 = 0x1afe2201
const F3: u64 = 0x8c6542d
const F4: u64 = 0x28aa2
// n
const N0: i64 = 0x10364141
const N1: i64 = 0x1e92f466
const N2: i64 = 0x12280eef
const N3: i64 = 0x1db9cd5e
const N4: i64 = 0x1fffebaa
const N5: i64 = 0x1fffffff
const N6: i64 = 0x1fffffff
const N7: i64 = 0x1fffffff
const N8: i64 = 0xffffff

@inline
function limb(a: usize, i: usize): u64 {
  return <u64>load<u32>(a + 4 * i)
}

@inline
function column(at: usize, i: usize): u64 {
  return load<u64>(at + 8 * i)
}

/** 32 big-endian bytes as four words, least significant first: the two at `from` + 16, the two at `from`. */
@inline
function reversed(from: usize): v128 {
  const x = v128.load(from)
  return v128.shuffle<u8>(x, x, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
}

/** 32 bytes, big-endian, to limbs. */
export function fromBytes(from: usize, to: usize): void {
  const low = reversed(from + 16)
  const high = reversed(from)
  const w0 = i64x2.extract_lane(low, 0)
  const w1 = i64x2.extract_lane(low, 1)
  const w2 = i64x2.extract_lane(high, 0)
  const w3 = i64x2.extract_lane(high, 1)
  lowLimbs(w0, w1, w2, w3, to)
  store<u32>(to, <u32>(<u64>w3 >> 40), 32)
}

/** The eight lower limbs of a number in words. */
@inline
function lowLimbs(w0: u64, w1: u64, w2: u64, w3: u64, to: usize): void {
  store<u32>(to, <u32>(w0 & MASK))
  store<u32>(to, <u32>((w0 >> 29) & MASK), 4)
  store<u32>(to, <u32>(((w0 >> 58) | (w1 << 6)) & MASK), 8)
  store<u32>(to, <u32>((w1 >> 23) & MASK), 12)
  store<u32>(to, <u32>(((w1 >> 52) | (w2 << 12)) & MASK), 16)
  store<u32>(to, <u32>((w2 >> 17) & MASK), 20)
  store<u32>(to, <u32>(((w2 >> 46) | (w3 << 18)) & MASK), 24)
  store<u32>(to, <u32>((w3 >> 11) & MASK), 28)
}

/** Limbs of a number below n to 32 bytes, big-endian. */
export function toBytes(from: usize, to: usize): void {
  const l2 = limb(from, 2)
  const l4 = limb(from, 4)
  const l6 = limb(from, 6)
  let low = i64x2.splat(limb(from, 0) | (limb(from, 1) << 29) | (l2 << 58))
  low = i64x2.replace_lane(low, 1, (l2 >> 6) | (limb(from, 3) << 23) | (l4 << 52))
  let high = i64x2.splat((l4 >> 12) | (limb(from, 5) << 17) | (l6 << 46))
  high = i64x2.replace_lane(high, 1, (l6 >> 18) | (limb(from, 7) << 11) | (limb(from, 8) << 40))
  v128.store(to, v128.shuffle<u8>(high, high, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0))
  v128.store(to, v128.shuffle<u8>(low, low, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0), 16)
}

/** columns += a·b */
export function addProduct(columns: usize, a: usize, b: usize): void {
  const a0 = limb(a, 0)
  const a1 = limb(a, 1)
  const a2 = limb(a, 2)
  const a3 = limb(a, 3)
  const a4 = limb(a, 4)
  const a5 = limb(a, 5)
  const a6 = limb(a, 6)
  const a7 = limb(a, 7)
  const a8 = limb(a, 8)
  const b0 = limb(b, 0)
  const b1 = limb(b, 1)
  const b2 = limb(b, 2)
  const b3 = limb(b, 3)
  const b4 = limb(b, 4)
  const b5 = limb(b, 5)
  const b6 = limb(b, 6)
  const b7 = limb(b, 7)
  const b8 = limb(b, 8)
  store<u64>(columns, column(columns, 0) + a0 * b0, 0)
  store<u64>(columns, column(columns, 1) + a0 * b1 + a1 * b0, 8)
  store<u64>(columns, column(columns, 2) + a0 * b2 + a1 * b1 + a2 * b0, 16)
  store<u64>(columns, column(columns, 3) + a0 * b3 + a1 * b2 + a2 * b1 + a3 * b0, 24)
  store<u64>(columns, column(columns, 4) + a0 * b4 + a1 * b3 + a2 * b2 + a3 * b1 + a4 * b0, 32)
  store<u64>(columns, column(columns, 5) + a0 * b5 + a1 * b4 + a2 * b3 + a3 * b2 + a4 * b1 + a5 * b0, 40)
  store<u64>(columns, column(columns, 6) + a0 * b6 + a1 * b5 + a2 * b4 + a3 * b3 + a4 * b2 + a5 * b1 + a6 * b0, 48)
  store<u64>(columns, column(columns, 7) + a0 * b7 + a1 * b6 + a2 * b5 + a3 * b4 + a4 * b3 + a5 * b2 + a6 * b1 + a7 * b0, 56)
  store<u64>(columns, column(columns, 8) + a0 * b8 + a1 * b7 + a2 * b6 + a3 * b5 + a4 * b4 + a5 * b3 + a6 * b2 + a7 * b1 + a8 * b0, 64)
  store<u64>(columns, column(columns, 9) + a1 * b8 + a2 * b7 + a3 * b6 + a4 * b5 + a5 * b4 + a6 * b3 + a7 * b2 + a8 * b1, 72)
  store<u64>(columns, column(columns, 10) + a2 * b8 + a3 * b7 + a4 * b6 + a5 * b5 + a6 * b4 + a7 * b3 + a8 * b2, 80)
  store<u64>(columns, column(columns, 11) + a3 * b8 + a4 * b7 + a5 * b6 + a6 * b5 + a7 * b4 + a8 * b3, 88)
  store<u64>(columns, column(columns, 12) + a4 * b8 + a5 * b7 + a6 * b6 + a7 * b5 + a8 * b4, 96)
  store<u64>(columns, column(columns, 13) + a5 * b8 + a6 * b7 + a7 * b6 + a8 * b5, 104)
  store<u64>(columns, column(columns, 14) + a6 * b8 + a7 * b7 + a8 * b6, 112)
  store<u64>(columns, column(columns, 15) + a7 * b8 + a8 * b7, 120)
  store<u64>(columns, column(columns, 16) + a8 * b8, 128)
}

/** columns += a */
export function addLimbs(columns: usize, a: usize): void {
  for (let i: usize = 0; i < 9; i++)
    store<u64>(columns + 8 * i, column(columns, i) + limb(a, i))
}

/** Brings every column but the last below 2^29. */
export function carry(columns: usize): void {
  let over: u64 = 0
  for (let i: usize = 0; i < 17; i++) {
    const value = column(columns, i) + over
    store<u64>(columns + 8 * i, value & MASK)
    over = value >> 29
  }
  store<u64>(columns, column(columns, 17) + over, 136)
}

/** The columns mod n, 0..n-1, in limbs. They hold less than 2^522; what they are afterwards means nothing. */
export function reduce(columns: usize, to: usize): void {
  carry(columns)
  const h0 = column(columns, 9)
  const h1 = column(columns, 10)
  const h2 = column(columns, 11)
  const h3 = column(columns, 12)
  const h4 = column(columns, 13)
  const h5 = column(columns, 14)
  const h6 = column(columns, 15)
  const h7 = column(columns, 16)
  const h8 = column(columns, 17)
  let q0 = column(columns, 0) + h0 * F0
  let q1 = column(columns, 1) + h0 * F1 + h1 * F0
  let q2 = column(columns, 2) + h0 * F2 + h1 * F1 + h2 * F0
  let q3 = column(columns, 3) + h0 * F3 + h1 * F2 + h2 * F1 + h3 * F0
  let q4 = column(columns, 4) + h0 * F4 + h1 * F3 + h2 * F2 + h3 * F1 + h4 * F0
  let q5 = column(columns, 5) + h1 * F4 + h2 * F3 + h3 * F2 + h4 * F1 + h5 * F0
  let q6 = column(columns, 6) + h2 * F4 + h3 * F3 + h4 * F2 + h5 * F1 + h6 * F0
  let q7 = column(columns, 7) + h3 * F4 + h4 * F3 + h5 * F2 + h6 * F1 + h7 * F0
  let q8 = column(columns, 8) + h4 * F4 + h5 * F3 + h6 * F2 + h7 * F1 + h8 * F0
  let q9 = h5 * F4 + h6 * F3 + h7 * F2 + h8 * F1
  let q10 = h6 * F4 + h7 * F3 + h8 * F2
  let q11 = h7 * F4 + h8 * F3
  let q12 = h8 * F4
  let q13: u64 = 0
  q1 += q0 >> 29
  q2 += q1 >> 29
  q3 += q2 >> 29
  q4 += q3 >> 29
  q5 += q4 >> 29
  q6 += q5 >> 29
  q7 += q6 >> 29
  q8 += q7 >> 29
  q9 += q8 >> 29
  q10 += q9 >> 29
  q11 += q10 >> 29
  q12 += q11 >> 29
  q13 += q12 >> 29
  finish(
    q0 & MASK,
    q1 & MASK,
    q2 & MASK,
    q3 & MASK,
    q4 & MASK,
    q5 & MASK,
    q6 & MASK,
    q7 & MASK,
    q8 & MASK,
    q9 & MASK,
    q10 & MASK,
    q11 & MASK,
    q12 & MASK,
    q13,
    to,
  )
}

/** 48 bytes, big-endian, mod n. */
export function reduceWide(from: usize, to: usize): void {
  const low = reversed(from + 32)
  const middle = reversed(from + 16)
  const high = reversed(from)
  const w0: u64 = i64x2.extract_lane(low, 0)
  const w1: u64 = i64x2.extract_lane(low, 1)
  const w2: u64 = i64x2.extract_lane(middle, 0)
  const w3: u64 = i64x2.extract_lane(middle, 1)
  const w4: u64 = i64x2.extract_lane(high, 0)
  const w5: u64 = i64x2.extract_lane(high, 1)
  finish(
    w0 & MASK,
    (w0 >> 29) & MASK,
    ((w0 >> 58) | (w1 << 6)) & MASK,
    (w1 >> 23) & MASK,
    ((w1 >> 52) | (w2 << 12)) & MASK,
    (w2 >> 17) & MASK,
    ((w2 >> 46) | (w3 << 18)) & MASK,
    (w3 >> 11) & MASK,
    ((w3 >> 40) | (w4 << 24)) & MASK,
    (w4 >> 5) & MASK,
    (w4 >> 34) & MASK,
    ((w4 >> 63) | (w5 << 1)) & MASK,
    (w5 >> 28) & MASK,
    w5 >> 57,
    to,
  )
}

/** From 14 limbs of a number below 2^396 to its remainder mod n. */
@inline
function finish(
  r0: u64,
  r1: u64,
  r2: u64,
  r3: u64,
  r4: u64,
  r5: u64,
  r6: u64,
  r7: u64,
  r8: u64,
  r9: u64,
  r10: u64,
  r11: u64,
  r12: u64,
  r13: u64,
  to: usize,
): void {
  // What counts 2^261 and more comes back as multiples of 32c, what counts 2^256 and more as multiples of c.
  let s0 = r0 + r9 * F0
  let s1 = r1 + r9 * F1 + r10 * F0
  let s2 = r2 + r9 * F2 + r10 * F1 + r11 * F0
  let s3 = r3 + r9 * F3 + r10 * F2 + r11 * F1 + r12 * F0
  let s4 = r4 + r9 * F4 + r10 * F3 + r11 * F2 + r12 * F1 + r13 * F0
  let s5 = r5 + r10 * F4 + r11 * F3 + r12 * F2 + r13 * F1
  let s6 = r6 + r11 * F4 + r12 * F3 + r13 * F2
  let s7 = r7 + r12 * F4 + r13 * F3
  let s8 = r8 + r13 * F4
  s1 += s0 >> 29
  s2 += s1 >> 29
  s3 += s2 >> 29
  s4 += s3 >> 29
  s5 += s4 >> 29
  s6 += s5 >> 29
  s7 += s6 >> 29
  s8 += s7 >> 29
  const top = s8 >> 24
  let t0 = <i64>((s0 & MASK) + top * C0) 
  let t1 = <i64>((s1 & MASK) + top * C1) 
  let t2 = <i64>((s2 & MASK) + top * C2) 
  let t3 = <i64>((s3 & MASK) + top * C3) 
  let t4 = <i64>((s4 & MASK) + top * C4) 
  let t5 = <i64>((s5 & MASK)) 
  let t6 = <i64>((s6 & MASK)) 
  let t7 = <i64>((s7 & MASK)) 
  let t8 = <i64>((s8 & 0xffffff)) 
  settle(t0, t1, t2, t3, t4, t5, t6, t7, t8, to)
}

/** The number in nine signed columns, from 0 to below 2n, mod n, in limbs. */
@inline
function settle(
  t0: i64,
  t1: i64,
  t2: i64,
  t3: i64,
  t4: i64,
  t5: i64,
  t6: i64,
  t7: i64,
  t8: i64,
  to: usize,
): void {
  t1 += t0 >> 29
  t2 += t1 >> 29
  t3 += t2 >> 29
  t4 += t3 >> 29
  t5 += t4 >> 29
  t6 += t5 >> 29
  t7 += t6 >> 29
  t8 += t7 >> 29
  // t - n, and whether that is negative
  const d0 = (t0 & MASK) - N0
  const d1 = (t1 & MASK) - N1 + (d0 >> 29)
  const d2 = (t2 & MASK) - N2 + (d1 >> 29)
  const d3 = (t3 & MASK) - N3 + (d2 >> 29)
  const d4 = (t4 & MASK) - N4 + (d3 >> 29)
  const d5 = (t5 & MASK) - N5 + (d4 >> 29)
  const d6 = (t6 & MASK) - N6 + (d5 >> 29)
  const d7 = (t7 & MASK) - N7 + (d6 >> 29)
  const d8 = t8 - N8 + (d7 >> 29)
  const isLess = d8 >> 63
  store<u32>(to, <u32>(((t0 & MASK) & isLess) | ((d0 & MASK) & ~isLess)), 0)
  store<u32>(to, <u32>(((t1 & MASK) & isLess) | ((d1 & MASK) & ~isLess)), 4)
  store<u32>(to, <u32>(((t2 & MASK) & isLess) | ((d2 & MASK) & ~isLess)), 8)
  store<u32>(to, <u32>(((t3 & MASK) & isLess) | ((d3 & MASK) & ~isLess)), 12)
  store<u32>(to, <u32>(((t4 & MASK) & isLess) | ((d4 & MASK) & ~isLess)), 16)
  store<u32>(to, <u32>(((t5 & MASK) & isLess) | ((d5 & MASK) & ~isLess)), 20)
  store<u32>(to, <u32>(((t6 & MASK) & isLess) | ((d6 & MASK) & ~isLess)), 24)
  store<u32>(to, <u32>(((t7 & MASK) & isLess) | ((d7 & MASK) & ~isLess)), 28)
  store<u32>(to, <u32>(((t8) & isLess) | ((d8) & ~isLess)), 32)
}

/** x - y + a mod n, of limbs below n. */
export function subtractAdd(x: usize, y: usize, a: usize, to: usize): void {
  let s0 = <i64>limb(x, 0) - <i64>limb(y, 0) + <i64>limb(a, 0) + N0
  let s1 = <i64>limb(x, 1) - <i64>limb(y, 1) + <i64>limb(a, 1) + N1
  let s2 = <i64>limb(x, 2) - <i64>limb(y, 2) + <i64>limb(a, 2) + N2
  let s3 = <i64>limb(x, 3) - <i64>limb(y, 3) + <i64>limb(a, 3) + N3
  let s4 = <i64>limb(x, 4) - <i64>limb(y, 4) + <i64>limb(a, 4) + N4
  let s5 = <i64>limb(x, 5) - <i64>limb(y, 5) + <i64>limb(a, 5) + N5
  let s6 = <i64>limb(x, 6) - <i64>limb(y, 6) + <i64>limb(a, 6) + N6
  let s7 = <i64>limb(x, 7) - <i64>limb(y, 7) + <i64>limb(a, 7) + N7
  let s8 = <i64>limb(x, 8) - <i64>limb(y, 8) + <i64>limb(a, 8) + N8
  s1 += s0 >> 29
  s2 += s1 >> 29
  s3 += s2 >> 29
  s4 += s3 >> 29
  s5 += s4 >> 29
  s6 += s5 >> 29
  s7 += s6 >> 29
  s8 += s7 >> 29
  const top = s8 >> 24
  settle(
    (s0 & MASK) + top * <i64>C0,
    (s1 & MASK) + top * <i64>C1,
    (s2 & MASK) + top * <i64>C2,
    (s3 & MASK) + top * <i64>C3,
    (s4 & MASK) + top * <i64>C4,
    (s5 & MASK),
    (s6 & MASK),
    (s7 & MASK),
    (s8 & 0xffffff),
    to,
  )
}

/** x + (mask & y) mod n, of limbs below n; mask is 0 or all ones. */
export function addMasked(x: usize, y: usize, mask: u64, to: usize): void {
  settle(
    <i64>(limb(x, 0) + (limb(y, 0) & mask)),
    <i64>(limb(x, 1) + (limb(y, 1) & mask)),
    <i64>(limb(x, 2) + (limb(y, 2) & mask)),
    <i64>(limb(x, 3) + (limb(y, 3) & mask)),
    <i64>(limb(x, 4) + (limb(y, 4) & mask)),
    <i64>(limb(x, 5) + (limb(y, 5) & mask)),
    <i64>(limb(x, 6) + (limb(y, 6) & mask)),
    <i64>(limb(x, 7) + (limb(y, 7) & mask)),
    <i64>(limb(x, 8) + (limb(y, 8) & mask)),
    to,
  )
}
