// The hash to the curve of RFC 9380, secp256k1_XMD:SHA-256_SSWU_RO_ (section 8.7): straight-line, both branches
// computed, no inversion before the one of the whole batch.
import { add, areEqual, copy, fromBytes, isZero, negate, normalize, parity, power, select, setSmall, small, wipeField } from './field-p'
import { FIELD, mul, mulAdd, sqr } from './field-p-product'
import { POINT, addPoints, selectPoint, setIdentity, wipePoint, writePoints } from './point'
import { sha256, wipeSha256 } from './sha256'

/**
 * Hashes `count` messages, one after the other at `messages`, of the lengths (u32) at `lengths`. `tag` is the domain
 * separation tag and its length as one byte. The points go to `out`; `room` is for 192 bytes for each message, and 256
 * more than the longest message and the tag together.
 */
export function hashToCurve(
  out: usize,
  messages: usize,
  lengths: usize,
  count: i32,
  tag: usize,
  tagLength: usize,
  room: usize,
): void {
  const inverses = room + count * POINT
  const buffer = inverses + count * FIELD
  let message = messages
  for (let i = 0; i < count; i++) {
    const length = load<u32>(lengths + i * 4) as usize
    expand(message, length, tag, tagLength, buffer)
    message += length
    const at = room + i * POINT
    toField(element, uniform)
    map(at, element)
    toField(element, uniform + 48)
    map(second, element)
    addPoints(at, at, second)
  }
  writePoints(out, room, count, inverses)
  memory.fill(digest, 0, 32 + 96 + 32)
  memory.fill(second, 0, POINT)
  memory.fill(tv1, 0, 13 * FIELD)
  wipeField()
  wipePoint()
  wipeSha256()
}

/** The map of one field element (32 bytes, big-endian) to the curve; for tests. */
export function mapToCurve(out: usize, bytes: usize, room: usize): void {
  fromBytes(element, bytes)
  map(room, element)
  writePoints(out, room, 1, room + POINT)
}

/** RFC 9380, section 5.3.1: 96 bytes into `uniform`. */
function expand(message: usize, length: usize, tag: usize, tagLength: usize, buffer: usize): void {
  memory.fill(buffer, 0, 64)
  memory.copy(buffer + 64, message, length)
  const end = buffer + 64 + length
  store<u8>(end, 0)
  store<u8>(end + 1, 96)
  store<u8>(end + 2, 0)
  memory.copy(end + 3, tag, tagLength)
  sha256(digest, buffer, 64 + length + 3 + tagLength)
  memory.fill(buffer, 0, 32)
  for (let i: u8 = 1; i <= 3; i++) {
    for (let k: usize = 0; k < 32; k += 8)
      store<u64>(buffer + k, load<u64>(buffer + k) ^ load<u64>(digest + k))
    store<u8>(buffer + 32, i)
    memory.copy(buffer + 33, tag, tagLength)
    const block = uniform + ((i as usize) - 1) * 32
    sha256(block, buffer, 33 + tagLength)
    memory.copy(buffer, block, 32)
  }
}

/** 48 bytes, big-endian, mod p. */
function toField(r: usize, bytes: usize): void {
  memory.fill(high, 0, 16)
  memory.copy(high + 16, bytes, 16)
  fromBytes(tv1, high)
  fromBytes(tv2, bytes + 16)
  setSmall(tv3, 977)
  store<u32>(tv3 + 4, 8) // 2²⁵⁶ = 2³² + 977
  mul(tv1, tv1, tv3)
  add(r, tv1, tv2)
  small(r, r, 1)
  normalize(r)
}

/** Simplified SWU (RFC 9380, appendix F.2, with its names) onto E', and the isogeny to secp256k1 (appendix E.1). */
function map(r: usize, u: usize): void {
  sqr(tv1, u)
  mul(tv1, tv1, Z)
  sqr(tv2, tv1)
  add(tv2, tv2, tv1)
  setSmall(tv3, 1)
  add(tv3, tv3, tv2)
  mul(tv3, tv3, B)
  small(tv2, tv2, 1)
  negate(tv4, tv2)
  select(tv4, tv4, Z, isZero(tv2))
  mul(tv4, tv4, A)
  sqr(tv2, tv3)
  sqr(tv6, tv4)
  mul(tv5, A, tv6)
  add(tv2, tv2, tv5)
  mul(tv2, tv2, tv3)
  mul(tv6, tv6, tv4)
  mul(tv5, B, tv6)
  add(tv2, tv2, tv5)
  small(tv2, tv2, 1) // gx1 = tv2/tv6
  mul(x, tv1, tv3)
  // sqrt_ratio for p = 3 mod 4, appendix F.2.1.2
  sqr(y, tv6)
  mul(tv5, tv2, tv6)
  mul(y, y, tv5)
  power(y, y)
  mul(y, y, tv5)
  sqr(tv5, y)
  mul(tv5, tv5, tv6)
  const isSquare = areEqual(tv5, tv2)
  mul(tv5, y, SQRT_MINUS_Z)
  mul(tv5, tv5, tv1)
  mul(tv5, tv5, u)
  select(y, tv5, y, isSquare)
  select(x, x, tv3, isSquare)
  normalize(y)
  negate(tv5, y)
  select(y, y, tv5, -(parity(u) ^ parity(y)))
  isogeny(r)
}

/** The point at x' = x/tv4, y' = y. */
function isogeny(r: usize): void {
  sqr(tv1, tv4) // d²
  mul(tv2, tv1, tv4) // d³
  sqr(tv3, x) // x²
  mul(tv5, tv3, tv4) // x²d
  mul(tv3, tv3, x) // x³
  mul(tv6, x, tv1) // xd²
  cubic(n, X_NUM)
  cubic(m, Y_NUM)
  cubic(e, Y_DEN)
  mul(y, y, m)
  // The denominator of x over d, times d: (x² + k₁·xd + k₀·d²)·d
  mulAdd(m, tv6, X_DEN + FIELD, tv2, X_DEN)
  add(m, m, tv5)
  mul(r, n, e)
  mul(r + FIELD, y, m)
  mul(r + 2 * FIELD, m, e)
  // Where a denominator vanishes the image is the identity.
  setIdentity(none)
  selectPoint(r, r, none, isZero(r + 2 * FIELD))
}

/** r ← k₃·x³ + k₂·x²d + k₁·xd² + k₀·d³ */
function cubic(r: usize, k: usize): void {
  mulAdd(r, tv3, k + 3 * FIELD, tv5, k + 2 * FIELD)
  mulAdd(w, tv6, k + FIELD, tv2, k)
  add(r, r, w)
}

// RFC 9380, section 8.7: the curve E', y² = x³ + A·x + B, and Z; a root of −Z.
const A: usize = memory.data<u32>(
  [
    0x1a444533, 0x2a23e00, 0x1bc39750, 0x7a6c796, 0x1d272e95, 0xaac787a, 0xb728229, 0x157bacc3,
    0x3f8731, 0, 0, 0,
  ],
  16,
)
const B: usize = memory.data<u32>([0x6eb, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 16)
const Z: usize = memory.data<u32>(
  [
    0x1ffffc24, 0x1ffffff7, 0x1fffffff, 0x1fffffff, 0x1fffffff, 0x1fffffff, 0x1fffffff, 0x1fffffff,
    0xffffff, 0, 0, 0,
  ],
  16,
)
const SQRT_MINUS_Z: usize = memory.data<u32>(
  [
    0x103c4a59, 0x3394e41, 0x11e2774a, 0x109e014e, 0x2afeec1, 0x1fd9c7c2, 0xf95eb44, 0x4e4802,
    0x31fdf3, 0, 0, 0,
  ],
  16,
)

// RFC 9380, appendix E.1: the coefficients of the isogeny, in ascending order.
const X_NUM: usize = memory.data<u32>(
  [
    0xaaaa8c7, 0x11c71c6d, 0x38e38e3, 0x71c71c7, 0xe38e38e, 0x1c71c71c, 0x18e38e38, 0x11c71c71,
    0x8e38e3, 0, 0, 0, 0x117c6581, 0x1ff88227, 0x1d8ee4b7, 0xba5f817, 0x144c5d59, 0xae753fe,
    0x756e7cc, 0x19017864, 0x7d3d4, 0, 0, 0, 0x1d9dd262, 0x165e85a9, 0x1f100c53, 0xc28806,
    0x1caece45, 0x9ef6512, 0x139b8a90, 0x11a47e46, 0x534c32, 0, 0, 0, 0xaaaa88c, 0x11c71c6d,
    0x38e38e3, 0x71c71c7, 0xe38e38e, 0x1c71c71c, 0x18e38e38, 0x11c71c71, 0x8e38e3, 0, 0, 0,
  ],
  16,
)
const X_DEN: usize = memory.data<u32>(
  [
    0x181eb49b, 0x1f35ba2b, 0x1e121f67, 0x1a812a85, 0x40dd86c, 0x665dbdb, 0x62a728d, 0x327b292,
    0xd35771, 0, 0, 0, 0xa8c6d14, 0x952b309, 0x17906ef1, 0x6d6c83e, 0x225406d, 0x196a8daa,
    0x1077df12, 0x1ec8707b, 0xedadc6, 0, 0, 0,
  ],
  16,
)
const Y_NUM: usize = memory.data<u32>(
  [
    0xe38e23c, 0x97b425c, 0x1da12f68, 0x1097b425, 0xbda12f6, 0xd097b42, 0x4bda12f, 0x1ed097b4,
    0x4bda12, 0, 0, 0, 0x1d71a3, 0x1fe487e1, 0x1b69bf7, 0x15608dad, 0xa6d5647, 0x12a58950,
    0x103ea742, 0x65ab96f, 0xc75e0c, 0, 0, 0, 0x1ecee931, 0x1b2f42d4, 0xf880629, 0x10614403,
    0xe576722, 0x4f7b289, 0x9cdc548, 0x8d23f23, 0x29a619, 0, 0, 0, 0x18e38d84, 0x5ed0979,
    0x1684bda1, 0x25ed097, 0xf684bda, 0x1425ed09, 0x12f684bd, 0x1b425ed0, 0x2f684b, 0, 0, 0,
  ],
  16,
)
const Y_DEN: usize = memory.data<u32>(
  [
    0x1ffff93b, 0x1ffffff7, 0x1fffffff, 0x1fffffff, 0x1fffffff, 0x1fffffff, 0x1fffffff, 0x1fffffff,
    0xffffff, 0, 0, 0, 0x85c2573, 0x1da12e93, 0x1a365e37, 0xf837f91, 0xc298946, 0x13319391,
    0x127f57a7, 0x97717b6, 0x7a0653, 0, 0, 0, 0x1fd2a76f, 0x1dfc0c95, 0x358a669, 0x1a422c5e,
    0x337e0a3, 0x61fd47f, 0x8b3ce9c, 0xe2ca8b9, 0x6484aa, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0,
  ],
  16,
)

const digest: usize = memory.data(32 + 96 + 32, 16)
const uniform: usize = digest + 32
const high: usize = digest + 128
const second: usize = memory.data(144, 16)
const none: usize = memory.data(144, 16)
const tv1: usize = memory.data(13 * 48, 16)
const tv2: usize = tv1 + FIELD
const tv3: usize = tv1 + 2 * FIELD
const tv4: usize = tv1 + 3 * FIELD
const tv5: usize = tv1 + 4 * FIELD
const tv6: usize = tv1 + 5 * FIELD
const x: usize = tv1 + 6 * FIELD
const y: usize = tv1 + 7 * FIELD
const n: usize = tv1 + 8 * FIELD
const m: usize = tv1 + 9 * FIELD
const e: usize = tv1 + 10 * FIELD
const w: usize = tv1 + 11 * FIELD
const element: usize = tv1 + 12 * FIELD
