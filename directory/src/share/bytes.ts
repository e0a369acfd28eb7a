import { concatBytes, utf8ToBytes } from '@noble/hashes/utils.js'

/** What can be wrong with bytes of this protocol; the names are the original's, and part of its answers. */
export type FaultKind =
  | 'TooShort'
  | 'BadMagic'
  | 'UnsupportedVersion'
  | 'UnknownOperation'
  | 'LengthMismatch'
  | 'UnsupportedMessageVersion'
  | 'InvalidText'
  | 'UnknownType'
  | 'TrailingBytes'
  | 'FieldTooLarge'
  | 'MissingField'
  | 'InvalidField'

/** Bytes that are not what they should be; the message is the name of the fault. */
export class ShareFault extends Error {
  override readonly name = 'ShareFault'
  constructor(readonly kind: FaultKind) {
    super(kind)
  }
}

/** Puts bytes together. Numbers are big-endian; a text or bytes of any length have their length before them. */
export class Writer {
  readonly #parts: Uint8Array[] = []

  u8(value: number): this {
    return this.#uint(BigInt(value), 1)
  }

  u16(value: number): this {
    return this.#uint(BigInt(value), 2)
  }

  u32(value: number): this {
    return this.#uint(BigInt(value), 4)
  }

  u64(value: number | bigint): this {
    return this.#uint(BigInt(value), 8)
  }

  /** As they are, without a length. */
  raw(bytes: Uint8Array): this {
    this.#parts.push(bytes)
    return this
  }

  bytes(bytes: Uint8Array): this {
    return this.u32(bytes.length).raw(bytes)
  }

  text(text: string): this {
    return this.bytes(utf8ToBytes(text))
  }

  done(): Uint8Array {
    return concatBytes(...this.#parts)
  }

  #uint(value: bigint, width: 1 | 2 | 4 | 8): this {
    if (value < 0n || value >= 1n << BigInt(8 * width))
      throw new RangeError(`a number does not fit ${width} bytes`)
    const bytes = new Uint8Array(8)
    new DataView(bytes.buffer).setBigUint64(0, value)
    return this.raw(bytes.subarray(8 - width))
  }
}

/** Takes bytes apart from the front. @throws ShareFault `TooShort` wherever they end too early */
export class Reader {
  #at = 0
  constructor(private readonly from: Uint8Array) {}

  get isDone(): boolean {
    return this.#at === this.from.length
  }

  /** What was not taken yet. */
  rest(): Uint8Array {
    return this.raw(this.from.length - this.#at)
  }

  u8(): number {
    return this.raw(1)[0]!
  }

  u16(): number {
    return this.#number(2)
  }

  u32(): number {
    return this.#number(4)
  }

  u64(): bigint {
    return (BigInt(this.#number(4)) << 32n) | BigInt(this.#number(4))
  }

  /** A moment, or a count. Above 2^53 it cannot be one, and is not exact. */
  wide(): number {
    return Number(this.u64())
  }

  /** A copy of the next ones. */
  raw(length: number): Uint8Array {
    if (length > this.from.length - this.#at) throw new ShareFault('TooShort')
    return this.from.slice(this.#at, (this.#at += length))
  }

  /** @param most longer ones are `FieldTooLarge`, whether they are there or not */
  bytes(most = Infinity): Uint8Array {
    const length = this.u32()
    if (length > most) throw new ShareFault('FieldTooLarge')
    return this.raw(length)
  }

  /** @param fault what a text that is not UTF-8 is */
  text(most = Infinity, fault: FaultKind = 'InvalidText'): string {
    const bytes = this.bytes(most)
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    } catch {
      throw new ShareFault(fault)
    }
  }

  magic(magic: string): void {
    if (String.fromCharCode(...this.raw(magic.length)) !== magic) throw new ShareFault('BadMagic')
  }

  #number(width: 2 | 4): number {
    return this.raw(width).reduce((sum, byte) => sum * 256 + byte, 0)
  }
}
