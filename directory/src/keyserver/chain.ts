import { cbc } from '@noble/ciphers/aes.js'
import { concatBytes, utf8ToBytes } from '@noble/hashes/utils.js'
import { fromBase64, hash256, hash512, sameBytes, toBase64 } from './bytes.js'
import { malformed, refused } from './refusal.js'

/*
 * The chain of entries, which is public and says no name. docs/spec/keyserver.md, section 3
 *
 * CBC here carries no secret that another block could reveal: it hides one hash from whoever does not know the name, and
 * what that hash opens must have it as its own hash.
 */

export const ENTRY_BYTES = 153
const TYPE = 0x01
/** What stands in place of a hash before the first entry. */
export const NO_HASH = new Uint8Array(32)

/** An entry, taken apart. */
export interface ChainEntry {
  readonly hash: Uint8Array
  readonly nonce: Uint8Array
  readonly hashId: Uint8Array
  readonly crUid: Uint8Array
  readonly uidIndex: Uint8Array
}

/** Two keys of 64 bytes out of a nonce. 3.1 */
export function ckdf(nonce: Uint8Array): { k1: Uint8Array; k2: Uint8Array } {
  const a = hash512(nonce)
  const [low, high] = [a.slice(0, 32), a.slice(32)]
  const [a1, a2] = [concatBytes(low, low), concatBytes(high, high)]
  const keyed = (outer: Uint8Array, inner: Uint8Array) =>
    hash512(
      outer.map((byte) => byte ^ 0x5c),
      hash512(inner.map((byte) => byte ^ 0x36)),
    )
  return { k1: keyed(a1, a2), k2: keyed(a2, a1) }
}

/** @param entry 153 bytes, or their base64 @throws KeyserverRefusal 3.4 */
export function splitEntry(entry: string | Uint8Array): ChainEntry {
  const bytes = typeof entry === 'string' ? fromBase64(entry, ENTRY_BYTES) : entry
  if (bytes?.length !== ENTRY_BYTES)
    throw malformed(`hashchain: an entry is base64 of ${ENTRY_BYTES} bytes`)
  if (bytes[32] !== TYPE) throw malformed('hashchain: wrong type (should be 0x01)')
  return {
    hash: bytes.slice(0, 32),
    nonce: bytes.slice(33, 41),
    hashId: bytes.slice(41, 73),
    crUid: bytes.slice(73, 121),
    uidIndex: bytes.slice(121),
  }
}

const linkOf = ({ nonce, hashId, crUid, uidIndex }: Omit<ChainEntry, 'hash'>, before: Uint8Array) =>
  hash256(Uint8Array.of(TYPE), nonce, hashId, crUid, uidIndex, before)

/**
 * The next entry of a chain, for a message with this hash. 3.3 to 3.5
 * @param random 24 random bytes: the nonce, and the IV
 */
export function makeEntry(
  identity: string,
  uidHash: Uint8Array,
  before: Uint8Array,
  random: Uint8Array,
): Uint8Array {
  if (random.length !== 24) throw new RangeError('an entry takes 24 random bytes')
  const [nonce, iv] = [random.slice(0, 8), random.slice(8)]
  const { k1, k2 } = ckdf(nonce)
  const name = utf8ToBytes(identity)
  const hidden = cbc(hash256(k2, name), iv, { disablePadding: true }).encrypt(uidHash)
  const parts = {
    nonce,
    hashId: hash256(k1, name),
    crUid: concatBytes(iv, hidden),
    uidIndex: hash256(uidHash),
  }
  const { hashId, crUid, uidIndex } = parts
  return concatBytes(linkOf(parts, before), Uint8Array.of(TYPE), nonce, hashId, crUid, uidIndex)
}

/**
 * Whether an entry is one of this identity.
 * @returns the hash of its message, which opens it; undefined for an entry of somebody else
 * @throws KeyserverRefusal where the two hashes in it do not fit
 */
export function uidHashIn(
  { nonce, hashId, crUid, uidIndex }: ChainEntry,
  identity: string,
): Uint8Array | undefined {
  const { k1, k2 } = ckdf(nonce)
  const name = utf8ToBytes(identity)
  if (!sameBytes(hash256(k1, name), hashId)) return undefined
  const [iv, hidden] = [crUid.slice(0, 16), crUid.slice(16)]
  const uidHash = cbc(hash256(k2, name), iv, { disablePadding: true }).decrypt(hidden)
  if (!sameBytes(hash256(uidHash), uidIndex))
    throw refused('hashchain: an entry leads to another message than it says')
  return uidHash
}

/**
 * Checks that entries follow one after the other. 3.5
 * @param before the hash of the entry before the first of them; {@link NO_HASH} at the beginning of a chain
 * @returns them taken apart
 * @throws KeyserverRefusal
 */
export function followingEntries(
  entries: readonly string[],
  before: Uint8Array = NO_HASH,
): readonly ChainEntry[] {
  let last = before
  return entries.map((text) => {
    const entry = splitEntry(text)
    if (!sameBytes(linkOf(entry, last), entry.hash))
      throw refused('hashchain: an entry does not follow from the one before')
    last = entry.hash
    return entry
  })
}

export const entryText = (entry: Uint8Array): string => toBase64(entry)
