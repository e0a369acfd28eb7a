// BLAKE3, specification sections 2.1-2.6: one compression for a single input, one for four at a time.

/** Section 2.2, table 1. */
const IV = memory.data<u32>([0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a])

/** Which message word each step of each round takes: section 2.2, table 2 applied again and again. */
const SCHEDULE = memory.data<u8>([
  0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
  2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8,
  3, 4, 10, 12, 13, 2, 7, 14, 6, 5, 9, 0, 11, 15, 8, 1,
  10, 7, 12, 9, 14, 3, 13, 15, 4, 0, 11, 2, 5, 8, 1, 6,
  12, 13, 9, 11, 15, 10, 14, 8, 7, 2, 5, 3, 0, 1, 6, 4,
  9, 14, 11, 5, 8, 12, 15, 1, 13, 3, 0, 10, 2, 6, 4, 7,
  11, 15, 5, 0, 1, 9, 8, 6, 14, 10, 2, 12, 3, 4, 7, 13,
])

export const CHUNK_START: i32 = 1
export const CHUNK_END: i32 = 2
export const PARENT: i32 = 4
export const ROOT: i32 = 8
export const KEYED_HASH: i32 = 16

export const BLOCK: usize = 64
export const CHUNK: usize = 1024

@inline
function right16(x: v128): v128 {
  return i8x16.swizzle(x, i8x16(2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13))
}
@inline
function right12(x: v128): v128 {
  return v128.or(i32x4.shr_u(x, 12), i32x4.shl(x, 20))
}
@inline
function right8(x: v128): v128 {
  return i8x16.swizzle(x, i8x16(1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12))
}
@inline
function right7(x: v128): v128 {
  return v128.or(i32x4.shr_u(x, 7), i32x4.shl(x, 25))
}

/** x + y + the message word `at` of all four inputs. */
@inline
function add(x: v128, y: v128, m: usize, at: usize): v128 {
  return i32x4.add(i32x4.add(x, y), v128.load(m + 16 * at))
}

/**
 * Four compressions at once, one in each lane: m is 16 words and h 8, all of four lanes. The 16 words of the output
 * (of which the first eight are the chaining value) go to `out`.
 */
export function compress4(
  h: usize,
  m: usize,
  counter: v128,
  length: i32,
  flags: i32,
  out: usize,
): void {
  let v0 = v128.load(h, 0)
  let v1 = v128.load(h, 16)
  let v2 = v128.load(h, 32)
  let v3 = v128.load(h, 48)
  let v4 = v128.load(h, 64)
  let v5 = v128.load(h, 80)
  let v6 = v128.load(h, 96)
  let v7 = v128.load(h, 112)
  let v8 = v128.load32_splat(IV, 0)
  let v9 = v128.load32_splat(IV, 4)
  let v10 = v128.load32_splat(IV, 8)
  let v11 = v128.load32_splat(IV, 12)
  let v12 = counter
  let v13 = i32x4.splat(0)
  let v14 = i32x4.splat(length)
  let v15 = i32x4.splat(flags)

  // round 1
  v0 = add(v0, v4, m, 0); v1 = add(v1, v5, m, 2); v2 = add(v2, v6, m, 4); v3 = add(v3, v7, m, 6)
  v12 = right16(v128.xor(v12, v0)); v13 = right16(v128.xor(v13, v1)); v14 = right16(v128.xor(v14, v2)); v15 = right16(v128.xor(v15, v3))
  v8 = i32x4.add(v8, v12); v9 = i32x4.add(v9, v13); v10 = i32x4.add(v10, v14); v11 = i32x4.add(v11, v15)
  v4 = right12(v128.xor(v4, v8)); v5 = right12(v128.xor(v5, v9)); v6 = right12(v128.xor(v6, v10)); v7 = right12(v128.xor(v7, v11))
  v0 = add(v0, v4, m, 1); v1 = add(v1, v5, m, 3); v2 = add(v2, v6, m, 5); v3 = add(v3, v7, m, 7)
  v12 = right8(v128.xor(v12, v0)); v13 = right8(v128.xor(v13, v1)); v14 = right8(v128.xor(v14, v2)); v15 = right8(v128.xor(v15, v3))
  v8 = i32x4.add(v8, v12); v9 = i32x4.add(v9, v13); v10 = i32x4.add(v10, v14); v11 = i32x4.add(v11, v15)
  v4 = right7(v128.xor(v4, v8)); v5 = right7(v128.xor(v5, v9)); v6 = right7(v128.xor(v6, v10)); v7 = right7(v128.xor(v7, v11))
  v0 = add(v0, v5, m, 8); v1 = add(v1, v6, m, 10); v2 = add(v2, v7, m, 12); v3 = add(v3, v4, m, 14)
  v15 = right16(v128.xor(v15, v0)); v12 = right16(v128.xor(v12, v1)); v13 = right16(v128.xor(v13, v2)); v14 = right16(v128.xor(v14, v3))
  v10 = i32x4.add(v10, v15); v11 = i32x4.add(v11, v12); v8 = i32x4.add(v8, v13); v9 = i32x4.add(v9, v14)
  v5 = right12(v128.xor(v5, v10)); v6 = right12(v128.xor(v6, v11)); v7 = right12(v128.xor(v7, v8)); v4 = right12(v128.xor(v4, v9))
  v0 = add(v0, v5, m, 9); v1 = add(v1, v6, m, 11); v2 = add(v2, v7, m, 13); v3 = add(v3, v4, m, 15)
  v15 = right8(v128.xor(v15, v0)); v12 = right8(v128.xor(v12, v1)); v13 = right8(v128.xor(v13, v2)); v14 = right8(v128.xor(v14, v3))
  v10 = i32x4.add(v10, v15); v11 = i32x4.add(v11, v12); v8 = i32x4.add(v8, v13); v9 = i32x4.add(v9, v14)
  v5 = right7(v128.xor(v5, v10)); v6 = right7(v128.xor(v6, v11)); v7 = right7(v128.xor(v7, v8)); v4 = right7(v128.xor(v4, v9))

  // round 2
  v0 = add(v0, v4, m, 2); v1 = add(v1, v5, m, 3); v2 = add(v2, v6, m, 7); v3 = add(v3, v7, m, 4)
  v12 = right16(v128.xor(v12, v0)); v13 = right16(v128.xor(v13, v1)); v14 = right16(v128.xor(v14, v2)); v15 = right16(v128.xor(v15, v3))
  v8 = i32x4.add(v8, v12); v9 = i32x4.add(v9, v13); v10 = i32x4.add(v10, v14); v11 = i32x4.add(v11, v15)
  v4 = right12(v128.xor(v4, v8)); v5 = right12(v128.xor(v5, v9)); v6 = right12(v128.xor(v6, v10)); v7 = right12(v128.xor(v7, v11))
  v0 = add(v0, v4, m, 6); v1 = add(v1, v5, m, 10); v2 = add(v2, v6, m, 0); v3 = add(v3, v7, m, 13)
  v12 = right8(v128.xor(v12, v0)); v13 = right8(v128.xor(v13, v1)); v14 = right8(v128.xor(v14, v2)); v15 = right8(v128.xor(v15, v3))
  v8 = i32x4.add(v8, v12); v9 = i32x4.add(v9, v13); v10 = i32x4.add(v10, v14); v11 = i32x4.add(v11, v15)
  v4 = right7(v128.xor(v4, v8)); v5 = right7(v128.xor(v5, v9)); v6 = right7(v128.xor(v6, v10)); v7 = right7(v128.xor(v7, v11))
  v0 = add(v0, v5, m, 1); v1 = add(v1, v6, m, 12); v2 = add(v2, v7, m, 9); v3 = add(v3, v4, m, 15)
  v15 = right16(v128.xor(v15, v0)); v12 = right16(v128.xor(v12, v1)); v13 = right16(v128.xor(v13, v2)); v14 = right16(v128.xor(v14, v3))
  v10 = i32x4.add(v10, v15); v11 = i32x4.add(v11, v12); v8 = i32x4.add(v8, v13); v9 = i32x4.add(v9, v14)
  v5 = right12(v128.xor(v5, v10)); v6 = right12(v128.xor(v6, v11)); v7 = right12(v128.xor(v7, v8)); v4 = right12(v128.xor(v4, v9))
  v0 = add(v0, v5, m, 11); v1 = add(v1, v6, m, 5); v2 = add(v2, v7, m, 14); v3 = add(v3, v4, m, 8)
  v15 = right8(v128.xor(v15, v0)); v12 = right8(v128.xor(v12, v1)); v13 = right8(v128.xor(v13, v2)); v14 = right8(v128.xor(v14, v3))
  v10 = i32x4.add(v10, v15); v11 = i32x4.add(v11, v12); v8 = i32x4.add(v8, v13); v9 = i32x4.add(v9, v14)
  v5 = right7(v128.xor(v5, v10)); v6 = right7(v128.xor(v6, v11)); v7 = right7(v128.xor(v7, v8)); v4 = right7(v128.xor(v4, v9))

  // round 3
  v0 = add(v0, v4, m, 3); v1 = add(v1, v5, m, 10); v2 = add(v2, v6, m, 13); v3 = add(v3, v7, m, 7)
  v12 = right16(v128.xor(v12, v0)); v13 = right16(v128.xor(v13, v1)); v14 = right16(v128.xor(v14, v2)); v15 = right16(v128.xor(v15, v3))
  v8 = i32x4.add(v8, v12); v9 = i32x4.add(v9, v13); v10 = i32x4.add(v10, v14); v11 = i32x4.add(v11, v15)
  v4 = right12(v128.xor(v4, v8)); v5 = right12(v128.xor(v5, v9)); v6 = right12(v128.xor(v6, v10)); v7 = right12(v128.xor(v7, v11))
  v0 = add(v0, v4, m, 4); v1 = add(v1, v5, m, 12); v2 = add(v2, v6, m, 2); v3 = add(v3, v7, m, 14)
  v12 = right8(v128.xor(v12, v0)); v13 = right8(v128.xor(v13, v1)); v14 = right8(v128.xor(v14, v2)); v15 = right8(v128.xor(v15, v3))
  v8 = i32x4.add(v8, v12); v9 = i32x4.add(v9, v13); v10 = i32x4.add(v10, v14); v11 = i32x4.add(v11, v15)
  v4 = right7(v128.xor(v4, v8)); v5 = right7(v128.xor(v5, v9)); v6 = right7(v128.xor(v6, v10)); v7 = right7(v128.xor(v7, v11))
  v0 = add(v0, v5, m, 6); v1 = add(v1, v6, m, 9); v2 = add(v2, v7, m, 11); v3 = add(v3, v4, m, 8)
  v15 = right16(v128.xor(v15, v0)); v12 = right16(v128.xor(v12, v1)); v13 = right16(v128.xor(v13, v2)); v14 = right16(v128.xor(v14, v3))
  v10 = i32x4.add(v10, v15); v11 = i32x4.add(v11, v12); v8 = i32x4.add(v8, v13); v9 = i32x4.add(v9, v14)
  v5 = right12(v128.xor(v5, v10)); v6 = right12(v128.xor(v6, v11)); v7 = right12(v128.xor(v7, v8)); v4 = right12(v128.xor(v4, v9))
  v0 = add(v0, v5, m, 5); v1 = add(v1, v6, m, 0); v2 = add(v2, v7, m, 15); v3 = add(v3, v4, m, 1)
  v15 = right8(v128.xor(v15, v0)); v12 = right8(v128.xor(v12, v1)); v13 = right8(v128.xor(v13, v2)); v14 = right8(v128.xor(v14, v3))
  v10 = i32x4.add(v10, v15); v11 = i32x4.add(v11, v12); v8 = i32x4.add(v8, v13); v9 = i32x4.add(v9, v14)
  v5 = right7(v128.xor(v5, v10)); v6 = right7(v128.xor(v6, v11)); v7 = right7(v128.xor(v7, v8)); v4 = right7(v128.xor(v4, v9))

  // round 4
  v0 = add(v0, v4, m, 10); v1 = add(v1, v5, m, 12); v2 = add(v2, v6, m, 14); v3 = add(v3, v7, m, 13)
  v12 = right16(v128.xor(v12, v0)); v13 = right16(v128.xor(v13, v1)); v14 = right16(v128.xor(v14, v2)); v15 = right16(v128.xor(v15, v3))
  v8 = i32x4.add(v8, v12); v9 = i32x4.add(v9, v13); v10 = i32x4.add(v10, v14); v11 = i32x4.add(v11, v15)
  v4 = right12(v128.xor(v4, v8)); v5 = right12(v128.xor(v5, v9)); v6 = right12(v128.xor(v6, v10)); v7 = right12(v128.xor(v7, v11))
  v0 = add(v0, v4, m, 7); v1 = add(v1, v5, m, 9); v2 = add(v2, v6, m, 3); v3 = add(v3, v7, m, 15)
  v12 = right8(v128.xor(v12, v0)); v13 = right8(v128.xor(v13, v1)); v14 = right8(v128.xor(v14, v2)); v15 = right8(v128.xor(v15, v3))
  v8 = i32x4.add(v8, v12); v9 = i32x4.add(v9, v13); v10 = i32x4.add(v10, v14); v11 = i32x4.add(v11, v15)
  v4 = right7(v128.xor(v4, v8)); v5 = right7(v128.xor(v5, v9)); v6 = right7(v128.xor(v6, v10)); v7 = right7(v128.xor(v7, v11))
  v0 = add(v0, v5, m, 4); v1 = add(v1, v6, m, 11); v2 = add(v2, v7, m, 5); v3 = add(v3, v4, m, 1)
  v15 = right16(v128.xor(v15, v0)); v12 = right16(v128.xor(v12, v1)); v13 = right16(v128.xor(v13, v2)); v14 = right16(v128.xor(v14, v3))
  v10 = i32x4.add(v10, v15); v11 = i32x4.add(v11, v12); v8 = i32x4.add(v8, v13); v9 = i32x4.add(v9, v14)
  v5 = right12(v128.xor(v5, v10)); v6 = right12(v128.xor(v6, v11)); v7 = right12(v128.xor(v7, v8)); v4 = right12(v128.xor(v4, v9))
  v0 = add(v0, v5, m, 0); v1 = add(v1, v6, m, 2); v2 = add(v2, v7, m, 8); v3 = add(v3, v4, m, 6)
  v15 = right8(v128.xor(v15, v0)); v12 = right8(v128.xor(v12, v1)); v13 = right8(v128.xor(v13, v2)); v14 = right8(v128.xor(v14, v3))
  v10 = i32x4.add(v10, v15); v11 = i32x4.add(v11, v12); v8 = i32x4.add(v8, v13); v9 = i32x4.add(v9, v14)
  v5 = right7(v128.xor(v5, v10)); v6 = right7(v128.xor(v6, v11)); v7 = right7(v128.xor(v7, v8)); v4 = right7(v128.xor(v4, v9))

  // round 5
  v0 = add(v0, v4, m, 12); v1 = add(v1, v5, m, 9); v2 = add(v2, v6, m, 15); v3 = add(v3, v7, m, 14)
  v12 = right16(v128.xor(v12, v0)); v13 = right16(v128.xor(v13, v1)); v14 = right16(v128.xor(v14, v2)); v15 = right16(v128.xor(v15, v3))
  v8 = i32x4.add(v8, v12); v9 = i32x4.add(v9, v13); v10 = i32x4.add(v10, v14); v11 = i32x4.add(v11, v15)
  v4 = right12(v128.xor(v4, v8)); v5 = right12(v128.xor(v5, v9)); v6 = right12(v128.xor(v6, v10)); v7 = right12(v128.xor(v7, v11))
  v0 = add(v0, v4, m, 13); v1 = add(v1, v5, m, 11); v2 = add(v2, v6, m, 10); v3 = add(v3, v7, m, 8)
  v12 = right8(v128.xor(v12, v0)); v13 = right8(v128.xor(v13, v1)); v14 = right8(v128.xor(v14, v2)); v15 = right8(v128.xor(v15, v3))
  v8 = i32x4.add(v8, v12); v9 = i32x4.add(v9, v13); v10 = i32x4.add(v10, v14); v11 = i32x4.add(v11, v15)
  v4 = right7(v128.xor(v4, v8)); v5 = right7(v128.xor(v5, v9)); v6 = right7(v128.xor(v6, v10)); v7 = right7(v128.xor(v7, v11))
  v0 = add(v0, v5, m, 7); v1 = add(v1, v6, m, 5); v2 = add(v2, v7, m, 0); v3 = add(v3, v4, m, 6)
  v15 = right16(v128.xor(v15, v0)); v12 = right16(v128.xor(v12, v1)); v13 = right16(v128.xor(v13, v2)); v14 = right16(v128.xor(v14, v3))
  v10 = i32x4.add(v10, v15); v11 = i32x4.add(v11, v12); v8 = i32x4.add(v8, v13); v9 = i32x4.add(v9, v14)
  v5 = right12(v128.xor(v5, v10)); v6 = right12(v128.xor(v6, v11)); v7 = right12(v128.xor(v7, v8)); v4 = right12(v128.xor(v4, v9))
  v0 = add(v0, v5, m, 2); v1 = add(v1, v6, m, 3); v2 = add(v2, v7, m, 1); v3 = add(v3, v4, m, 4)
  v15 = right8(v128.xor(v15, v0)); v12 = right8(v128.xor(v12, v1)); v13 = right8(v128.xor(v13, v2)); v14 = right8(v128.xor(v14, v3))
  v10 = i32x4.add(v10, v15); v11 = i32x4.add(v11, v12); v8 = i32x4.add(v8, v13); v9 = i32x4.add(v9, v14)
  v5 = right7(v128.xor(v5, v10)); v6 = right7(v128.xor(v6, v11)); v7 = right7(v128.xor(v7, v8)); v4 = right7(v128.xor(v4, v9))

  // round 6
  v0 = add(v0, v4, m, 9); v1 = add(v1, v5, m, 11); v2 = add(v2, v6, m, 8); v3 = add(v3, v7, m, 15)
  v12 = right16(v128.xor(v12, v0)); v13 = right16(v128.xor(v13, v1)); v14 = right16(v128.xor(v14, v2)); v15 = right16(v128.xor(v15, v3))
  v8 = i32x4.add(v8, v12); v9 = i32x4.add(v9, v13); v10 = i32x4.add(v10, v14); v11 = i32x4.add(v11, v15)
  v4 = right12(v128.xor(v4, v8)); v5 = right12(v128.xor(v5, v9)); v6 = right12(v128.xor(v6, v10)); v7 = right12(v128.xor(v7, v11))
  v0 = add(v0, v4, m, 14); v1 = add(v1, v5, m, 5); v2 = add(v2, v6, m, 12); v3 = add(v3, v7, m, 1)
  v12 = right8(v128.xor(v12, v0)); v13 = right8(v128.xor(v13, v1)); v14 = right8(v128.xor(v14, v2)); v15 = right8(v128.xor(v15, v3))
  v8 = i32x4.add(v8, v12); v9 = i32x4.add(v9, v13); v10 = i32x4.add(v10, v14); v11 = i32x4.add(v11, v15)
  v4 = right7(v128.xor(v4, v8)); v5 = right7(v128.xor(v5, v9)); v6 = right7(v128.xor(v6, v10)); v7 = right7(v128.xor(v7, v11))
  v0 = add(v0, v5, m, 13); v1 = add(v1, v6, m, 0); v2 = add(v2, v7, m, 2); v3 = add(v3, v4, m, 4)
  v15 = right16(v128.xor(v15, v0)); v12 = right16(v128.xor(v12, v1)); v13 = right16(v128.xor(v13, v2)); v14 = right16(v128.xor(v14, v3))
  v10 = i32x4.add(v10, v15); v11 = i32x4.add(v11, v12); v8 = i32x4.add(v8, v13); v9 = i32x4.add(v9, v14)
  v5 = right12(v128.xor(v5, v10)); v6 = right12(v128.xor(v6, v11)); v7 = right12(v128.xor(v7, v8)); v4 = right12(v128.xor(v4, v9))
  v0 = add(v0, v5, m, 3); v1 = add(v1, v6, m, 10); v2 = add(v2, v7, m, 6); v3 = add(v3, v4, m, 7)
  v15 = right8(v128.xor(v15, v0)); v12 = right8(v128.xor(v12, v1)); v13 = right8(v128.xor(v13, v2)); v14 = right8(v128.xor(v14, v3))
  v10 = i32x4.add(v10, v15); v11 = i32x4.add(v11, v12); v8 = i32x4.add(v8, v13); v9 = i32x4.add(v9, v14)
  v5 = right7(v128.xor(v5, v10)); v6 = right7(v128.xor(v6, v11)); v7 = right7(v128.xor(v7, v8)); v4 = right7(v128.xor(v4, v9))

  // round 7
  v0 = add(v0, v4, m, 11); v1 = add(v1, v5, m, 5); v2 = add(v2, v6, m, 1); v3 = add(v3, v7, m, 8)
  v12 = right16(v128.xor(v12, v0)); v13 = right16(v128.xor(v13, v1)); v14 = right16(v128.xor(v14, v2)); v15 = right16(v128.xor(v15, v3))
  v8 = i32x4.add(v8, v12); v9 = i32x4.add(v9, v13); v10 = i32x4.add(v10, v14); v11 = i32x4.add(v11, v15)
  v4 = right12(v128.xor(v4, v8)); v5 = right12(v128.xor(v5, v9)); v6 = right12(v128.xor(v6, v10)); v7 = right12(v128.xor(v7, v11))
  v0 = add(v0, v4, m, 15); v1 = add(v1, v5, m, 0); v2 = add(v2, v6, m, 9); v3 = add(v3, v7, m, 6)
  v12 = right8(v128.xor(v12, v0)); v13 = right8(v128.xor(v13, v1)); v14 = right8(v128.xor(v14, v2)); v15 = right8(v128.xor(v15, v3))
  v8 = i32x4.add(v8, v12); v9 = i32x4.add(v9, v13); v10 = i32x4.add(v10, v14); v11 = i32x4.add(v11, v15)
  v4 = right7(v128.xor(v4, v8)); v5 = right7(v128.xor(v5, v9)); v6 = right7(v128.xor(v6, v10)); v7 = right7(v128.xor(v7, v11))
  v0 = add(v0, v5, m, 14); v1 = add(v1, v6, m, 2); v2 = add(v2, v7, m, 3); v3 = add(v3, v4, m, 7)
  v15 = right16(v128.xor(v15, v0)); v12 = right16(v128.xor(v12, v1)); v13 = right16(v128.xor(v13, v2)); v14 = right16(v128.xor(v14, v3))
  v10 = i32x4.add(v10, v15); v11 = i32x4.add(v11, v12); v8 = i32x4.add(v8, v13); v9 = i32x4.add(v9, v14)
  v5 = right12(v128.xor(v5, v10)); v6 = right12(v128.xor(v6, v11)); v7 = right12(v128.xor(v7, v8)); v4 = right12(v128.xor(v4, v9))
  v0 = add(v0, v5, m, 10); v1 = add(v1, v6, m, 12); v2 = add(v2, v7, m, 4); v3 = add(v3, v4, m, 13)
  v15 = right8(v128.xor(v15, v0)); v12 = right8(v128.xor(v12, v1)); v13 = right8(v128.xor(v13, v2)); v14 = right8(v128.xor(v14, v3))
  v10 = i32x4.add(v10, v15); v11 = i32x4.add(v11, v12); v8 = i32x4.add(v8, v13); v9 = i32x4.add(v9, v14)
  v5 = right7(v128.xor(v5, v10)); v6 = right7(v128.xor(v6, v11)); v7 = right7(v128.xor(v7, v8)); v4 = right7(v128.xor(v4, v9))
  v128.store(out, v128.xor(v0, v8), 0)
  v128.store(out, v128.xor(v1, v9), 16)
  v128.store(out, v128.xor(v2, v10), 32)
  v128.store(out, v128.xor(v3, v11), 48)
  v128.store(out, v128.xor(v4, v12), 64)
  v128.store(out, v128.xor(v5, v13), 80)
  v128.store(out, v128.xor(v6, v14), 96)
  v128.store(out, v128.xor(v7, v15), 112)
  v128.store(out, v128.xor(v8, v128.load(h, 0)), 128)
  v128.store(out, v128.xor(v9, v128.load(h, 16)), 144)
  v128.store(out, v128.xor(v10, v128.load(h, 32)), 160)
  v128.store(out, v128.xor(v11, v128.load(h, 48)), 176)
  v128.store(out, v128.xor(v12, v128.load(h, 64)), 192)
  v128.store(out, v128.xor(v13, v128.load(h, 80)), 208)
  v128.store(out, v128.xor(v14, v128.load(h, 96)), 224)
  v128.store(out, v128.xor(v15, v128.load(h, 112)), 240)
}

/** Four message words of one input, for the four columns or the four diagonals of a round. */
@inline
function four(block: usize, s: usize, first: usize): v128 {
  let w = v128.load32_zero(block + ((<usize>load<u8>(s + first)) << 2))
  w = v128.load_lane<u32>(block + ((<usize>load<u8>(s + first, 2)) << 2), w, 1)
  w = v128.load_lane<u32>(block + ((<usize>load<u8>(s + first, 4)) << 2), w, 2)
  return v128.load_lane<u32>(block + ((<usize>load<u8>(s + first, 6)) << 2), w, 3)
}

/** One compression: the chaining value `h`, 32 bytes; the output's 64 bytes go to `out`, which may be `h`. */
export function compress(
  h: usize,
  block: usize,
  counter: i32,
  length: i32,
  flags: i32,
  out: usize,
): void {
  const h0 = v128.load(h)
  const h1 = v128.load(h, 16)
  let a = h0
  let b = h1
  let c = v128.load(IV)
  let d = i32x4.replace_lane(
    i32x4.replace_lane(i32x4.replace_lane(i32x4.splat(0), 0, counter), 2, length),
    3,
    flags,
  )
  for (let s = SCHEDULE; s < SCHEDULE + 7 * 16; s += 16) {
    a = i32x4.add(i32x4.add(a, b), four(block, s, 0))
    d = right16(v128.xor(d, a))
    c = i32x4.add(c, d)
    b = right12(v128.xor(b, c))
    a = i32x4.add(i32x4.add(a, b), four(block, s, 1))
    d = right8(v128.xor(d, a))
    c = i32x4.add(c, d)
    b = right7(v128.xor(b, c))
    // the rows turned, so that diagonals are columns
    b = v128.shuffle<u32>(b, b, 1, 2, 3, 0)
    c = v128.shuffle<u32>(c, c, 2, 3, 0, 1)
    d = v128.shuffle<u32>(d, d, 3, 0, 1, 2)
    a = i32x4.add(i32x4.add(a, b), four(block, s, 8))
    d = right16(v128.xor(d, a))
    c = i32x4.add(c, d)
    b = right12(v128.xor(b, c))
    a = i32x4.add(i32x4.add(a, b), four(block, s, 9))
    d = right8(v128.xor(d, a))
    c = i32x4.add(c, d)
    b = right7(v128.xor(b, c))
    b = v128.shuffle<u32>(b, b, 3, 0, 1, 2)
    c = v128.shuffle<u32>(c, c, 2, 3, 0, 1)
    d = v128.shuffle<u32>(d, d, 1, 2, 3, 0)
  }
  v128.store(out, v128.xor(a, c))
  v128.store(out, v128.xor(b, d), 16)
  v128.store(out, v128.xor(c, h0), 32)
  v128.store(out, v128.xor(d, h1), 48)
}

/** Words of four inputs, one input in each of a, b, c, d, to words of four lanes at `to`; and the way back. */
@inline
export function transposeWords(a: v128, b: v128, c: v128, d: v128, to: usize, step: usize): void {
  const ab = v128.shuffle<u32>(a, b, 0, 4, 1, 5)
  const cd = v128.shuffle<u32>(c, d, 0, 4, 1, 5)
  const ab2 = v128.shuffle<u32>(a, b, 2, 6, 3, 7)
  const cd2 = v128.shuffle<u32>(c, d, 2, 6, 3, 7)
  v128.store(to, v128.shuffle<u64>(ab, cd, 0, 2))
  v128.store(to + step, v128.shuffle<u64>(ab, cd, 1, 3))
  v128.store(to + 2 * step, v128.shuffle<u64>(ab2, cd2, 0, 2))
  v128.store(to + 3 * step, v128.shuffle<u64>(ab2, cd2, 1, 3))
}

/** A chaining value of 32 bytes for all four lanes. */
export function spread(value: usize, to: usize): void {
  for (let i: usize = 0; i < 8; i++) v128.store(to + 16 * i, v128.load32_splat(value + 4 * i))
}
