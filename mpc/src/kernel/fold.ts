import { BLOCK_BYTES, multiplesOf } from '../math/gf128.js'

/**
 * Σ χ_k·block_k + mask for each row, see Kernel.foldRows. The multiples χ·xⁱ are public and computed once; each
 * secret bit of a block then masks one of them, so neither branch nor index depends on a secret.
 */
export function foldRows(rows: Uint8Array, rowLength: number, chi: Uint8Array): Uint8Array {
  const data = rowLength - BLOCK_BYTES
  const count = rows.length / rowLength
  const blocks = Math.ceil(data / BLOCK_BYTES)
  if (chi.length !== blocks * BLOCK_BYTES)
    throw new RangeError('one challenge for each block before the mask')
  const multiples = Array.from({ length: blocks }, (_, k) =>
    multiplesOf(chi.subarray(k * BLOCK_BYTES, (k + 1) * BLOCK_BYTES)),
  )
  const out = new Uint8Array(count * BLOCK_BYTES)
  const view = new DataView(out.buffer)
  const mask = new DataView(rows.buffer, rows.byteOffset, rows.length)
  for (let r = 0; r < count; r++) {
    const start = r * rowLength
    let a0 = mask.getUint32(start + data, true)
    let a1 = mask.getUint32(start + data + 4, true)
    let a2 = mask.getUint32(start + data + 8, true)
    let a3 = mask.getUint32(start + data + 12, true)
    for (let at = 0; at < data; at++) {
      const table = multiples[at >> 4]!
      const byte = rows[start + at]!
      let entry = (at & 15) << 5
      for (let bit = 0; bit < 8; bit++, entry += 4) {
        const m = -((byte >> bit) & 1)
        a0 ^= m & table[entry]!
        a1 ^= m & table[entry + 1]!
        a2 ^= m & table[entry + 2]!
        a3 ^= m & table[entry + 3]!
      }
    }
    const to = r * BLOCK_BYTES
    view.setUint32(to, a0, true)
    view.setUint32(to + 4, a1, true)
    view.setUint32(to + 8, a2, true)
    view.setUint32(to + 12, a3, true)
  }
  return out
}
