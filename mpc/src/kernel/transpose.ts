/**
 * Transposes a bit matrix in blocks of 8 × 8 (Hacker's Delight, section 7-3). Bits are numbered from the least
 * significant of the first byte; `rows` and `columns` are multiples of 8.
 */
export function transpose(bits: Uint8Array, rows: number, columns: number): Uint8Array {
  const inStride = columns >> 3
  const outStride = rows >> 3
  const out = new Uint8Array(bits.length)
  for (let r = 0; r < outStride; r++) {
    for (let c = 0; c < inStride; c++) {
      // Eight rows of one byte: low holds rows 0-3, high rows 4-7.
      const at = r * 8 * inStride + c
      let low = 0
      let high = 0
      for (let k = 0; k < 4; k++) {
        low |= bits[at + k * inStride]! << (8 * k)
        high |= bits[at + (k + 4) * inStride]! << (8 * k)
      }
      let t = (low ^ (low >>> 7)) & 0x00aa00aa
      low ^= t ^ (t << 7)
      t = (high ^ (high >>> 7)) & 0x00aa00aa
      high ^= t ^ (t << 7)
      t = (low ^ (low >>> 14)) & 0x0000cccc
      low ^= t ^ (t << 14)
      t = (high ^ (high >>> 14)) & 0x0000cccc
      high ^= t ^ (t << 14)
      t = (low & 0x0f0f0f0f) | ((high & 0x0f0f0f0f) << 4)
      high = ((low >>> 4) & 0x0f0f0f0f) | (high & 0xf0f0f0f0)
      low = t
      const to = c * 8 * outStride + r
      for (let k = 0; k < 4; k++) {
        out[to + k * outStride] = low >>> (8 * k)
        out[to + (k + 4) * outStride] = high >>> (8 * k)
      }
    }
  }
  return out
}
