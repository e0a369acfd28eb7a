/**
 * Keyed BLAKE3 of many short inputs: each at most one block of 64 bytes, which is all that OT pads, leaves and gadgets
 * need. It computes what noble's BLAKE3 computes (tested so), without building a hash object for each input.
 * BLAKE3 specification, sections 2.1-2.6.
 */

const BLOCK = 64

// Section 2.2, table 1
const IV = Int32Array.of(0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a)

// CHUNK_START | CHUNK_END | ROOT | KEYED_HASH: a message of one block is all of these at once.
const FLAGS = 1 | 2 | 8 | 16

/** The message words each round uses, in the order of use: section 2.2, table 2 applied again and again. */
const SCHEDULE = schedule()

function schedule(): Uint8Array {
  const permutation = [2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8]
  const out = new Uint8Array(7 * 16)
  for (let i = 0; i < 16; i++) out[i] = i
  for (let i = 16; i < out.length; i++) out[i] = out[i - 16 - (i % 16) + permutation[i % 16]!]!
  return out
}

/** The quarter round of section 2.2 on the words a, b, c, d of the state. */
function mix(
  v: Int32Array,
  a: number,
  b: number,
  c: number,
  d: number,
  x: number,
  y: number,
): void {
  let va = v[a]!
  let vb = v[b]!
  let vc = v[c]!
  let vd = v[d]!
  va = (va + vb + x) | 0
  vd ^= va
  vd = (vd >>> 16) | (vd << 16)
  vc = (vc + vd) | 0
  vb ^= vc
  vb = (vb >>> 12) | (vb << 20)
  va = (va + vb + y) | 0
  vd ^= va
  vd = (vd >>> 8) | (vd << 24)
  vc = (vc + vd) | 0
  vb ^= vc
  v[a] = va
  v[b] = (vb >>> 7) | (vb << 25)
  v[c] = vc
  v[d] = vd
}

/** Output block `index` of the one-block message m under the key, into the 16 words of v. */
function compress(
  v: Int32Array,
  key: Int32Array,
  m: Int32Array,
  length: number,
  index: number,
): void {
  v.set(key)
  v.set(IV, 8)
  v[12] = index
  v[13] = 0
  v[14] = length
  v[15] = FLAGS
  for (let at = 0; at < SCHEDULE.length; at += 16) {
    const s = (i: number): number => m[SCHEDULE[at + i]!]!
    mix(v, 0, 4, 8, 12, s(0), s(1))
    mix(v, 1, 5, 9, 13, s(2), s(3))
    mix(v, 2, 6, 10, 14, s(4), s(5))
    mix(v, 3, 7, 11, 15, s(6), s(7))
    mix(v, 0, 5, 10, 15, s(8), s(9))
    mix(v, 1, 6, 11, 12, s(10), s(11))
    mix(v, 2, 7, 8, 13, s(12), s(13))
    mix(v, 3, 4, 9, 14, s(14), s(15))
  }
  for (let i = 0; i < 8; i++) {
    v[i]! ^= v[i + 8]!
    v[i + 8]! ^= key[i]!
  }
}

/** The longest row: with its number in front it still is one block. */
export const MAX_ROW_BYTES = BLOCK - 4

/** See Kernel.hashRows. @throws RangeError for rows longer than {@link MAX_ROW_BYTES} */
export function hashShortRows(
  key: Uint8Array,
  rows: Uint8Array,
  rowLength: number,
  length: number,
): Uint8Array {
  if (rowLength > MAX_ROW_BYTES || key.length !== 32)
    throw new RangeError(`a row has at most ${MAX_ROW_BYTES} bytes, and a key 32`)
  const count = rows.length / rowLength
  const blocks = Math.ceil(length / BLOCK)
  const words = (bytes: Uint8Array): Int32Array => {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    return Int32Array.from({ length: bytes.length / 4 }, (_, i) => view.getInt32(4 * i, true))
  }
  const keyWords = words(key)
  const input = new Uint8Array(BLOCK)
  const index = new DataView(input.buffer)
  const m = new Int32Array(16)
  const v = new Int32Array(16)
  const stream = new Uint8Array(blocks * BLOCK)
  const out = new Uint8Array(count * length)
  const streamView = new DataView(stream.buffer)
  for (let r = 0; r < count; r++) {
    index.setUint32(0, r)
    for (let k = 0; k < rowLength; k++) input[4 + k] = rows[r * rowLength + k]!
    for (let i = 0; i < 16; i++) m[i] = index.getInt32(4 * i, true)
    for (let block = 0; block < blocks; block++) {
      compress(v, keyWords, m, 4 + rowLength, block)
      for (let i = 0; i < 16; i++) streamView.setInt32(BLOCK * block + 4 * i, v[i]!, true)
    }
    for (let k = 0, at = r * length; k < length; k++) out[at + k] = stream[k]!
  }
  for (const secret of [input, stream]) secret.fill(0)
  for (const secret of [keyWords, m, v]) secret.fill(0)
  return out
}
