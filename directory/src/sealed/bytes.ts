import { utf8ToBytes } from '@noble/hashes/utils.js'

/** Bytes that end too early or go on too long, or hold what they may not. */
export class Malformed extends Error {}

/** An unsigned number, big-endian. */
export function uint(value: number, width: 1 | 4 | 8): Uint8Array {
  if (!Number.isSafeInteger(value) || value < 0 || value >= 2 ** (8 * width))
    throw new RangeError(`a number does not fit ${width} bytes`)
  const out = new Uint8Array(8)
  new DataView(out.buffer).setBigUint64(0, BigInt(value))
  return out.slice(8 - width)
}

/** Visible ASCII after its length in one byte. */
export function shortText(text: string): Uint8Array {
  if (!/^[!-~]{0,255}$/.test(text))
    throw new RangeError('a text here has at most 255 visible ASCII characters')
  const bytes = utf8ToBytes(text)
  return Uint8Array.of(bytes.length, ...bytes)
}

/** Takes bytes apart from the front. */
export class Reader {
  #at = 0
  constructor(private readonly bytes: Uint8Array) {}

  get at(): number {
    return this.#at
  }

  /** A copy of the next ones. @throws Malformed */
  take(length: number): Uint8Array {
    if (length > this.bytes.length - this.#at) throw new Malformed()
    return this.bytes.slice(this.#at, (this.#at += length))
  }

  /** @throws Malformed beyond 2^53 too */
  uint(width: 1 | 4 | 8): number {
    const value = this.take(width).reduce((sum, byte) => sum * 256n + BigInt(byte), 0n)
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new Malformed()
    return Number(value)
  }

  shortText(): string {
    const bytes = this.take(this.uint(1))
    if (!bytes.every((byte) => byte >= 0x21 && byte <= 0x7e)) throw new Malformed()
    return String.fromCharCode(...bytes)
  }

  /** @throws Malformed unless everything was taken */
  end(): void {
    if (this.#at !== this.bytes.length) throw new Malformed()
  }
}
