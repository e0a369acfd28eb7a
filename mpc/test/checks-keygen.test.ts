import { describe, expect, it } from 'vitest'
import { partyIndex, type KeygenInput, type Scalar } from '@vertex/mpc'
import { startKeygenWith } from '@vertex/mpc/testing'
import { mod } from '../src/math/scalar.js'
import {
  addOne,
  flip,
  lengthen,
  negatePoint,
  offCurve,
  orderBytes,
  put,
  shorten,
} from './support/change.js'
import { expectAbort, type Expected } from './support/expect.js'
import { coefficientsOf, forgedKeygen, type Forgery } from './support/forge.js'
import { opening, proof } from './support/layout.js'
import { keygen, keygenInputs, native } from './support/parties.js'
import { seeded } from './support/seeded.js'
import { simulate, type Tamper } from './support/simulate.js'

const two = keygenInputs(2, 2, [native])
const three = keygenInputs(2, 3, [native])
const stop = (code: Expected['code'], round: number, culprits: readonly number[]): Expected => ({
  code,
  round,
  culprits,
  reaction: 'stop',
})

/** Party 3 of three cheats; parties 1 and 2 must both say so. */
function cheats(tamper: Omit<Tamper, 'from'>, expected: Expected): void {
  const outcome = keygen(three, [{ from: 3, ...tamper }])
  for (const honest of [1, 2]) expectAbort(outcome, honest, expected)
}

/** Party 3 plays a forged polynomial through to the end of round 3. */
function forges(forgery: Forgery, expected: Expected): void {
  const outcome = keygen(three, forgedKeygen(three[2]!, forgery))
  for (const honest of [1, 2]) expectAbort(outcome, honest, expected)
}

/** All parties' random sources are known to the cheater, who can then reach what committing forbids. */
function seededKeygen(inputs: readonly KeygenInput[], tampers: readonly Tamper[]) {
  return simulate(
    new Map(inputs.map((input) => [input.me, startKeygenWith(input, seeded(`party ${input.me}`))])),
    tampers,
  )
}
const known = (i: number): Scalar[] => coefficientsOf(three[i - 1]!, `party ${i}`)

describe('a keygen in which one party cheats', () => {
  for (let round = 1; round <= 6; round++)
    for (const [what, change] of [
      ['short', shorten],
      ['long', lengthen],
      ['empty', () => new Uint8Array()],
    ] as const)
      it(`ends when the message of round ${round} is too ${what}`, () => {
        cheats({ round, change }, stop('message_invalid', round + 1, [3]))
      })

  it('ends without blame when the session ids differ', () => {
    const other = three.map((input) =>
      input.me === 3 ? { ...input, sid: new Uint8Array(32).fill(9) } : input,
    )
    const outcome = keygen(other)
    for (const party of [1, 2, 3])
      expectAbort(outcome, party, {
        code: 'session_mismatch',
        round: 2,
        culprits: [],
        reaction: 'restart',
      })
  })

  it('ends when an opening holds more coefficients than the threshold', () => {
    const a = [1n, 2n, 3n]
    forges({ a }, stop('message_invalid', 3, [3]))
  })
  it('ends when an opening holds fewer coefficients than the threshold', () => {
    forges({ a: [1n] }, stop('message_invalid', 3, [3]))
  })
  for (const k of [0, 1]) {
    it(`ends when coefficient ${k} is no point`, () => {
      const change = put(opening(2).F(k), offCurve)
      cheats({ round: 2, change }, stop('message_invalid', 3, [3]))
    })
    it(`ends when coefficient ${k} is the identity`, () => {
      const change = put(opening(2).F(k), new Uint8Array(33))
      cheats({ round: 2, change }, stop('message_invalid', 3, [3]))
    })
    it(`ends when the proof of coefficient ${k} is out of range`, () => {
      const change = put(opening(2).proof(k) + 33, orderBytes)
      cheats({ round: 2, change }, stop('message_invalid', 3, [3]))
    })
    it(`ends when the opened coefficient ${k} is not the one committed to`, () => {
      const change = negatePoint(opening(2).F(k))
      cheats({ round: 2, change }, stop('commitment_invalid', 3, [3]))
    })
    it(`ends when the proof of coefficient ${k} is wrong`, () => {
      const spoil = addOne(opening(2).proof(k) + 33)
      forges({ a: [5n, 6n], spoil }, stop('proof_invalid', 3, [3]))
    })
  }
  it('ends when the opened chain-code share or salt is not the one committed to', () => {
    for (const at of [opening(2).chainCodeShare, opening(2).salt, opening(2).end - 1])
      cheats({ round: 2, change: flip(at) }, stop('commitment_invalid', 3, [3]))
    // Commitment and opening of another party.
    const copied = keygen(
      three,
      [1, 2].map((round) => ({
        from: 3,
        round,
        change: (_, sent) => sent.find((m) => m.from === 1 && m.round === round)!.bytes.slice(),
      })),
    )
    for (const honest of [1, 2]) expectAbort(copied, honest, stop('commitment_invalid', 3, [3]))
  })
  it('ends when the proofs of two coefficients are swapped', () => {
    const { proof } = opening(2)
    const spoil = (bytes: Uint8Array) => {
      const first = bytes.slice(proof(0), proof(1))
      bytes.copyWithin(proof(0), proof(1), proof(1) + 65)
      bytes.set(first, proof(1))
      return bytes
    }
    // The same coefficient twice: only the index in the proof tells the two apart.
    forges({ a: [5n, 5n], spoil }, stop('proof_invalid', 3, [3]))
  })
  it('ends when a party copies coefficients and proofs of another', () => {
    const [first] = forgedKeygen(three[0]!, { a: [5n, 6n] }).filter(({ round }) => round === 2)
    const copied = first!.change(new Uint8Array(), [], partyIndex(2))!
    forges({ a: [5n, 6n], spoil: () => copied }, stop('proof_invalid', 3, [3]))
  })
  it('ends when the proofs are of another session', () => {
    const elsewhere = { ...three[2]!, sid: new Uint8Array(32).fill(4) }
    const [other] = forgedKeygen(elsewhere, { a: [5n, 6n] }).filter(({ round }) => round === 2)
    const replayed = other!.change(new Uint8Array(), [], partyIndex(2))!
    forges({ a: [5n, 6n], spoil: () => replayed }, stop('proof_invalid', 3, [3]))
  })

  it('ends when a private share is off the polynomial', () => {
    cheats({ round: 3, change: addOne(0) }, stop('share_invalid', 4, [3]))
  })
  it('ends when a private share is zero or not below the order', () => {
    for (const value of [new Uint8Array(32), orderBytes, new Uint8Array(32).fill(0xff)])
      cheats({ round: 3, change: put(0, value) }, stop('message_invalid', 4, [3]))
  })
  it('ends only for the party whose share is wrong, and nobody finishes', () => {
    const outcome = keygen(three, [{ from: 3, to: 1, round: 3, change: addOne(0) }])
    expectAbort(outcome, 1, stop('share_invalid', 4, [3]))
    expect(outcome.results.size).toBe(0)
    expect(outcome.kept.size).toBe(0)
  })
  for (const k of [0, 1])
    it(`ends when the aggregate’s coefficient ${k} is the identity`, () => {
      const a = [11n, 12n]
      a[k] = mod(-(known(1)[k]! + known(2)[k]!))
      const outcome = seededKeygen(three, forgedKeygen(three[2]!, { a }))
      for (const honest of [1, 2]) expectAbort(outcome, honest, stop('share_invalid', 4, []))
    })
  it('ends when a party’s share is zero', () => {
    // f_3 with f_3(1) = -(f_1(1) + f_2(1)): party 1's sum is 0.
    const at1 = mod(-[...known(1), ...known(2)].reduce((sum, a_k) => sum + a_k, 0n))
    const outcome = seededKeygen(three, forgedKeygen(three[2]!, { a: [mod(at1 - 12n), 12n] }))
    for (const honest of [1, 2]) expectAbort(outcome, honest, stop('share_invalid', 4, []))
  })

  it('ends without blame when one party opens another polynomial to each of two others', () => {
    const outcome = keygen(three, forgedKeygen(three[2]!, { a: [5n, 6n], to: 2 }))
    for (const honest of [1, 2]) expectAbort(outcome, honest, stop('confirmation_invalid', 5, []))
    expect(outcome.kept.size).toBe(0)
  })
  it('ends without blame when one party opens another chain-code share to each of two others', () => {
    const a = [5n, 6n]
    const outcome = keygen(three, [
      ...forgedKeygen(three[2]!, { a, to: 1 }),
      ...forgedKeygen(three[2]!, { a, to: 2, chainCodeShare: new Uint8Array(32).fill(8) }),
    ])
    for (const honest of [1, 2]) expectAbort(outcome, honest, stop('confirmation_invalid', 5, []))
  })
  it('ends when a party claims another view of rounds 1 and 2, named where there are two', () => {
    const tamper = { round: 4, change: flip(proof.view) }
    cheats(tamper, stop('confirmation_invalid', 5, []))
    const outcome = keygen(two, [{ from: 2, ...tamper }])
    expectAbort(outcome, 1, stop('confirmation_invalid', 5, [2]))
  })
  it('ends when a public share is off the agreed polynomial', () => {
    cheats({ round: 4, change: negatePoint(proof.S) }, stop('share_invalid', 5, [3]))
  })
  it('ends when a public share is no point', () => {
    cheats({ round: 4, change: put(proof.S, offCurve) }, stop('message_invalid', 5, [3]))
  })
  it('ends when the proof of a share is wrong', () => {
    cheats({ round: 4, change: addOne(proof.z) }, stop('proof_invalid', 5, [3]))
    cheats({ round: 4, change: negatePoint(proof.K) }, stop('proof_invalid', 5, [3]))
  })
  it('ends when a party hands in another’s proof of its share', () => {
    const change = (_bytes: Uint8Array, sent: Parameters<Tamper['change']>[1]) =>
      sent.find(({ from, round }) => from === 1 && round === 4)!.bytes.slice()
    // Its public share is party 1's, which is off party 3's place.
    const outcome = keygen(three, [{ from: 3, to: 2, round: 4, change }])
    expectAbort(outcome, 2, stop('share_invalid', 5, [3]))
  })

  it('ends when a confirmation is wrong, named where there are two', () => {
    const tamper = { round: 5, change: flip(31) }
    cheats(tamper, stop('confirmation_invalid', 6, []))
    const outcome = keygen(two, [{ from: 2, ...tamper }])
    expectAbort(outcome, 1, stop('confirmation_invalid', 6, [2]))
  })
  it('ends when a party reflects another’s confirmation', () => {
    const change = (_bytes: Uint8Array, sent: Parameters<Tamper['change']>[1]) =>
      sent.find(({ from, round }) => from === 1 && round === 5)!.bytes.slice()
    cheats({ round: 5, change }, stop('confirmation_invalid', 6, []))
  })
  it('ends for everyone when a confirmation is wrong towards only one party', () => {
    const outcome = keygen(three, [{ from: 3, to: 1, round: 5, change: flip(0) }])
    expectAbort(outcome, 1, stop('confirmation_invalid', 6, []))
    // Party 2 saw nothing wrong, but it waits for party 1's echo, which never comes.
    expect(outcome.results.size).toBe(0)
  })
  it('ends when an echo is wrong, named where there are two', () => {
    const tamper = { round: 6, change: flip(0) }
    cheats(tamper, stop('confirmation_invalid', 7, []))
    const outcome = keygen(two, [{ from: 2, ...tamper }])
    expectAbort(outcome, 1, stop('confirmation_invalid', 7, [2]))
  })
})

describe('the cheating tools', () => {
  it('get a consistent polynomial as far as the comparison of views', () => {
    const a = [5n, 6n]
    const forged = forgedKeygen(three[2]!, { a })
    // The forger's own later rounds still speak for its honest polynomial, so the end is the view's difference.
    const outcome = keygen(three, forged)
    for (const honest of [1, 2]) expectAbort(outcome, honest, stop('confirmation_invalid', 5, []))
  })
})
