// The OT extension's rows. docs/spec/ot.md, section 3
import { BLOCK } from './blake3'
import { hashRows } from './hash'

/** Leaves of one tree. */
const LEAVES: usize = 4

/** All ones where bit `index` is set, else zeros. */
@inline
export function maskOf(bits: usize, index: usize): v128 {
  return i8x16.splat(<i8>(-<i32>((load<u8>(bits + (index >> 3)) >> <u8>(index & 7)) & 1)))
}

/**
 * Steps 3.1.1, 3.1.3 and 3.1.4 for rows of `width` bytes. r has room for 64·⌈width/64⌉ bytes a leaf; behind x, u and v
 * there is room for 16 bytes more.
 */
export function receiverRows(
  key: usize,
  leaves: usize,
  trees: usize,
  x: usize,
  width: usize,
  r: usize,
  u: usize,
  v: usize,
): void {
  const blocks = (width + BLOCK - 1) / BLOCK
  hashRows(key, leaves, <i32>(LEAVES * trees), 32, r, <i32>blocks)
  const step = blocks * BLOCK
  for (let g: usize = 0; g < trees; g++) {
    const leaf = r + LEAVES * g * step
    for (let k: usize = 0; k < width; k += 16) {
      const r0 = v128.load(leaf + k)
      const r1 = v128.load(leaf + step + k)
      const r2 = v128.load(leaf + 2 * step + k)
      const r3 = v128.load(leaf + 3 * step + k)
      const low = v128.xor(r1, r3)
      const high = v128.xor(r2, r3)
      const all = v128.xor(v128.xor(r0, r2), low)
      v128.store(u + g * width + k, v128.xor(all, v128.load(x + k)))
      v128.store(v + 2 * g * width + k, low)
      // The next tree's first row may have been begun by the end of this one; it is still to be written.
      v128.store(r + LEAVES * g * step + k, high)
    }
    for (let k: usize = 0; k < width; k += 16)
      v128.store(v + (2 * g + 1) * width + k, v128.load(leaf + k))
  }
}

/** Steps 3.2.1 to 3.2.3; the room is that of `receiverRows`. */
export function senderRows(
  key: usize,
  leaves: usize,
  trees: usize,
  delta: usize,
  u: usize,
  width: usize,
  r: usize,
  w: usize,
): void {
  const blocks = (width + BLOCK - 1) / BLOCK
  hashRows(key, leaves, <i32>(LEAVES * trees), 32, r, <i32>blocks)
  const step = blocks * BLOCK
  for (let row: usize = 0; row < 2 * trees; row++) {
    const g = row >> 1
    const leaf = r + LEAVES * g * step
    // The two leaves y with bit b of y set: 1 and 3, or 2 and 3
    const first = leaf + (1 + (row & 1)) * step
    const mask = maskOf(delta, row)
    for (let k: usize = 0; k < width; k += 16) {
      const r3 = v128.load(leaf + 3 * step + k)
      const r0 = v128.load(leaf + k)
      const r1 = v128.load(leaf + step + k)
      const r2 = v128.load(leaf + 2 * step + k)
      const all = v128.xor(v128.xor(r0, r1), v128.xor(r2, r3))
      const sum = v128.xor(v128.load(first + k), r3)
      // With Δ's bit the other two leaves, that is all less these two, and u
      const more = v128.and(mask, v128.xor(all, v128.load(u + g * width + k)))
      v128.store(w + row * width + k, v128.xor(sum, more))
    }
  }
}
