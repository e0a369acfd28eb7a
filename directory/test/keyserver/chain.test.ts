import { createDecipheriv, createHash, randomBytes } from 'node:crypto'
import { expect, it } from 'vitest'
import {
  ckdf,
  entryText,
  followingEntries,
  makeEntry,
  NO_HASH,
  splitEntry,
  uidHashIn,
} from '@vertex/directory/keyserver'
import { chainOfFour, ckdfOfZeros, testEntry } from './vectors.js'

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const sha256 = (...parts: Uint8Array[]) => {
  const hash = createHash('sha256')
  for (const part of parts) hash.update(part)
  return new Uint8Array(hash.digest())
}

const made = (identity: string, before: Uint8Array, message = randomBytes(40)) => {
  const uidHash = sha256(message)
  return { uidHash, entry: makeEntry(identity, uidHash, before, new Uint8Array(randomBytes(24))) }
}

it('derives the keys of the original', () => {
  const { k1, k2 } = ckdf(new Uint8Array(8))
  expect({ k1: hex(k1), k2: hex(k2) }).toEqual(ckdfOfZeros)
})

it("takes the original's entry apart", () => {
  const { hash, nonce, hashId, crUid, uidIndex } = splitEntry(testEntry)
  expect([hash, nonce, hashId, crUid, uidIndex].map((part) => part.length)).toEqual([
    32, 8, 32, 48, 32,
  ])
  expect(testEntry).toHaveLength(204)
})

it("links as the original's chain is linked, whose type it refuses", () => {
  let before: Uint8Array = NO_HASH
  for (const text of chainOfFour) {
    const bytes = new Uint8Array(Buffer.from(text, 'base64'))
    const hash = bytes.subarray(0, 32)
    expect(hex(sha256(bytes.subarray(32), before))).toBe(hex(hash))
    before = hash
    expect(() => splitEntry(text)).toThrow('wrong type')
  }
})

it('makes entries that follow each other, and open with the name only', () => {
  const alice = made('alice@mute.example', NO_HASH)
  const bob = made('bob@mute.example', splitEntry(alice.entry).hash)
  const chain = [alice, bob].map(({ entry }) => entryText(entry))
  const [first, second] = followingEntries(chain)
  expect(uidHashIn(first!, 'alice@mute.example')).toEqual(alice.uidHash)
  expect(uidHashIn(second!, 'alice@mute.example')).toBeUndefined()
  expect(uidHashIn(second!, 'bob@mute.example')).toEqual(bob.uidHash)
  // By hand, with the primitives of another library.
  const name = Buffer.from('alice@mute.example')
  const { k2 } = ckdf(first!.nonce)
  const decipher = createDecipheriv('aes-256-cbc', sha256(k2, name), first!.crUid.subarray(0, 16))
  decipher.setAutoPadding(false)
  expect(new Uint8Array(decipher.update(first!.crUid.subarray(16)))).toEqual(alice.uidHash)
})

it('finds what was changed, left out or put in another order', () => {
  let before: Uint8Array = NO_HASH
  const chain = ['a', 'b', 'c'].map((name) => {
    const { entry } = made(`${name}@mute.example`, before)
    before = splitEntry(entry).hash
    return entryText(entry)
  })
  expect(followingEntries(chain)).toHaveLength(3)
  expect(followingEntries(chain.slice(1), splitEntry(chain[0]!).hash)).toHaveLength(2)
  const [a, b, c] = chain as [string, string, string]
  for (const wrong of [
    [b, a, c],
    [a, c],
    [b, c],
    [a, a],
  ])
    expect(() => followingEntries(wrong)).toThrow('does not follow')
  for (let at = 0; at < 153; at++) {
    const bytes = new Uint8Array(Buffer.from(b, 'base64'))
    bytes[at]! ^= 1
    expect(() => followingEntries([a, entryText(bytes), c])).toThrow(/does not follow|wrong type/)
  }
})

it('refuses an entry whose hidden hash is not that of its index', () => {
  const { entry } = made('alice@mute.example', NO_HASH)
  entry[entry.length - 1]! ^= 1
  expect(() => uidHashIn(splitEntry(entry), 'alice@mute.example')).toThrow('another message')
})

it.each(['', 'AAAA', `${testEntry}A`, ` ${testEntry}`, `${testEntry.slice(0, -1)}\n`])(
  'does not take %j for an entry',
  (text) => {
    expect(() => splitEntry(text)).toThrow('153 bytes')
  },
)
