import { concatBytes, utf8ToBytes } from '@noble/hashes/utils.js'

/** Unsigned integers, big-endian. */
export const u8 = (value: number): Uint8Array => uint(value, 1)
export const u32 = (value: number): Uint8Array => uint(value, 4)
export const u64 = (value: number): Uint8Array => uint(value, 8)

function uint(value: number, width: number): Uint8Array {
  if (!Number.isSafeInteger(value) || value < 0 || value >= 2 ** (8 * width))
    throw new RangeError(`a number does not fit ${width} bytes`)
  const out = new Uint8Array(width)
  for (let i = width - 1, rest = value; i >= 0; i--, rest = Math.floor(rest / 256))
    out[i] = rest % 256
  return out
}

const PRINTABLE = /^[!-~]*$/

/** Length in one byte, then visible ASCII: a text has one form here, and none that a terminal or a log would act on. */
export function shortText(text: string): Uint8Array {
  if (text.length > 255 || !PRINTABLE.test(text))
    throw new RangeError('a text here has at most 255 visible ASCII characters')
  return concatBytes(u8(text.length), utf8ToBytes(text))
}

/** Bytes that end too early or go on too long, or hold what they may not. */
export class Malformed extends Error {}

/** Takes bytes apart from the front. Whoever uses it says at the end that nothing may be left. */
export class Reader {
  #at = 0
  constructor(readonly bytes: Uint8Array) {}

  /** How many bytes have been taken. */
  get at(): number {
    return this.#at
  }

  /** A copy of the next `length` bytes. @throws Malformed */
  take(length: number): Uint8Array {
    if (length > this.bytes.length - this.#at) throw new Malformed()
    return this.bytes.slice(this.#at, (this.#at += length))
  }

  u8(): number {
    return this.take(1)[0]!
  }

  u32(): number {
    return new DataView(this.take(4).buffer).getUint32(0)
  }

  /** @throws Malformed beyond 2^53 too */
  u64(): number {
    const value = Number(new DataView(this.take(8).buffer).getBigUint64(0))
    if (!Number.isSafeInteger(value)) throw new Malformed()
    return value
  }

  shortText(): string {
    const text = String.fromCharCode(...this.take(this.u8()))
    if (!PRINTABLE.test(text)) throw new Malformed()
    return text
  }

  /** @throws Malformed unless everything was taken */
  end(): void {
    if (this.#at !== this.bytes.length) throw new Malformed()
  }
}
