/** Bit `index`, counted from the least significant bit of the first byte. */
export const bitOf = (bits: Uint8Array, index: number): number =>
  (bits[index >> 3]! >> (index & 7)) & 1

/** All ones (as a byte) for bit 1, zero for bit 0. */
export const byteMask = (bit: number): number => -bit & 0xff

/** All ones (as a byte) when a = b, for a, b in 0..127; no branch. */
export const equalMask = (a: number, b: number): number => (((a ^ b) - 1) >> 31) & 0xff

/** bit ? b : a, byte by byte, so that the bit meets neither a branch nor an index. */
export function selectBytes(bit: number, a: Uint8Array, b: Uint8Array): Uint8Array {
  const mask = byteMask(bit)
  const out = new Uint8Array(a.length)
  for (let i = 0; i < out.length; i++) out[i] = a[i]! ^ (mask & (a[i]! ^ b[i]!))
  return out
}

/** Flips every bit. */
export const complement = (bits: Uint8Array): Uint8Array => bits.map((byte) => byte ^ 0xff)
