/** Placeholder of the first build: replaced by the bit transposition. */
export function transposeBits(from: usize, to: usize, rows: i32, columns: i32): void {
  for (let i = 0; i < (rows * columns) >> 3; i++) store<u8>(to + i, load<u8>(from + i))
}
