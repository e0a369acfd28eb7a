import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  decodeEntry,
  decodeExtra,
  encodeEntry,
  encodeExtra,
  kinds,
  subjectHash,
  type Entry,
} from '../../src/log/entry.js'
import { h } from './naive.js'

const hash = fc.uint8Array({ minLength: 32, maxLength: 32 })
const entry: fc.Arbitrary<Entry> = fc.record({
  kind: fc.stringMatching(/^[a-z0-9-]{1,32}$/),
  subject: hash,
  digest: hash,
  time: fc.maxSafeNat(),
})
const some: Entry = {
  kind: 'sigchain-event',
  subject: new Uint8Array(32).fill(1),
  digest: new Uint8Array(32).fill(2),
  time: 1_700_000_000_123,
}

describe('an entry', () => {
  it('has these bytes', () => {
    expect(Buffer.from(encodeEntry(some)).toString('hex')).toBe(
      `010e${Buffer.from('sigchain-event').toString('hex')}${'01'.repeat(32)}${'02'.repeat(32)}0000018bcfe5687b`,
    )
  })

  it('is read back, so that two have different bytes', () => {
    fc.assert(
      fc.property(entry, (one) => {
        expect(decodeEntry(encodeEntry(one))).toEqual(one)
      }),
    )
  })

  it('has one form: whatever is read is what would be written', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.tuple(entry, fc.nat(), fc.nat(255)).map(([one, at, to]) => {
        const changed = encodeEntry(one)
        changed[at % changed.length] = to
        return changed
      }),
    )
    fc.assert(
      fc.property(bytes, (given) => {
        const read = decodeEntry(given)
        if (read !== undefined) expect(encodeEntry(read)).toEqual(given)
      }),
    )
  })

  it.each([
    ['nothing', () => new Uint8Array()],
    ['another format', (bytes: Uint8Array) => bytes.with(0, 2)],
    ['a byte too many', (bytes: Uint8Array) => Uint8Array.of(...bytes, 0)],
    ['a byte too few', (bytes: Uint8Array) => bytes.slice(0, -1)],
    ['a longer kind', (bytes: Uint8Array) => bytes.with(1, 15)],
    ['a capital in the kind', (bytes: Uint8Array) => bytes.with(2, 0x53)],
    ['a time beyond 2⁵³', (bytes: Uint8Array) => bytes.with(bytes.length - 8, 1)],
  ])('is not read from %s', (_, change) => {
    expect(decodeEntry(change(encodeEntry(some)))).toBeUndefined()
  })

  it('is not made of what could not be read back', () => {
    expect(() => encodeEntry({ ...some, kind: '' })).toThrow(RangeError)
    expect(() => encodeEntry({ ...some, kind: 'Ä' })).toThrow(RangeError)
    expect(() => encodeEntry({ ...some, time: -1 })).toThrow(RangeError)
    expect(() => encodeEntry({ ...some, time: 1.5 })).toThrow(RangeError)
    expect(() => encodeEntry({ ...some, digest: some.digest.slice(1) })).toThrow(RangeError)
  })

  it('has a kind that can be written', () => {
    for (const kind of kinds) expect(decodeEntry(encodeEntry({ ...some, kind }))?.kind).toBe(kind)
  })
})

describe('the subject', () => {
  const salt = new Uint8Array(32).fill(5)
  it('is this hash', () => {
    const str = (text: string) => Buffer.concat([Buffer.from([text.length]), Buffer.from(text)])
    expect(subjectHash('k', salt, 'ed25519:00')).toEqual(
      h(str('vertex/v1/log-subject'), str('k'), salt, str('ed25519:00')),
    )
  })

  it('is another one for every salt, kind and text', () => {
    const all = [
      subjectHash('k', salt, 'a'),
      subjectHash('k', salt.with(0, 6), 'a'),
      subjectHash('l', salt, 'a'),
      subjectHash('k', salt, 'b'),
      subjectHash('k', salt, ''),
    ]
    expect(new Set(all.map((one) => Buffer.from(one).toString('hex'))).size).toBe(all.length)
    expect(() => subjectHash('k', salt.slice(1), 'a')).toThrow(RangeError)
    expect(() => subjectHash('k', salt, 'x'.repeat(256))).toThrow(RangeError)
  })

  it('travels as salt and time', () => {
    expect(decodeExtra(encodeExtra(salt, 12))).toEqual({ salt, time: 12 })
    expect(decodeExtra(encodeExtra(salt, 12).slice(1))).toBeUndefined()
    expect(decodeExtra(new Uint8Array(40).fill(255))).toBeUndefined()
  })
})
