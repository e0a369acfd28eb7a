// The group secp256k1: y² = x³ + 7 over the field of field-p.ts.
//
// A point is X, Y, Z in homogeneous projective coordinates (x = X/Z, y = Y/Z), 144 bytes; the identity is (0 : 1 : 0). An
// affine point is x, y, 96 bytes, and is never the identity. The formulas are those of Renes, Costello and Batina
// (eprint 2015/1060) for a = 0, b = 7: complete, so no input is a special case.
import { add, areEqual, copy, fromBytes, invert, isZero, negate, normalize, parity, root, select, setSmall, small, sub, times21, toBytes, wipeField } from './field-p'
import { FIELD, mul, mulAdd, sqr } from './field-p-product'

/** Bytes of a point. */
export const POINT = 144
/** Bytes of an affine point. */
export const AFFINE = 96
/** Bytes of a point outside the kernel: 04 ‖ x ‖ y, or 65 zeros for the identity. */
export const OUTSIDE = 65

const Y = FIELD
const Z = 2 * FIELD

/** r ← p + q. Algorithm 7 of the paper. */
export function addPoints(r: usize, p: usize, q: usize): void {
  mul(t0, p, q)
  mul(t1, p + Y, q + Y)
  mul(t2, p + Z, q + Z)
  add(u, p, p + Y)
  add(v, q, q + Y)
  mul(t3, u, v)
  add(u, t0, t1)
  sub(t3, t3, u) // X₁Y₂ + X₂Y₁
  add(u, p + Y, p + Z)
  add(v, q + Y, q + Z)
  mul(t4, u, v)
  add(u, t1, t2)
  sub(t4, t4, u) // Y₁Z₂ + Y₂Z₁
  add(u, p, p + Z)
  add(v, q, q + Z)
  mul(t5, u, v)
  add(u, t0, t2)
  sub(t5, t5, u) // X₁Z₂ + X₂Z₁
  times21(t2, t2)
  finishAddition(r)
}

/** r ← p + q for an affine q. Algorithm 8 of the paper. */
export function addAffine(r: usize, p: usize, q: usize): void {
  mul(t0, p, q)
  mul(t1, p + Y, q + Y)
  add(u, p, p + Y)
  add(v, q, q + Y)
  mul(t3, u, v)
  add(u, t0, t1)
  sub(t3, t3, u) // X₁y₂ + x₂Y₁
  mul(t4, q + Y, p + Z)
  add(t4, t4, p + Y) // Y₁ + y₂Z₁
  mul(t5, q, p + Z)
  add(t5, t5, p)
  small(t5, t5, 1) // X₁ + x₂Z₁
  times21(t2, p + Z)
  finishAddition(r)
}

/** The second half of both additions, with t2 = 3b·Z₁Z₂. */
function finishAddition(r: usize): void {
  small(t0, t0, 3)
  add(z, t1, t2)
  sub(t1, t1, t2)
  times21(t5, t5)
  negate(u, t5)
  mulAdd(r, t3, t1, t4, u)
  mulAdd(r + Y, t5, t0, t1, z)
  mulAdd(r + Z, t0, t3, z, t4)
}

/** r ← 2p. Algorithm 9 of the paper. */
export function double(r: usize, p: usize): void {
  sqr(t0, p + Y)
  mul(t1, p + Y, p + Z)
  sqr(t2, p + Z)
  mul(t3, p, p + Y)
  times21(t2, t2)
  small(z, t0, 4)
  add(z, z, z) // 8Y²
  add(t4, t0, t2)
  small(u, t2, 3)
  sub(t0, t0, u)
  add(t3, t3, t3)
  mul(r, t0, t3)
  mulAdd(r + Y, t0, t4, t2, z)
  mul(r + Z, t1, z)
}

/** r ← O */
export function setIdentity(r: usize): void {
  setSmall(r, 0)
  setSmall(r + Y, 1)
  setSmall(r + Z, 0)
}

/** r ← q where mask is −1, p where it is 0. */
export function selectPoint(r: usize, p: usize, q: usize, mask: i32): void {
  select(r, p, q, mask)
  select(r + Y, p + Y, q + Y, mask)
  select(r + Z, p + Z, q + Z, mask)
}

/** Reads a point that is on the curve. */
export function readPoint(r: usize, outside: usize): void {
  const finite = (load<u8>(outside) as u32) >> 2
  fromBytes(r, outside + 1)
  fromBytes(r + Y, outside + 33)
  store<u32>(r + Y, load<u32>(r + Y) + 1 - finite)
  setSmall(r + Z, finite)
}

/**
 * Makes `count` points affine with one inversion: each point's X and Y become x and y, 0 and 0 for the identity. `room`
 * has one element for each.
 */
export function toAffine(points: usize, count: i32, room: usize): void {
  setSmall(u, 1)
  for (let i = 0; i < count; i++) {
    const at = points + i * POINT
    const none = isZero(at + Z)
    setSmall(v, 1)
    select(at + Z, at + Z, v, none)
    copy(room + i * FIELD, u)
    mul(u, u, at + Z)
    // What an identity becomes: 0, 0.
    setSmall(v, 0)
    select(at, at, v, none)
    select(at + Y, at + Y, v, none)
  }
  invert(u, u)
  for (let i = count - 1; i >= 0; i--) {
    const at = points + i * POINT
    mul(v, u, room + i * FIELD)
    mul(u, u, at + Z)
    mul(at, at, v)
    mul(at + Y, at + Y, v)
    normalize(at)
    normalize(at + Y)
  }
}

/** Writes `count` points; what they were is lost. `room` has one element for each. */
export function writePoints(outside: usize, points: usize, count: i32, room: usize): void {
  toAffine(points, count, room)
  for (let i = 0; i < count; i++) {
    const to = outside + i * OUTSIDE
    const at = points + i * POINT
    store<u8>(to, (~isZero(at + Y) & 4) as u8)
    toBytes(to + 1, at)
    toBytes(to + 33, at + Y)
  }
}

/** out_i ← p_i + q_i for `count` points outside. `room` has 192 bytes for each. */
export function addMany(out: usize, p: usize, q: usize, count: i32, room: usize): void {
  for (let i = 0; i < count; i++) {
    readPoint(first, p + i * OUTSIDE)
    readPoint(second, q + i * OUTSIDE)
    addPoints(room + i * POINT, first, second)
  }
  writePoints(out, room, count, room + count * POINT)
  wipePoint()
  wipeField()
}

/** 33 bytes, whose first is 02 or 03, to a point outside; 0 when they are none. Public data. */
export function decodePoint(outside: usize, bytes: usize): i32 {
  const found = decode(outside, bytes)
  wipePoint()
  wipeField()
  return found
}

function decode(outside: usize, bytes: usize): i32 {
  fromBytes(u, bytes + 1)
  copy(t0, u)
  normalize(t0)
  // x below p stays as it was.
  for (let i: usize = 0; i < 36; i += 4) if (load<u32>(t0 + i) != load<u32>(u + i)) return 0
  sqr(t1, u)
  mul(t1, t1, u)
  setSmall(v, 7)
  add(t1, t1, v)
  small(t1, t1, 1)
  root(t2, t1)
  sqr(v, t2)
  if (!areEqual(v, t1)) return 0
  normalize(t2)
  negate(v, t2)
  normalize(v)
  select(t2, t2, v, -(parity(t2) ^ (load<u8>(bytes) & 1)))
  store<u8>(outside, 4)
  toBytes(outside + 1, t0)
  toBytes(outside + 33, t2)
  return 1
}

/** Overwrites what the functions above leave behind. */
export function wipePoint(): void {
  memory.fill(t0, 0, WORK)
}

const WORK = 9 * FIELD + 2 * POINT
const t0: usize = memory.data(9 * 48 + 2 * 144, 16)
const t1: usize = t0 + FIELD
const t2: usize = t0 + 2 * FIELD
const t3: usize = t0 + 3 * FIELD
const t4: usize = t0 + 4 * FIELD
const t5: usize = t0 + 5 * FIELD
const u: usize = t0 + 6 * FIELD
const v: usize = t0 + 7 * FIELD
const z: usize = t0 + 8 * FIELD
const first: usize = t0 + 9 * FIELD
const second: usize = first + POINT
