// The linear hash of the OT check in GF(2^128), modulo x^128 + x^7 + x^2 + x + 1. docs/spec/ot.md, section 3
import { maskOf } from './extension'
import { transposeBits } from './transpose'

/** x times the element. */
@inline
function timesX(element: v128): v128 {
  const low = i64x2.extract_lane(element, 0)
  const high = i64x2.extract_lane(element, 1)
  const product = i64x2.splat((low << 1) ^ ((high >> 63) & 0x87))
  return i64x2.replace_lane(product, 1, (high << 1) | <i64>(<u64>low >> 63))
}

/** For each of `bits` positions the element that it stands for: χ of its block times a power of x. Public. */
export function positions(chi: usize, bits: usize, to: usize): void {
  let element = i64x2.splat(0)
  for (let i: usize = 0; i < bits; i++) {
    element = (i & 127) === 0 ? v128.load(chi + (i >> 3)) : timesX(element)
    v128.store(to + 16 * i, element)
  }
}

/** Σ χ_k·block_k + mask for one row: `elements` are those of `positions`. */
export function foldRow(row: usize, elements: usize, bits: usize, out: usize): void {
  let sum = v128.load(row + (bits >> 3))
  for (let i: usize = 0; i < bits; i++)
    sum = v128.xor(sum, v128.and(maskOf(row, i), v128.load(elements + 16 * i)))
  v128.store(out, sum)
}

/**
 * The same for 128 rows at once, given as their columns: `bits` + 128 of them, 16 bytes each. Bit b of all sums is the
 * sum of the columns whose element has bit b. Four columns have 16 sums, and which of these is taken is said by the
 * public elements: neither address nor branch depends on a row. `turned` are the elements transposed.
 * `table` has room for 512 bytes, `bitsOfSums` for 2048.
 */
export function foldColumns(
  columns: usize,
  turned: usize,
  bits: usize,
  table: usize,
  bitsOfSums: usize,
  out: usize,
): void {
  // The last 128 columns are the masks.
  memory.copy(bitsOfSums, columns + 16 * bits, 2048)
  const bytes = bits >> 3
  for (let group: usize = 0; group < bytes; group++) {
    sums(columns + 128 * group, table)
    sums(columns + 128 * group + 64, table + 256)
    for (let b: usize = 0; b < 128; b++) {
      const byte = <usize>load<u8>(turned + b * bytes + group)
      const low = v128.load(table + ((byte & 15) << 4))
      const high = v128.load(table + 256 + (byte & 0xf0))
      const at = bitsOfSums + 16 * b
      v128.store(at, v128.xor(v128.load(at), v128.xor(low, high)))
    }
  }
  transposeBits(bitsOfSums, 16, out, 16, 128, 128)
}

/** All 16 sums of four columns. */
@inline
function sums(columns: usize, table: usize): void {
  v128.store(table, i64x2.splat(0))
  for (let k: usize = 0; k < 4; k++) {
    const column = v128.load(columns + 16 * k)
    const have = <usize>16 << k
    for (let i: usize = 0; i < have; i += 16)
      v128.store(table + have + i, v128.xor(v128.load(table + i), column))
  }
}
