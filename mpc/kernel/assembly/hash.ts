// Keyed BLAKE3: of one message of any length, and of many short rows.
import {
  BLOCK,
  CHUNK,
  CHUNK_END,
  CHUNK_START,
  KEYED_HASH,
  PARENT,
  ROOT,
  compress,
  compress4,
  spread,
  transposeWords,
} from './blake3'
import { scratch } from './memory'

/** What a row's only block is: a whole message. */
const ONE_BLOCK: i32 = CHUNK_START | CHUNK_END | ROOT | KEYED_HASH

// In the scratch, each with its place:
/** eight words of four lanes, the key or the chaining values; */
const H: usize = 0
/** the message, 16 words of four lanes, with room for the end of rows whose length is no multiple of 16; */
const M: usize = 128
/** the output, 16 words of four lanes; */
const OUT: usize = 448
/** one block, filled up with zeros; */
const LAST: usize = 704
/** the output of one compression. */
const ONE: usize = 768

/** `blocks` times 64 bytes of keyed BLAKE3. `work` has room for 32 bytes for each KiB of the message and 64 more. */
export function hash(
  key: usize,
  message: usize,
  length: usize,
  work: usize,
  out: usize,
  blocks: i32,
): void {
  const end = message + length
  let node = work
  let at = message
  if (length > CHUNK) {
    at = wholeChunks(key, message, length, work)
    node += (at - message) / (CHUNK / 32)
  }
  const last = scratch() + LAST
  if (length <= CHUNK) {
    finishChunk(key, at, end, 0, node)
    lastBlock(at, end)
    const only = length <= BLOCK ? CHUNK_START : 0
    output(node, lastLength(length), CHUNK_END | KEYED_HASH | only, out, blocks)
    return
  }
  // What is left: up to three whole chunks, and one that may be shorter
  for (; at < end; at += CHUNK) {
    const to = min(at + CHUNK, end)
    const index = <i32>((at - message) / CHUNK)
    finishChunk(key, at, to, index, node)
    lastBlock(at, to)
    const only = to - at <= BLOCK ? CHUNK_START : 0
    compress(node, last, index, lastLength(to - at), CHUNK_END | KEYED_HASH | only, scratch() + ONE)
    memory.copy(node, scratch() + ONE, 32)
    node += 32
  }
  // The tree, level by level: neighbours are joined, and one without a neighbour moves up.
  let nodes = (node - work) / 32
  for (; nodes > 2; nodes = (nodes + 1) >> 1) parents(key, work, nodes)
  memory.copy(last, work, BLOCK)
  memory.copy(work, key, 32)
  output(work, <i32>BLOCK, PARENT | KEYED_HASH, out, blocks)
}

@inline
function lastLength(length: usize): i32 {
  return length === 0 ? 0 : <i32>(((length - 1) & (BLOCK - 1)) + 1)
}

/** The block at the end of a chunk, with zeros behind it. */
function lastBlock(from: usize, end: usize): void {
  const last = scratch() + LAST
  const length = <usize>lastLength(end - from)
  memory.fill(last, 0, BLOCK)
  memory.copy(last, end - length, length)
}

/** The chaining value of a chunk before its last block. */
function finishChunk(key: usize, from: usize, end: usize, index: i32, value: usize): void {
  const out = scratch() + ONE
  memory.copy(out, key, 32)
  let flags = KEYED_HASH | CHUNK_START
  for (let at = from; at + BLOCK < end; at += BLOCK) {
    compress(out, at, index, <i32>BLOCK, flags, out)
    flags = KEYED_HASH
  }
  memory.copy(value, out, 32)
}

/** The root's output: its last block is at LAST. */
function output(value: usize, length: i32, flags: i32, out: usize, blocks: i32): void {
  for (let i = 0; i < blocks; i++)
    compress(value, scratch() + LAST, i, length, flags | ROOT, out + <usize>i * BLOCK)
}

/** Chaining values of whole chunks, four by four; answers where it stopped. */
function wholeChunks(key: usize, message: usize, length: usize, work: usize): usize {
  const h = scratch() + H
  const m = scratch() + M
  const out = scratch() + OUT
  let at = message
  let node = work
  for (; at + 4 * CHUNK <= message + length; at += 4 * CHUNK) {
    const first = <i32>((at - message) / CHUNK)
    const counter = i32x4.add(i32x4.splat(first), i32x4(0, 1, 2, 3))
    spread(key, h)
    for (let block: usize = 0; block < CHUNK; block += BLOCK) {
      for (let w: usize = 0; w < BLOCK; w += 16) {
        const x = at + block + w
        transposeWords(
          v128.load(x),
          v128.load(x + CHUNK),
          v128.load(x + 2 * CHUNK),
          v128.load(x + 3 * CHUNK),
          m + 4 * w,
          16,
        )
      }
      let flags = KEYED_HASH
      if (block === 0) flags |= CHUNK_START
      if (block === CHUNK - BLOCK) flags |= CHUNK_END
      compress4(h, m, counter, <i32>BLOCK, flags, out)
      memory.copy(h, out, 128)
    }
    fourValues(h, node)
    node += 4 * 32
  }
  return at
}

/** Chaining values in lanes to four times 32 bytes. */
function fourValues(h: usize, to: usize): void {
  for (let half: usize = 0; half < 2; half++) {
    const from = h + 64 * half
    transposeWords(
      v128.load(from),
      v128.load(from, 16),
      v128.load(from, 32),
      v128.load(from, 48),
      to + 16 * half,
      32,
    )
  }
}

/** One level of the tree, in place: `nodes` chaining values at `work` become half as many. */
function parents(key: usize, work: usize, nodes: usize): void {
  const pairs = nodes >> 1
  const h = scratch() + H
  const m = scratch() + M
  const out = scratch() + OUT
  let to = work
  let pair: usize = 0
  for (; pair + 4 <= pairs; pair += 4) {
    spread(key, h)
    for (let w: usize = 0; w < BLOCK; w += 16) {
      const x = work + pair * BLOCK + w
      transposeWords(
        v128.load(x),
        v128.load(x + BLOCK),
        v128.load(x + 2 * BLOCK),
        v128.load(x + 3 * BLOCK),
        m + 4 * w,
        16,
      )
    }
    compress4(h, m, i32x4.splat(0), <i32>BLOCK, PARENT | KEYED_HASH, out)
    fourValues(out, to)
    to += 4 * 32
  }
  for (; pair < pairs; pair++) {
    const one = scratch() + ONE
    memory.copy(scratch() + LAST, work + pair * BLOCK, BLOCK)
    memory.copy(one, key, 32)
    compress(one, scratch() + LAST, 0, <i32>BLOCK, PARENT | KEYED_HASH, one)
    memory.copy(to, one, 32)
    to += 32
  }
  if ((nodes & 1) === 1) memory.copy(to, work + pairs * BLOCK, 32)
}

/** The key of the rows, to be set before. */
export function setRowKey(key: usize): void {
  spread(key, scratch() + H)
  memory.fill(scratch() + M, 0, BLOCK * 4)
}

/** Row numbers, big-endian, in front of the rows. */
function number(index: i32): void {
  const numbers = i32x4.add(i32x4.splat(index), i32x4(0, 1, 2, 3))
  v128.store(
    scratch() + M,
    v128.shuffle<u8>(numbers, numbers, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12),
  )
}

/**
 * Rows `index` to `index` + 3, each (u32 index ‖ row) in one block: 64·`blocks` bytes of output each, the next row
 * `step` bytes on. The rows have `width` bytes, filled up with zeros to a multiple of 16.
 */
function hashFourRows(
  index: i32,
  rows: usize,
  width: usize,
  out: usize,
  step: usize,
  blocks: i32,
): void {
  const h = scratch() + H
  const m = scratch() + M
  const result = scratch() + OUT
  const padded = (width + 15) & ~15
  number(index)
  for (let w: usize = 0; w < padded; w += 16) {
    const x = rows + w
    transposeWords(
      v128.load(x),
      v128.load(x + padded),
      v128.load(x + 2 * padded),
      v128.load(x + 3 * padded),
      m + 16 + 4 * w,
      16,
    )
  }
  for (let block = 0; block < blocks; block++) {
    compress4(h, m, i32x4.splat(block), <i32>width + 4, ONE_BLOCK, result)
    for (let w: usize = 0; w < BLOCK; w += 16) {
      const from = result + 4 * w
      transposeWords(
        v128.load(from),
        v128.load(from, 16),
        v128.load(from, 32),
        v128.load(from, 48),
        out + <usize>block * BLOCK + w,
        step,
      )
    }
  }
}

/**
 * The same for rows of 16 bytes with `mask` added, three blocks each. The output stays as words in lanes: 48 of them.
 */
export function hashFourColumns(index: i32, columns: usize, mask: v128, out: usize): void {
  const h = scratch() + H
  const m = scratch() + M
  number(index)
  transposeWords(
    v128.xor(v128.load(columns), mask),
    v128.xor(v128.load(columns, 16), mask),
    v128.xor(v128.load(columns, 32), mask),
    v128.xor(v128.load(columns, 48), mask),
    m + 16,
    16,
  )
  for (let block = 0; block < 3; block++)
    compress4(h, m, i32x4.splat(block), 20, ONE_BLOCK, out + <usize>block * 4 * BLOCK)
}

/** Keyed BLAKE3 of each row, 64·`blocks` bytes each; works on the rows four by four, past the end if need be. */
export function hashRows(
  key: usize,
  rows: usize,
  count: i32,
  width: usize,
  out: usize,
  blocks: i32,
): void {
  setRowKey(key)
  const padded = (width + 15) & ~15
  const step = <usize>blocks * BLOCK
  for (let r = 0; r < count; r += 4)
    hashFourRows(r, rows + <usize>r * padded, width, out + <usize>r * step, step, blocks)
}
