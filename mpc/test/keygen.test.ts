import { describe, expect, it } from 'vitest'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import {
  checkKeyShare,
  partyIndex,
  startKeygen,
  type KeygenInput,
  type KeyShare,
} from '@vertex/mpc'
import { startKeygenWith } from '@vertex/mpc/testing'
import { lagrange } from '../src/dkls23/shamir.js'
import { mod } from '../src/math/scalar.js'
import { keygen, keygenInputs, native, newKey, noble } from './support/parties.js'
import { seeded } from './support/seeded.js'
import { finish, simulate } from './support/simulate.js'

/** The secret key, put together from these shares. Only a test may do this. */
function secretKey(shares: readonly KeyShare[]): bigint {
  const parties = shares.map(({ index }) => index)
  return shares.reduce(
    (sum, share) => mod(sum + lagrange(parties, share.index, 0) * share.secret.reveal()),
    0n,
  )
}

const publicKeyOf = (secret: bigint) => secp256k1.Point.BASE.multiply(secret).toBytes(true)

describe('keygen', () => {
  for (const [name, suites] of [
    ['noble', [noble]],
    ['the native suite', [native]],
    ['a mix of both', [noble, native]],
  ] as const)
    for (const [threshold, parties] of [
      [2, 2],
      [2, 3],
      [3, 5],
    ] as const)
      it(`makes a ${threshold}-of-${parties} key on ${name} that every party sees alike`, () => {
        const shares = newKey(threshold, parties, ...suites)
        const [first] = shares
        for (const share of shares) {
          checkKeyShare(noble, share)
          expect(share.epoch).toBe(0)
          expect(share.publicKey).toEqual(first!.publicKey)
          expect(share.chainCode).toEqual(first!.chainCode)
          expect(share.publicShares).toEqual(first!.publicShares)
          expect(share.keygenIds).toEqual(first!.keygenIds)
          expect(share.fingerprint).toEqual(first!.fingerprint)
        }
        expect(publicKeyOf(secretKey(shares.slice(0, threshold)))).toEqual(first!.publicKey)
        expect(publicKeyOf(secretKey(shares.slice(-threshold)))).toEqual(first!.publicKey)
      })

  it('hands out nothing from which fewer than the threshold get the key', () => {
    const shares = newKey(3, 5)
    expect(publicKeyOf(secretKey(shares.slice(0, 2)))).not.toEqual(shares[0]!.publicKey)
  })

  it('hands the share over to be kept with the confirmation, one round before anyone finishes', () => {
    const outcome = keygen(keygenInputs(2, 2, [native]), [
      { from: 2, round: 6, change: (bytes) => bytes.fill(0) },
    ])
    expect(outcome.kept.size).toBe(2)
    expect([...outcome.results.keys()]).toEqual([2])
    expect(outcome.kept.get(outcome.results.get(2 as never)!.index)).toBe(
      outcome.results.get(2 as never),
    )
  })

  it('gives another key for another session id, even with the same random source', () => {
    const inputs = keygenInputs(2, 2, [native])
    const run = (sid: Uint8Array) =>
      finish(
        simulate(
          new Map(
            inputs.map((input) => [input.me, startKeygenWith({ ...input, sid }, seeded('clone'))]),
          ),
        ),
        2,
      )
    const key = run(new Uint8Array(32).fill(1)).get(inputs[0]!.me)!
    const same = run(new Uint8Array(32).fill(1)).get(inputs[0]!.me)!
    const other = run(new Uint8Array(32).fill(2)).get(inputs[0]!.me)!
    expect(same.publicKey).toEqual(key.publicKey)
    expect(other.publicKey).not.toEqual(key.publicKey)
  })

  it('refuses to use a round twice', () => {
    const [a, b] = keygenInputs(2, 2, [native])
    const step = startKeygen(a!)
    const inbox = new Map([[b!.me, startKeygen(b!).outbox.get(a!.me)!]])
    if (!('next' in step)) throw new Error('a keygen does not end at once')
    step.next.advance(inbox)
    expect(() => step.next.advance(inbox)).toThrow(/used already/)
  })

  it('refuses a round that lacks a message, and can not be tried again', () => {
    const [a] = keygenInputs(2, 3, [native])
    const step = startKeygen(a!)
    if (!('next' in step)) throw new Error('a keygen does not end at once')
    expect(() => step.next.advance(new Map())).toThrow(/one message of each party/)
    const again = startKeygen(a!)
    if (!('next' in again)) throw new Error('a keygen does not end at once')
    const strangers = new Map([1, 9].map((i) => [partyIndex(i), new Uint8Array(64)]))
    expect(() => again.next.advance(strangers)).toThrow(/lacks the message of party 2/)
    expect(() => step.next.advance(new Map())).toThrow(/used already/)
  })

  const [good] = keygenInputs(2, 3, [native])
  const wrong: [string, Partial<Record<keyof KeygenInput, unknown>>, RegExp][] = [
    ['a threshold of one', { quorum: { threshold: 1, parties: 3 } }, /quorum needs/],
    ['more to sign than there are', { quorum: { threshold: 4, parties: 3 } }, /quorum needs/],
    ['an index beyond the parties', { me: 4 }, /beyond the number/],
    ['an index of zero', { me: 0 }, /a party index is/],
    ['another party as itself', { me: 2 }, /not of the identity secret/],
    ['a short session id', { sid: new Uint8Array(31) }, /32 bytes/],
    ['a missing keygen_id', { keygenIds: good!.keygenIds.slice(1) }, /one keygen_id for each/],
    [
      'a repeated keygen_id',
      { keygenIds: [0, 0, 2].map((at) => good!.keygenIds[at]) },
      /distinct and ascending/,
    ],
    [
      'keygen_ids out of order',
      { keygenIds: good!.keygenIds.toReversed() },
      /distinct and ascending/,
    ],
    [
      'a keygen_id of an unknown version',
      { keygenIds: [...good!.keygenIds.slice(0, 2), new Uint8Array(33).fill(0xff)] },
      /33 bytes, the first/,
    ],
  ]
  for (const [what, change, message] of wrong)
    it(`does not start with ${what}`, () => {
      expect(() => startKeygen({ ...good!, ...change } as KeygenInput)).toThrow(message)
    })
})
