// Bit matrices: rows to columns. Bits are numbered from the least significant of the first byte.

/**
 * Bit c of row r becomes bit r of row c. `rows` is a multiple of 16, `columns` of 8; from one row to the next it is
 * `fromStep` and `toStep` bytes.
 */
export function transposeBits(
  from: usize,
  fromStep: usize,
  to: usize,
  toStep: usize,
  rows: usize,
  columns: usize,
): void {
  for (let r: usize = 0; r < rows; r += 16) {
    const band = from + r * fromStep
    for (let c: usize = 0; c < columns; c += 8) {
      // One byte of each of 16 rows; then the top bits of all bytes, eight times
      let at = band + (c >> 3)
      let bytes = v128.load8_splat(at)
      at += fromStep
      bytes = v128.load_lane<u8>(at, bytes, 1)
      at += fromStep
      bytes = v128.load_lane<u8>(at, bytes, 2)
      at += fromStep
      bytes = v128.load_lane<u8>(at, bytes, 3)
      at += fromStep
      bytes = v128.load_lane<u8>(at, bytes, 4)
      at += fromStep
      bytes = v128.load_lane<u8>(at, bytes, 5)
      at += fromStep
      bytes = v128.load_lane<u8>(at, bytes, 6)
      at += fromStep
      bytes = v128.load_lane<u8>(at, bytes, 7)
      at += fromStep
      bytes = v128.load_lane<u8>(at, bytes, 8)
      at += fromStep
      bytes = v128.load_lane<u8>(at, bytes, 9)
      at += fromStep
      bytes = v128.load_lane<u8>(at, bytes, 10)
      at += fromStep
      bytes = v128.load_lane<u8>(at, bytes, 11)
      at += fromStep
      bytes = v128.load_lane<u8>(at, bytes, 12)
      at += fromStep
      bytes = v128.load_lane<u8>(at, bytes, 13)
      at += fromStep
      bytes = v128.load_lane<u8>(at, bytes, 14)
      at += fromStep
      bytes = v128.load_lane<u8>(at, bytes, 15)
      let out = to + (c + 7) * toStep + (r >> 3)
      for (let bit = 0; bit < 8; bit++) {
        store<u16>(out, <u16>i8x16.bitmask(bytes))
        bytes = i8x16.add(bytes, bytes)
        out -= toStep
      }
    }
  }
}
