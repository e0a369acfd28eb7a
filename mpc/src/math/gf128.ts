/**
 * GF(2¹²⁸) as polynomials mod x¹²⁸ + x⁷ + x² + x + 1. An element is 16 bytes; bit i, counted from the least
 * significant bit of the first byte, is the coefficient of xⁱ.
 */
export const BLOCK_BYTES = 16

/** The element times xⁱ for i = 0..127, four little-endian words each. No branch on the element's bits. */
export function multiplesOf(element: Uint8Array): Int32Array {
  const view = new DataView(element.buffer, element.byteOffset, BLOCK_BYTES)
  const table = new Int32Array(4 * 128)
  let w0 = view.getInt32(0, true)
  let w1 = view.getInt32(4, true)
  let w2 = view.getInt32(8, true)
  let w3 = view.getInt32(12, true)
  for (let at = 0; at < table.length; at += 4) {
    table[at] = w0
    table[at + 1] = w1
    table[at + 2] = w2
    table[at + 3] = w3
    const carry = w3 >> 31
    w3 = (w3 << 1) | (w2 >>> 31)
    w2 = (w2 << 1) | (w1 >>> 31)
    w1 = (w1 << 1) | (w0 >>> 31)
    w0 = (w0 << 1) ^ (carry & 0x87)
  }
  return table
}

/** a·b. */
export function multiply(a: Uint8Array, b: Uint8Array): Uint8Array {
  if (a.length !== BLOCK_BYTES || b.length !== BLOCK_BYTES)
    throw new RangeError('a field element is 16 bytes')
  const table = multiplesOf(a)
  const words = new Int32Array(4)
  for (let i = 0; i < 128; i++) {
    const m = -((b[i >> 3]! >> (i & 7)) & 1)
    for (let w = 0; w < 4; w++) words[w]! ^= m & table[4 * i + w]!
  }
  const out = new Uint8Array(BLOCK_BYTES)
  const view = new DataView(out.buffer)
  for (let w = 0; w < 4; w++) view.setInt32(4 * w, words[w]!, true)
  return out
}

/** Adds `b` to `a` in place: the sum in any field of characteristic 2. */
export function xorInto(a: Uint8Array, b: Uint8Array): void {
  if (a.length !== b.length) throw new RangeError('only equally long values can be added')
  for (let i = 0; i < a.length; i++) a[i]! ^= b[i]!
}
