import fc from 'fast-check'
import { beforeAll, describe, expect, it } from 'vitest'
import {
  decodeKeyShare,
  derivePublicKey,
  encodeKeyShare,
  sessionId,
  type KeyShare,
  partyIndex,
  type PartyIndex,
  type SessionParts,
} from '@vertex/mpc'
import { lagrange } from '../src/dkls23/shamir.js'
import { mod } from '../src/math/scalar.js'
import {
  keygen,
  keygenInputs,
  native,
  newKey,
  readyKey,
  sign,
  type Key,
} from './support/parties.js'
import { finish } from './support/simulate.js'
import { recovered, verifiesDigest } from './support/verify.js'

const quorums = fc
  .integer({ min: 2, max: 5 })
  .chain((parties) => fc.tuple(fc.integer({ min: 2, max: parties }), fc.constant(parties)))
const digests = fc.uint8Array({ minLength: 32, maxLength: 32 })
const paths = fc.array(fc.nat(2 ** 31 - 1), { maxLength: 4 })

/** Keys with all their setups, made once for each quorum that comes up. */
const keys = new Map<string, Key>()
function keyOf(threshold: number, parties: number): Key {
  const name = `${threshold}/${parties}`
  if (!keys.has(name)) keys.set(name, readyKey(threshold, parties))
  return keys.get(name)!
}

describe('for any quorum of up to five parties', () => {
  it('any signers sign any digest with any derived key', () => {
    const cases = fc
      .oneof(
        ...[
          [2, 2],
          [2, 3],
          [3, 3],
          [2, 4],
          [3, 5],
        ].map(([t, n]) => fc.constant([t!, n!])),
      )
      .chain(([t, n]) =>
        fc.record({
          quorum: fc.constant([t, n] as const),
          signers: fc
            .subarray(
              Array.from({ length: n }, (_, i) => i + 1),
              { minLength: t, maxLength: Math.min(t + 1, n) },
            )
            .map((signers) => signers.sort((a, b) => a - b)),
          digest: digests,
          path: paths,
        }),
      )
    fc.assert(
      fc.property(cases, ({ quorum: [t, n], signers, digest, path }) => {
        const key = keyOf(t, n)
        const { publicKey, chainCode } = key.shares[0]!
        const derived = derivePublicKey(native.curve, publicKey, chainCode, path).publicKey
        const done = finish(sign(key, { signers, digest, path }), signers.length)
        for (const signature of done.values()) {
          expect(verifiesDigest(signature, digest, derived)).toBe(true)
          expect(recovered(signature, digest)).toEqual(derived)
        }
      }),
      { numRuns: 12 },
    )
  })

  it('any t shares interpolate to the key, and encode and decode to themselves', () => {
    fc.assert(
      fc.property(quorums, fc.infiniteStream(fc.nat()), ([t, n], order) => {
        const shares = newKey(t, n)
        const chosen = shares
          .map((share) => [order.next().value as number, share] as const)
          .sort(([a], [b]) => a - b)
          .slice(0, t)
          .map(([, share]) => share)
        const parties = chosen.map(({ index }) => index)
        const secret = chosen.reduce(
          (sum, { index, secret }) => mod(sum + lagrange(parties, index, 0) * secret.reveal()),
          0n,
        )
        expect(native.curve.encode(native.curve.mulBase(secret))).toEqual(shares[0]!.publicKey)
        for (const share of shares) {
          const bytes = encodeKeyShare(share)
          expect(encodeKeyShare(decodeKeyShare(native, bytes))).toEqual(bytes)
        }
      }),
      { numRuns: 15 },
    )
  })
})

describe('one changed bit anywhere on the way', () => {
  let two: Key
  let three: Key
  beforeAll(() => {
    two = keyOf(2, 2)
    three = keyOf(2, 3)
  })
  /** A place in a message, early and late ones as likely as the long middle. */
  const places = fc.oneof(
    fc.nat(400),
    fc.nat(400).map((n) => -1 - n),
    fc.integer(),
  )
  const flipBit = (place: number, bit: number) => (bytes: Uint8Array) => {
    const at = ((place % bytes.length) + bytes.length) % bytes.length
    bytes[at]! ^= 1 << bit
    return bytes
  }

  it('never makes a signature that is not the key’s: it ends the run', () => {
    const cases = fc.record({
      many: fc.boolean(),
      round: fc.integer({ min: 1, max: 4 }),
      place: places,
      bit: fc.nat(7),
      digest: digests,
    })
    fc.assert(
      fc.property(cases, ({ many, round, place, bit, digest }) => {
        const [key, signers] = many ? [three, [1, 2, 3]] : [two, [1, 2]]
        const at = many ? Math.min(round, 3) : round
        const from = many ? 2 : at % 2 === 1 ? 1 : 2
        const to = many ? 1 : 3 - from
        const outcome = sign(key, { signers, digest }, [
          { from, to, round: at, change: flipBit(place, bit) },
        ])
        // A wrong psi in flight 2 shows only in the signature, which the second mover sees first.
        expect(outcome.aborts.size).toBeGreaterThan(0)
        expect(outcome.results.has(to as PartyIndex)).toBe(false)
        for (const signature of outcome.results.values())
          expect(verifiesDigest(signature, digest, key.shares[0]!.publicKey)).toBe(true)
      }),
      { numRuns: 40 },
    )
  })

  it('never makes a key that two parties see differently: it ends the keygen', () => {
    const inputs = keygenInputs(2, 3, [native])
    const cases = fc.record({
      round: fc.integer({ min: 1, max: 6 }),
      place: places,
      bit: fc.nat(7),
    })
    fc.assert(
      fc.property(cases, ({ round, place, bit }) => {
        const outcome = keygen(inputs, [{ from: 3, to: 1, round, change: flipBit(place, bit) }])
        expect(outcome.aborts.has(1 as PartyIndex)).toBe(true)
        expect(outcome.results.has(1 as PartyIndex)).toBe(false)
        const all = [...outcome.results.values(), ...outcome.kept.values()]
        const view = (share: KeyShare) =>
          [share.publicKey, share.chainCode, ...share.publicShares].join()
        expect(new Set(all.map(view)).size).toBeLessThanOrEqual(1)
      }),
      { numRuns: 80 },
    )
  })
})

describe('a session id', () => {
  const bytes = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
  const parts: fc.Arbitrary<SessionParts> = fc.record({
    operation: fc.constantFrom('sign' as const),
    room: bytes(16),
    quorum: fc.constant({ threshold: 2, parties: 3 }),
    keygenIds: fc.array(bytes(33), { minLength: 3, maxLength: 3 }),
    present: fc.constantFrom([1, 2], [1, 3], [2, 3]).map((pair) => pair.map(partyIndex)),
    contributions: fc.array(bytes(32), { minLength: 2, maxLength: 2 }),
    handshakes: fc.array(bytes(32), { maxLength: 1 }),
    fingerprint: bytes(32),
    epoch: fc.nat(),
    setupIds: fc.array(bytes(32), { maxLength: 3 }),
    path: paths,
    digest: bytes(32),
  })
  const hex = (p: SessionParts) => Buffer.from(sessionId(p)).toString('hex')

  it('is the same for the same run, and another as soon as one part is another', () => {
    fc.assert(
      fc.property(parts, parts, (a, b) => {
        expect(hex(a)).toBe(hex({ ...a }))
        for (const part of Object.keys(a) as (keyof SessionParts)[]) {
          const changed = { ...a, [part]: b[part] }
          expect(hex(changed) === hex(a)).toBe(JSON.stringify(changed) === JSON.stringify(a))
        }
      }),
      { numRuns: 50 },
    )
  })

  it('tells the operations apart', () => {
    fc.assert(
      fc.property(parts, (sign) => {
        const others = (['keygen', 'setup'] as const).map(
          (operation) => ({ ...sign, operation }) as SessionParts,
        )
        expect(new Set([sign, ...others].map(hex)).size).toBe(3)
      }),
      { numRuns: 10 },
    )
  })

  it('refuses parts of a wrong length or count', () => {
    const [good] = fc.sample(parts, { numRuns: 1, seed: 1 })
    const short = new Uint8Array(15)
    for (const change of [
      { room: short },
      { fingerprint: short },
      { digest: short },
      { contributions: [new Uint8Array(32)] },
      { contributions: [short, short] },
      { keygenIds: [new Uint8Array(33)] },
      { handshakes: [short] },
      { setupIds: [short] },
      { path: [-1] },
      { epoch: -1 },
    ])
      expect(() => sessionId({ ...good!, ...change })).toThrow(RangeError)
  })
})
