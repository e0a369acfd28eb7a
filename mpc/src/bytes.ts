import { concatBytes, bytesToHex, hexToBytes } from '@noble/hashes/utils.js'

export { concatBytes, bytesToHex, hexToBytes }

/** Unsigned integers as fixed-width big-endian bytes. */
export const u8 = (value: number): Uint8Array => uint(value, 1)
export const u16 = (value: number): Uint8Array => uint(value, 2)
export const u32 = (value: number): Uint8Array => uint(value, 4)
export const u64 = (value: number): Uint8Array => uint(value, 8)

function uint(value: number, width: number): Uint8Array {
  if (!Number.isSafeInteger(value) || value < 0 || value >= 2 ** (8 * width))
    throw new RangeError(`${value} does not fit ${width} bytes`)
  const out = new Uint8Array(width)
  for (let i = width - 1, rest = value; i >= 0; i--, rest = Math.floor(rest / 256))
    out[i] = rest % 256
  return out
}

/** Compares without an early exit, so that the time tells nothing about where two secrets differ. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  let difference = 0
  for (let i = 0; i < a.length; i++) difference |= a[i]! ^ b[i]!
  return difference === 0
}

/** Overwrites secrets that are no longer needed. Best effort: the engine may have made copies. */
export function wipe(...secrets: Uint8Array[]): void {
  for (const secret of secrets) secret.fill(0)
}
