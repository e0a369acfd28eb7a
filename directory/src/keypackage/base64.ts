/**
 * Base64 as RFC 4648, section 4, defines it and nothing more: the standard alphabet, padding where it belongs, no white
 * space, and no bits set that no byte holds. So every run of bytes has exactly one text.
 */

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
const PADDING = '='.charCodeAt(0)
/** What is no digit. */
const NONE = 64

const valueOf = new Uint8Array(128).fill(NONE)
for (let value = 0; value < 64; value++) valueOf[ALPHABET.charCodeAt(value)] = value

/** @returns undefined for what is not base64 */
export function decodeBase64(text: string): Uint8Array | undefined {
  if (text.length % 4 !== 0) return undefined
  const padding = paddingOf(text)
  const bytes = new Uint8Array((text.length / 4) * 3 - padding)
  const digits = text.length - padding
  let at = 0
  for (let i = 0; i < digits; i += 4) {
    let four = 0
    for (let j = i; j < i + 4; j++) {
      const value = j < digits ? (valueOf[text.charCodeAt(j)] ?? NONE) : 0
      if (value === NONE) return undefined
      four = four * 64 + value
    }
    const left = bytes.length - at
    if (left < 3 && four % 2 ** (24 - 8 * left) !== 0) return undefined
    for (let shift = 16; shift >= 0 && at < bytes.length; shift -= 8) bytes[at++] = four >>> shift
  }
  return bytes
}

function paddingOf(text: string): number {
  if (text.charCodeAt(text.length - 1) !== PADDING) return 0
  return text.charCodeAt(text.length - 2) === PADDING ? 2 : 1
}
