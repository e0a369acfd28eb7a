import { blake3 } from '@noble/hashes/blake3.js'
import { utf8ToBytes } from '@noble/hashes/utils.js'
import type { Tag } from './tags.js'

/** Keyed BLAKE3: 32-byte key, `length` bytes out. A parameter, so that a faster kernel can stand in. */
export type KeyedHash = (key: Uint8Array, message: Uint8Array, length: number) => Uint8Array

/** The reference: noble's BLAKE3 in keyed mode. */
export const keyedBlake3: KeyedHash = (key, message, length) =>
  blake3(message, { key, dkLen: length })

/**
 * The one encoder of everything that is hashed: each item is preceded by its length in 8 bytes, a list by its count,
 * so two different sequences of items never give the same bytes. The tag selects the BLAKE3 key. docs/spec/notation.md, N.8
 */
export class Transcript {
  readonly #key: Uint8Array
  /** Items, and numbers that are written as 8 bytes. */
  readonly #parts: (Uint8Array | number)[] = []
  readonly #hash: KeyedHash

  constructor(tag: Tag, hash: KeyedHash = keyedBlake3) {
    this.#key = tagKey(tag)
    this.#hash = hash
  }

  /** Appends items, each with its length. */
  add(...items: readonly Uint8Array[]): this {
    for (const item of items) this.#parts.push(item.length, item)
    return this
  }

  /** Appends a list: its count, then each item with its length. */
  list(items: readonly Uint8Array[]): this {
    this.#parts.push(items.length)
    return this.add(...items)
  }

  /** Hashes what was added so far; 32 bytes unless told otherwise. */
  digest(length = 32): Uint8Array {
    let total = 0
    for (const part of this.#parts) total += typeof part === 'number' ? 8 : part.length
    const message = new Uint8Array(total)
    const view = new DataView(message.buffer)
    let at = 0
    for (const part of this.#parts) {
      if (typeof part === 'number') {
        // The upper four bytes stay zero: nothing here has 2³² bytes.
        view.setUint32(at + 4, part)
        at += 8
      } else {
        message.set(part, at)
        at += part.length
      }
    }
    return this.#hash(this.#key, message, length)
  }
}

const tagKeys = new Map<Tag, Uint8Array>()

/** The 32-byte BLAKE3 key of a tag: BLAKE3(tag). */
export function tagKey(tag: Tag): Uint8Array {
  let key = tagKeys.get(tag)
  if (key === undefined) tagKeys.set(tag, (key = blake3(utf8ToBytes(tag))))
  return key
}
