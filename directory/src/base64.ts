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
  const whole = text.length - (padding > 0 ? 4 : 0)
  let at = 0
  for (let i = 0; i < whole; i += 4) {
    const four = fourOf(text, i)
    if (four < 0) return undefined
    bytes[at++] = four >>> 16
    bytes[at++] = four >>> 8
    bytes[at++] = four
  }
  if (padding > 0) {
    // The zero digits in place of the padding: what they and the bits before them hold must be nothing.
    const last = fourOf(text.slice(whole, text.length - padding) + 'AA'.slice(2 - padding), 0)
    if (last < 0 || last % 2 ** (8 * padding) !== 0) return undefined
    bytes[at++] = last >>> 16
    if (padding === 1) bytes[at++] = last >>> 8
  }
  return bytes
}

/** 24 bits of the four digits from `i` on; negative for what are none. */
function fourOf(text: string, i: number): number {
  const [a, b] = [text.charCodeAt(i), text.charCodeAt(i + 1)]
  const [c, d] = [text.charCodeAt(i + 2), text.charCodeAt(i + 3)]
  if ((a | b | c | d) > 127) return -1
  const [va, vb, vc, vd] = [valueOf[a]!, valueOf[b]!, valueOf[c]!, valueOf[d]!]
  return ((va | vb | vc | vd) & NONE) === 0 ? (va << 18) | (vb << 12) | (vc << 6) | vd : -1
}

function paddingOf(text: string): number {
  if (text.charCodeAt(text.length - 1) !== PADDING) return 0
  return text.charCodeAt(text.length - 2) === PADDING ? 2 : 1
}
