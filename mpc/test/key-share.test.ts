import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import {
  decodeKeyShare,
  encodeKeyShare,
  InvalidKeyShare,
  keyFingerprint,
  Secret,
  type KeyShare,
} from '@vertex/mpc'
import { encodeScalar } from '../src/math/scalar.js'
import { flip, offCurve, orderBytes, put } from './support/change.js'
import { native, newKey, noble } from './support/parties.js'

const shares = newKey(2, 3)
const share = shares[1]!
const bytes = encodeKeyShare(share)

/** Where the fields begin. docs/spec/keygen.md, section 5 */
const at = {
  format: 0,
  curve: 1,
  threshold: 2,
  parties: 3,
  index: 4,
  epoch: 5,
  secret: 9,
  publicKey: 41,
  chainCode: 74,
  identitySecret: 106,
  keygenIds: 138,
  publicShares: 138 + 3 * 33,
}

describe('an encoded key share', () => {
  it('reads back as what it was, on either backend', () => {
    for (const suite of [noble, native])
      for (const one of shares) {
        const back = decodeKeyShare(suite, encodeKeyShare(one))
        expect(back.secret.reveal()).toBe(one.secret.reveal())
        expect(back.identitySecret.reveal()).toEqual(one.identitySecret.reveal())
        const plain = (s: KeyShare) => ({ ...s, secret: 0, identitySecret: 0 })
        expect(plain(back)).toEqual(plain(one))
      }
  })

  it('has the documented length and order of fields', () => {
    expect(bytes.length).toBe(138 + 66 * 3)
    expect([...bytes.slice(0, 9)]).toEqual([1, 1, 2, 3, 2, 0, 0, 0, 0])
    expect(bytes.slice(at.secret, at.publicKey)).toEqual(encodeScalar(share.secret.reveal()))
    expect(bytes.slice(at.publicKey, at.chainCode)).toEqual(share.publicKey)
    expect(bytes.slice(at.chainCode, at.identitySecret)).toEqual(share.chainCode)
    expect(bytes.slice(at.keygenIds, at.keygenIds + 33)).toEqual(share.keygenIds[0])
    expect(bytes.slice(at.publicShares, at.publicShares + 33)).toEqual(share.publicShares[0])
  })

  it('carries its epoch', () => {
    const later = { ...share, epoch: 0xfedcba98 }
    expect(decodeKeyShare(native, encodeKeyShare(later)).epoch).toBe(0xfedcba98)
  })

  it('is not a view of the bytes it was read from', () => {
    const buffer = bytes.slice()
    const back = decodeKeyShare(native, buffer)
    buffer.fill(0)
    expect(encodeKeyShare(back)).toEqual(bytes)
  })

  const wrong: [string, (b: Uint8Array) => Uint8Array, RegExp][] = [
    ['no bytes', () => new Uint8Array(), /too short/],
    ['a missing byte', (b) => b.slice(0, -1), /length/],
    ['one byte more', (b) => Uint8Array.from([...b, 0]), /length/],
    ['an unknown format', put(at.format, Uint8Array.of(2)), /format/],
    ['an unknown curve', put(at.curve, Uint8Array.of(2)), /curve/],
    ['a threshold of one', put(at.threshold, Uint8Array.of(1)), /quorum/],
    ['a threshold above the parties', put(at.threshold, Uint8Array.of(4)), /quorum/],
    ['another number of parties', put(at.parties, Uint8Array.of(4)), /length/],
    ['an index of zero', put(at.index, Uint8Array.of(0)), /index/],
    ['an index beyond the parties', put(at.index, Uint8Array.of(4)), /index/],
    ['another party’s index', put(at.index, Uint8Array.of(1)), /keygen_id is not/],
    ['a share of zero', put(at.secret, new Uint8Array(32)), /range/],
    ['a share that is the order', put(at.secret, orderBytes), /range/],
    ['another share', flip(at.secret + 31), /public share/],
    ['a public key off the curve', put(at.publicKey, offCurve), /no point/],
    ['another public key', flip(at.publicKey), /public key/],
    ['another identity', flip(at.identitySecret + 8), /keygen_id is not/],
    ['a keygen_id of another version', flip(at.keygenIds), /33 bytes, the first/],
    [
      'a keygen_id of small order',
      put(
        at.keygenIds,
        Uint8Array.from({ length: 33 }, (_, i) => (i < 2 ? 1 : 0)),
      ),
      /small order/,
    ],
    [
      'a keygen_id twice',
      (b) => b.copyWithin(at.keygenIds, at.keygenIds + 33, at.keygenIds + 66),
      /ascending/,
    ],
    ['another’s public share off the curve', put(at.publicShares, offCurve), /no point/],
    ['another’s public share changed', flip(at.publicShares), /public key/],
    ['a public share beyond the threshold changed', flip(at.publicShares + 66), /one polynomial/],
    ['the own public share changed', flip(at.publicShares + 33), /does not give/],
  ]
  for (const [what, change, message] of wrong)
    it(`is refused with ${what}`, () => {
      const spoilt = change(bytes.slice())
      expect(() => decodeKeyShare(native, spoilt)).toThrow(InvalidKeyShare)
      expect(() => decodeKeyShare(native, spoilt)).toThrow(message)
    })

  it('names another key when its chain code is changed', () => {
    const other = decodeKeyShare(native, flip(at.chainCode)(bytes.slice()))
    expect(other.fingerprint).not.toEqual(share.fingerprint)
  })
})

describe('a key fingerprint', () => {
  it('changes with everything that names the key', () => {
    const { publicKey, chainCode, quorum, keygenIds } = share
    const all = [
      keyFingerprint(publicKey, chainCode, quorum, keygenIds),
      keyFingerprint(flip(0)(publicKey.slice()), chainCode, quorum, keygenIds),
      keyFingerprint(publicKey, flip(0)(chainCode.slice()), quorum, keygenIds),
      keyFingerprint(publicKey, chainCode, { threshold: 3, parties: 3 }, keygenIds),
      keyFingerprint(publicKey, chainCode, { threshold: 2, parties: 2 }, keygenIds),
      keyFingerprint(publicKey, chainCode, quorum, keygenIds.toReversed()),
      keyFingerprint(publicKey, chainCode, quorum, keygenIds.slice(1)),
    ]
    expect(new Set(all.map((f) => Buffer.from(f).toString('hex'))).size).toBe(all.length)
    expect(share.fingerprint).toEqual(all[0])
  })
})

describe('a secret', () => {
  const number = share.secret.reveal().toString()
  const hex = Buffer.from(share.identitySecret.reveal()).toString('hex')

  it('prints as [secret] however a share is printed', () => {
    const printed = [
      inspect(share, { depth: 9, showHidden: true }),
      JSON.stringify(share, (_key, value: unknown) => (value instanceof Uint8Array ? 0 : value)),
      String(share.secret),
      share.identitySecret.toString(),
      inspect(new Map([['share', { deep: [share.secret] }]])),
    ]
    for (const text of printed) {
      expect(text).toContain('[secret]')
      expect(text).not.toContain(number)
      expect(text).not.toContain(hex)
      expect(text).not.toContain(share.identitySecret.reveal().join(','))
    }
  })

  it('does not take part in copies and comparisons of plain data', () => {
    expect(Object.keys(new Secret(7n))).toEqual([])
    expect(structuredClone(new Secret(7n))).toEqual({})
  })
})
