/** Ways to spoil one field of a message. Each returns a `change` for a tamper. */

/** Flips the lowest bit of the byte at `offset`. */
export const flip = (offset: number) => (bytes: Uint8Array) => {
  bytes[offset]! ^= 1
  return bytes
}

/** Replaces what starts at `offset`. */
export const put = (offset: number, value: Uint8Array) => (bytes: Uint8Array) => {
  bytes.set(value, offset)
  return bytes
}

/** Negates the compressed point at `offset`: another point that is just as valid. */
export const negatePoint = (offset: number) => flip(offset)

/** Adds 1 to the big-endian number of 32 bytes that ends a scalar at `offset`; stays in range but for a chance of 2^-128. */
export const addOne = (offset: number) => (bytes: Uint8Array) => {
  for (let i = offset + 31; i >= offset; i--) {
    bytes[i] = (bytes[i]! + 1) & 0xff
    if (bytes[i] !== 0) break
  }
  return bytes
}

export const shorten = (bytes: Uint8Array) => bytes.slice(0, -1)
export const lengthen = (bytes: Uint8Array) => {
  const longer = new Uint8Array(bytes.length + 1)
  longer.set(bytes)
  return longer
}

/** 33 bytes that are no point: x = 5 is on no point of secp256k1. */
export const offCurve = new Uint8Array(33)
offCurve[0] = 2
offCurve[32] = 5

/** The group order, which is one too much for a scalar. */
export const orderBytes = Uint8Array.from(
  Buffer.from('fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141', 'hex'),
)
