// Integers mod n, the order of secp256k1, as nine limbs of 29 bits in 32-bit words, least significant first. All of it
// is arithmetic on 64-bit words, the same operations for all values.

/** From one number in limbs to the next. */
export const LIMBS: usize = 48

/** Bytes of an encoded scalar, and of what is reduced to one. docs/spec/notation.md, N.1, N.3 */
export const SCALAR: usize = 32
export const WIDE: usize = 48

/** A sum of products is 18 columns of 64 bits, column k counting 2^(29k). */
export const COLUMNS: usize = 18 * 8

const MASK: u64 = 0x1fffffff

// c = 2^256 - n in limbs, and in 64-bit words
const C0: u64 = 0xfc9bebf
const C1: u64 = 0x16d0b99
const C2: u64 = 0xdd7f110
const C3: u64 = 0x24632a1
const C4: u64 = 0x1455
const W0: u64 = 0x402da1732fc9bebf
const W1: u64 = 0x4551231950b75fc4
const W2: u64 = 0x1
// 32c = 2^261 mod n
const F0: u64 = 0x1937d7e0
const F1: u64 = 0xda1732f
const F2: u64 = 0x1afe2201
const F3: u64 = 0x8c6542d
const F4: u64 = 0x28aa2
@inline
function limb(a: usize, i: usize): u64 {
  return <u64>load<u32>(a + 4 * i)
}

@inline
function column(at: usize, i: usize): u64 {
  return load<u64>(at + 8 * i)
}

@inline
function reversed(x: v128): v128 {
  return v128.shuffle<u8>(x, x, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0)
}

/** 32 bytes, big-endian, to limbs. */
export function fromBytes(from: usize, to: usize): void {
  const low = reversed(v128.load(from, 16))
  const high = reversed(v128.load(from))
  const w0: u64 = i64x2.extract_lane(low, 0)
  const w1: u64 = i64x2.extract_lane(low, 1)
  const w2: u64 = i64x2.extract_lane(high, 0)
  const w3: u64 = i64x2.extract_lane(high, 1)
  store<u32>(to, <u32>(w0 & MASK), 0)
  store<u32>(to, <u32>((w0 >> 29) & MASK), 4)
  store<u32>(to, <u32>(((w0 >> 58) | (w1 << 6)) & MASK), 8)
  store<u32>(to, <u32>((w1 >> 23) & MASK), 12)
  store<u32>(to, <u32>(((w1 >> 52) | (w2 << 12)) & MASK), 16)
  store<u32>(to, <u32>((w2 >> 17) & MASK), 20)
  store<u32>(to, <u32>(((w2 >> 46) | (w3 << 18)) & MASK), 24)
  store<u32>(to, <u32>((w3 >> 11) & MASK), 28)
  store<u32>(to, <u32>(w3 >> 40), 32)
}

/** 48 bytes, big-endian, to limbs of a number below 2^262 that is the same mod n; its last limb has up to 30 bits. */
export function fromWide(from: usize, to: usize): void {
  const low = reversed(v128.load(from, 32))
  const middle = reversed(v128.load(from, 16))
  const high = reversed(v128.load(from))
  const w0: u64 = i64x2.extract_lane(low, 0)
  const w1: u64 = i64x2.extract_lane(low, 1)
  const w2: u64 = i64x2.extract_lane(middle, 0)
  const w3: u64 = i64x2.extract_lane(middle, 1)
  const w4: u64 = i64x2.extract_lane(high, 0)
  const w5: u64 = i64x2.extract_lane(high, 1)
  // What counts 2^261 and more
  const h0 = (w4 >> 5) & MASK
  const h1 = (w4 >> 34) & MASK
  const h2 = ((w4 >> 63) | (w5 << 1)) & MASK
  const h3 = (w5 >> 28) & MASK
  const h4 = w5 >> 57
  // comes back as multiples of 32c.
  const s0 = (w0 & MASK) + h0 * F0
  const s1 = ((w0 >> 29) & MASK) + h0 * F1 + h1 * F0 + (s0 >> 29)
  const s2 = (((w0 >> 58) | (w1 << 6)) & MASK) + h0 * F2 + h1 * F1 + h2 * F0 + (s1 >> 29)
  const s3 = ((w1 >> 23) & MASK) + h0 * F3 + h1 * F2 + h2 * F1 + h3 * F0 + (s2 >> 29)
  const s4 = (((w1 >> 52) | (w2 << 12)) & MASK) + h0 * F4 + h1 * F3 + h2 * F2 + h3 * F1 + h4 * F0 + (s3 >> 29)
  const s5 = ((w2 >> 17) & MASK) + h1 * F4 + h2 * F3 + h3 * F2 + h4 * F1 + (s4 >> 29)
  const s6 = (((w2 >> 46) | (w3 << 18)) & MASK) + h2 * F4 + h3 * F3 + h4 * F2 + (s5 >> 29)
  const s7 = ((w3 >> 11) & MASK) + h3 * F4 + h4 * F3 + (s6 >> 29)
  const s8 = (((w3 >> 40) | (w4 << 24)) & MASK) + h4 * F4 + (s7 >> 29)
  store<u32>(to, <u32>(s0 & MASK), 0)
  store<u32>(to, <u32>(s1 & MASK), 4)
  store<u32>(to, <u32>(s2 & MASK), 8)
  store<u32>(to, <u32>(s3 & MASK), 12)
  store<u32>(to, <u32>(s4 & MASK), 16)
  store<u32>(to, <u32>(s5 & MASK), 20)
  store<u32>(to, <u32>(s6 & MASK), 24)
  store<u32>(to, <u32>(s7 & MASK), 28)
  store<u32>(to, <u32>s8, 32)
}

/** Limbs of up to 32 bits each to the number's remainder mod n, 32 bytes, big-endian. */
export function toBytes(from: usize, to: usize): void {
  settle(
    limb(from, 0),
    limb(from, 1),
    limb(from, 2),
    limb(from, 3),
    limb(from, 4),
    limb(from, 5),
    limb(from, 6),
    limb(from, 7),
    limb(from, 8),
    to,
  )
}

/** columns ← a·b + c·d + e */
export function setProducts(
  columns: usize,
  a: usize,
  b: usize,
  c: usize,
  d: usize,
  e: usize,
): void {
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
  const c0 = limb(c, 0)
  const c1 = limb(c, 1)
  const c2 = limb(c, 2)
  const c3 = limb(c, 3)
  const c4 = limb(c, 4)
  const c5 = limb(c, 5)
  const c6 = limb(c, 6)
  const c7 = limb(c, 7)
  const c8 = limb(c, 8)
  const d0 = limb(d, 0)
  const d1 = limb(d, 1)
  const d2 = limb(d, 2)
  const d3 = limb(d, 3)
  const d4 = limb(d, 4)
  const d5 = limb(d, 5)
  const d6 = limb(d, 6)
  const d7 = limb(d, 7)
  const d8 = limb(d, 8)
  store<u64>(columns, limb(e, 0) + a0 * b0 + c0 * d0, 0)
  store<u64>(columns, limb(e, 1) + a0 * b1 + a1 * b0 + c0 * d1 + c1 * d0, 8)
  store<u64>(columns, limb(e, 2) + a0 * b2 + a1 * b1 + a2 * b0 + c0 * d2 + c1 * d1 + c2 * d0, 16)
  store<u64>(columns, limb(e, 3) + a0 * b3 + a1 * b2 + a2 * b1 + a3 * b0 + c0 * d3 + c1 * d2 + c2 * d1 + c3 * d0, 24)
  store<u64>(columns, limb(e, 4) + a0 * b4 + a1 * b3 + a2 * b2 + a3 * b1 + a4 * b0 + c0 * d4 + c1 * d3 + c2 * d2 + c3 * d1 + c4 * d0, 32)
  store<u64>(columns, limb(e, 5) + a0 * b5 + a1 * b4 + a2 * b3 + a3 * b2 + a4 * b1 + a5 * b0 + c0 * d5 + c1 * d4 + c2 * d3 + c3 * d2 + c4 * d1 + c5 * d0, 40)
  store<u64>(columns, limb(e, 6) + a0 * b6 + a1 * b5 + a2 * b4 + a3 * b3 + a4 * b2 + a5 * b1 + a6 * b0 + c0 * d6 + c1 * d5 + c2 * d4 + c3 * d3 + c4 * d2 + c5 * d1 + c6 * d0, 48)
  store<u64>(columns, limb(e, 7) + a0 * b7 + a1 * b6 + a2 * b5 + a3 * b4 + a4 * b3 + a5 * b2 + a6 * b1 + a7 * b0 + c0 * d7 + c1 * d6 + c2 * d5 + c3 * d4 + c4 * d3 + c5 * d2 + c6 * d1 + c7 * d0, 56)
  store<u64>(columns, limb(e, 8) + a0 * b8 + a1 * b7 + a2 * b6 + a3 * b5 + a4 * b4 + a5 * b3 + a6 * b2 + a7 * b1 + a8 * b0 + c0 * d8 + c1 * d7 + c2 * d6 + c3 * d5 + c4 * d4 + c5 * d3 + c6 * d2 + c7 * d1 + c8 * d0, 64)
  store<u64>(columns, a1 * b8 + a2 * b7 + a3 * b6 + a4 * b5 + a5 * b4 + a6 * b3 + a7 * b2 + a8 * b1 + c1 * d8 + c2 * d7 + c3 * d6 + c4 * d5 + c5 * d4 + c6 * d3 + c7 * d2 + c8 * d1, 72)
  store<u64>(columns, a2 * b8 + a3 * b7 + a4 * b6 + a5 * b5 + a6 * b4 + a7 * b3 + a8 * b2 + c2 * d8 + c3 * d7 + c4 * d6 + c5 * d5 + c6 * d4 + c7 * d3 + c8 * d2, 80)
  store<u64>(columns, a3 * b8 + a4 * b7 + a5 * b6 + a6 * b5 + a7 * b4 + a8 * b3 + c3 * d8 + c4 * d7 + c5 * d6 + c6 * d5 + c7 * d4 + c8 * d3, 88)
  store<u64>(columns, a4 * b8 + a5 * b7 + a6 * b6 + a7 * b5 + a8 * b4 + c4 * d8 + c5 * d7 + c6 * d6 + c7 * d5 + c8 * d4, 96)
  store<u64>(columns, a5 * b8 + a6 * b7 + a7 * b6 + a8 * b5 + c5 * d8 + c6 * d7 + c7 * d6 + c8 * d5, 104)
  store<u64>(columns, a6 * b8 + a7 * b7 + a8 * b6 + c6 * d8 + c7 * d7 + c8 * d6, 112)
  store<u64>(columns, a7 * b8 + a8 * b7 + c7 * d8 + c8 * d7, 120)
  store<u64>(columns, a8 * b8 + c8 * d8, 128)
  store<u64>(columns, 0, 136)
}

/** columns += mask & a; mask is 0 or all ones. */
export function addMasked(columns: usize, a: usize, mask: u64): void {
  store<u64>(columns, column(columns, 0) + (limb(a, 0) & mask), 0)
  store<u64>(columns, column(columns, 1) + (limb(a, 1) & mask), 8)
  store<u64>(columns, column(columns, 2) + (limb(a, 2) & mask), 16)
  store<u64>(columns, column(columns, 3) + (limb(a, 3) & mask), 24)
  store<u64>(columns, column(columns, 4) + (limb(a, 4) & mask), 32)
  store<u64>(columns, column(columns, 5) + (limb(a, 5) & mask), 40)
  store<u64>(columns, column(columns, 6) + (limb(a, 6) & mask), 48)
  store<u64>(columns, column(columns, 7) + (limb(a, 7) & mask), 56)
  store<u64>(columns, column(columns, 8) + (limb(a, 8) & mask), 64)
}

/** Brings every column but the last below 2^29. */
function carry(columns: usize): void {
  let over: u64 = 0
  over += column(columns, 0)
  store<u64>(columns, over & MASK, 0)
  over >>= 29
  over += column(columns, 1)
  store<u64>(columns, over & MASK, 8)
  over >>= 29
  over += column(columns, 2)
  store<u64>(columns, over & MASK, 16)
  over >>= 29
  over += column(columns, 3)
  store<u64>(columns, over & MASK, 24)
  over >>= 29
  over += column(columns, 4)
  store<u64>(columns, over & MASK, 32)
  over >>= 29
  over += column(columns, 5)
  store<u64>(columns, over & MASK, 40)
  over >>= 29
  over += column(columns, 6)
  store<u64>(columns, over & MASK, 48)
  over >>= 29
  over += column(columns, 7)
  store<u64>(columns, over & MASK, 56)
  over >>= 29
  over += column(columns, 8)
  store<u64>(columns, over & MASK, 64)
  over >>= 29
  over += column(columns, 9)
  store<u64>(columns, over & MASK, 72)
  over >>= 29
  over += column(columns, 10)
  store<u64>(columns, over & MASK, 80)
  over >>= 29
  over += column(columns, 11)
  store<u64>(columns, over & MASK, 88)
  over >>= 29
  over += column(columns, 12)
  store<u64>(columns, over & MASK, 96)
  over >>= 29
  over += column(columns, 13)
  store<u64>(columns, over & MASK, 104)
  over >>= 29
  over += column(columns, 14)
  store<u64>(columns, over & MASK, 112)
  over >>= 29
  over += column(columns, 15)
  store<u64>(columns, over & MASK, 120)
  over >>= 29
  over += column(columns, 16)
  store<u64>(columns, over & MASK, 128)
  over >>= 29
  store<u64>(columns, column(columns, 17) + over, 136)
}

/** The columns mod n, 32 bytes, big-endian. They hold less than 2^528; what they are afterwards means nothing. */
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
  // What counts 2^261 and more comes back as multiples of 32c,
  let r0 = column(columns, 0) + h0 * F0
  let r1 = column(columns, 1) + h0 * F1 + h1 * F0
  let r2 = column(columns, 2) + h0 * F2 + h1 * F1 + h2 * F0
  let r3 = column(columns, 3) + h0 * F3 + h1 * F2 + h2 * F1 + h3 * F0
  let r4 = column(columns, 4) + h0 * F4 + h1 * F3 + h2 * F2 + h3 * F1 + h4 * F0
  let r5 = column(columns, 5) + h1 * F4 + h2 * F3 + h3 * F2 + h4 * F1 + h5 * F0
  let r6 = column(columns, 6) + h2 * F4 + h3 * F3 + h4 * F2 + h5 * F1 + h6 * F0
  let r7 = column(columns, 7) + h3 * F4 + h4 * F3 + h5 * F2 + h6 * F1 + h7 * F0
  let r8 = column(columns, 8) + h4 * F4 + h5 * F3 + h6 * F2 + h7 * F1 + h8 * F0
  let r9 = h5 * F4 + h6 * F3 + h7 * F2 + h8 * F1
  let r10 = h6 * F4 + h7 * F3 + h8 * F2
  let r11 = h7 * F4 + h8 * F3
  let r12 = h8 * F4
  r1 += r0 >> 29
  r2 += r1 >> 29
  r3 += r2 >> 29
  r4 += r3 >> 29
  r5 += r4 >> 29
  r6 += r5 >> 29
  r7 += r6 >> 29
  r8 += r7 >> 29
  r9 += r8 >> 29
  r10 += r9 >> 29
  r11 += r10 >> 29
  r12 += r11 >> 29
  // and what then still does, once more.
  const i0 = r9 & MASK
  const i1 = r10 & MASK
  const i2 = r11 & MASK
  const i3 = r12 & MASK
  const i4 = r12 >> 29
  settle(
    (r0 & MASK) + i0 * F0,
    (r1 & MASK) + i0 * F1 + i1 * F0,
    (r2 & MASK) + i0 * F2 + i1 * F1 + i2 * F0,
    (r3 & MASK) + i0 * F3 + i1 * F2 + i2 * F1 + i3 * F0,
    (r4 & MASK) + i0 * F4 + i1 * F3 + i2 * F2 + i3 * F1 + i4 * F0,
    (r5 & MASK) + i1 * F4 + i2 * F3 + i3 * F2 + i4 * F1,
    (r6 & MASK) + i2 * F4 + i3 * F3 + i4 * F2,
    (r7 & MASK) + i3 * F4 + i4 * F3,
    (r8 & MASK) + i4 * F4,
    to,
  )
}

/** The number in nine columns, less than 2^280, mod n, 32 bytes, big-endian. */
function settle(
  s0: u64,
  s1: u64,
  s2: u64,
  s3: u64,
  s4: u64,
  s5: u64,
  s6: u64,
  s7: u64,
  s8: u64,
  to: usize,
): void {
  s1 += s0 >> 29
  s2 += s1 >> 29
  s3 += s2 >> 29
  s4 += s3 >> 29
  s5 += s4 >> 29
  s6 += s5 >> 29
  s7 += s6 >> 29
  s8 += s7 >> 29
  // What counts 2^256 and more comes back as multiples of c; the number is less than 2^256 + 2^160 then.
  const top = s8 >> 24
  s0 = (s0 & MASK) + top * C0
  s1 = (s1 & MASK) + top * C1 + (s0 >> 29)
  s2 = (s2 & MASK) + top * C2 + (s1 >> 29)
  s3 = (s3 & MASK) + top * C3 + (s2 >> 29)
  s4 = (s4 & MASK) + top * C4 + (s3 >> 29)
  s5 = (s5 & MASK) + (s4 >> 29)
  s6 = (s6 & MASK) + (s5 >> 29)
  s7 = (s7 & MASK) + (s6 >> 29)
  s8 = (s8 & 0xffffff) + (s7 >> 29)
  s0 &= MASK
  s1 &= MASK
  s2 &= MASK
  s3 &= MASK
  s4 &= MASK
  s5 &= MASK
  s6 &= MASK
  s7 &= MASK
  const w0 = s0 | (s1 << 29) | (s2 << 58)
  const w1 = (s2 >> 6) | (s3 << 23) | (s4 << 52)
  const w2 = (s4 >> 12) | (s5 << 17) | (s6 << 46)
  const w3 = (s6 >> 18) | (s7 << 11) | (s8 << 40)
  // It is n or more exactly if it reaches 2^256 with c added; what is below 2^256 of that is the number less n.
  const x0 = w0 + W0
  const k0 = W1 + u64(x0 < W0)
  const x1 = w1 + k0
  const k1 = W2 + u64(x1 < k0)
  const x2 = w2 + k1
  const k2 = u64(x2 < k1)
  const x3 = w3 + k2
  const mask = i64x2.splat(-(u64(x3 < k2) | (s8 >> 24)))
  const low = i64x2.replace_lane(i64x2.splat(w0), 1, w1)
  const high = i64x2.replace_lane(i64x2.splat(w2), 1, w3)
  const lowLess = i64x2.replace_lane(i64x2.splat(x0), 1, x1)
  const highLess = i64x2.replace_lane(i64x2.splat(x2), 1, x3)
  v128.store(to, reversed(v128.bitselect(highLess, high, mask)))
  v128.store(to, reversed(v128.bitselect(lowLess, low, mask)), 16)
}
