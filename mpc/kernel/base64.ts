const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

/** Standard base64 with padding, of text that is known to be well formed. RFC 4648, section 4 */
export function fromBase64(text: string): Uint8Array {
  const value = new Uint8Array(128)
  for (let i = 0; i < ALPHABET.length; i++) value[ALPHABET.charCodeAt(i)] = i
  const symbols = text.replace(/=+$/, '')
  const out = new Uint8Array((symbols.length * 3) >> 2)
  let bits = 0
  let held = 0
  let at = 0
  for (let i = 0; i < symbols.length; i++) {
    bits = ((bits << 6) | value[symbols.charCodeAt(i)]!) & 0xffffff
    held += 6
    if (held >= 8) out[at++] = bits >> (held -= 8)
  }
  return out
}
