import { concatBytes, u8 } from '../bytes.js'

/**
 * A signature in DER (X.690; SEC 1, appendix C.8): the one minimal encoding, no superfluous zeros.
 * @param r big-endian, 32 bytes
 * @param s big-endian, 32 bytes
 * @throws RangeError when r or s has another length or is zero
 */
export function encodeDer(r: Uint8Array, s: Uint8Array): Uint8Array {
  const body = concatBytes(integer(r), integer(s))
  return concatBytes(u8(0x30), u8(body.length), body)
}

function integer(value: Uint8Array): Uint8Array {
  const first = value.findIndex((byte) => byte !== 0)
  if (value.length !== 32 || first < 0) throw new RangeError('r and s are 32 bytes each, not zero')
  const digits = value.subarray(first)
  // A leading 1 bit would make the number negative.
  const padded = digits[0]! >= 0x80 ? concatBytes(u8(0), digits) : digits
  return concatBytes(u8(0x02), u8(padded.length), padded)
}
