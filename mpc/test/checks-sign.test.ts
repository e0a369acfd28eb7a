import { beforeAll, describe, expect, it } from 'vitest'
import {
  partyIndex,
  Secret,
  type PartyIndex,
  type Signature,
  type SignInput,
  type Step,
} from '@vertex/mpc'
import { startSignFirstWith, startSignManyWith } from '@vertex/mpc/testing'
import { concatBytes } from '../src/bytes.js'
import { drawNonce, nonceCommitment } from '../src/dkls23/sign/nonce.js'
import { signRun } from '../src/dkls23/sign/run.js'
import { encodeScalar, mod, readUint } from '../src/math/scalar.js'
import { VOLE_ANSWER_BYTES, VOLE_MESSAGE_BYTES } from '../src/vole/index.js'
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
import { flight2, flight3, round1, round2, round3 } from './support/layout.js'
import { native, readyKey, sign, signInputs, type Key } from './support/parties.js'
import { seeded } from './support/seeded.js'
import { simulate, type Sent, type Tamper } from './support/simulate.js'

const { curve } = native

let two: Key
let three: Key
beforeAll(() => {
  two = readyKey(2, 2)
  three = readyKey(2, 3)
})

const expected = (
  code: Expected['code'],
  round: number,
  culprits: readonly number[],
  reaction: Expected['reaction'],
): Expected => ({ code, round, culprits, reaction })
const stop = (code: Expected['code'], round: number, culprits: readonly number[]) =>
  expected(code, round, culprits, 'stop')
const retire = (code: Expected['code'], round: number, culprits: readonly number[]) =>
  expected(code, round, culprits, 'retire_setup')

type Change = Tamper['change']

/** Party 3 of three signers cheats in a round; parties 1 and 2 must both say so. */
function inRounds(round: number, change: Change, outcome: Expected): void {
  const run = sign(three, { signers: [1, 2, 3] }, [{ from: 3, round, change }])
  for (const honest of [1, 2]) expectAbort(run, honest, outcome)
}

/** The first mover (party 1) cheats in a flight; the second (party 2) must say so. Or the other way round. */
function inFlights(flight: number, change: Change, outcome: Expected): void {
  const from = flight % 2 === 1 ? 1 : 2
  const run = sign(two, { signers: [1, 2] }, [{ from, round: flight, change }])
  expectAbort(run, 3 - from, outcome)
}

/** What these parties sent in one round at one place, added up as numbers of 32 bytes. */
function sumOf(sent: readonly Sent[], round: number, at: number, parties: readonly number[]) {
  return parties.reduce((sum, from) => {
    const { bytes } = sent.find((message) => message.round === round && message.from === from)!
    return mod(sum + readUint(bytes, at, 32))
  }, 0n)
}

describe('a signature in rounds in which one signer cheats', () => {
  for (let round = 1; round <= 3; round++)
    for (const [what, change] of [
      ['short', shorten],
      ['long', lengthen],
      ['empty', () => new Uint8Array()],
    ] as const)
      it(`ends when the message of round ${round} is too ${what}`, () => {
        inRounds(round, change, stop('message_invalid', round + 1, [3]))
      })

  it('ends without blame when the session ids differ', () => {
    const run = sign(three, {
      signers: [1, 2, 3],
      inputOf: (input) => (input.share.index === 3 ? { ...input, sid: new Uint8Array(32) } : input),
    })
    for (const party of [1, 2, 3])
      expectAbort(run, party, expected('session_mismatch', 2, [], 'restart'))
  })
  for (const [what, change] of [
    ['digests', { digest: new Uint8Array(32) }],
    ['paths', { path: [7] }],
  ] as const)
    it(`ends without blame when the ${what} differ under one session id`, () => {
      const run = sign(three, {
        signers: [1, 2, 3],
        inputOf: (input) => (input.share.index === 3 ? { ...input, ...change } : input),
      })
      for (const party of [1, 2, 3])
        expectAbort(run, party, expected('session_mismatch', 2, [], 'restart'))
    })

  it('ends when the OT-extension message is wrong at its first, a middle or its last byte', () => {
    for (const at of [0, VOLE_MESSAGE_BYTES >> 1, VOLE_MESSAGE_BYTES - 1])
      inRounds(1, flip(round1.vole + at), retire('ot_check_failed', 2, [3]))
  })

  it('ends without blame when a signer commits to another nonce before each of two others', () => {
    const run = sign(three, { signers: [1, 2, 3] }, [
      { from: 3, to: 2, round: 1, change: flip(round1.commitment) },
    ])
    for (const honest of [1, 2])
      expectAbort(run, honest, expected('view_mismatch', 3, [], 'restart'))
  })
  it('ends without blame when a signer claims another view of round 1', () => {
    inRounds(2, flip(round2.view), expected('view_mismatch', 3, [], 'restart'))
  })

  it('ends when the opened nonce or its salt is not what was committed to', () => {
    inRounds(2, negatePoint(round2.R), stop('commitment_invalid', 3, [3]))
    inRounds(2, flip(round2.salt), stop('commitment_invalid', 3, [3]))
    inRounds(2, flip(round2.salt + 31), stop('commitment_invalid', 3, [3]))
    // Commitment and opening of another signer, or the signer's own of another session, with the view that fits.
    const elsewhere = signRun(signInputs(three, { signers: [1, 2, 3] })[2]!, seeded('elsewhere'))
    const own = drawNonce(elsewhere)
    const replayed = {
      commitment: nonceCommitment(elsewhere, elsewhere.me, own.R_i, own.salt),
      opening: concatBytes(curve.encode(own.R_i), own.salt),
    }
    for (const other of [undefined, replayed]) {
      const run = sign(three, { signers: [1, 2, 3] }, [
        {
          from: 3,
          round: 1,
          change: (bytes, sent) => {
            const commitment = sent[0]!.bytes.slice(round1.commitment, round1.vole)
            return put(round1.commitment, other?.commitment ?? commitment)(bytes)
          },
        },
        {
          from: 3,
          round: 2,
          change: (bytes, sent) => {
            const first = sent.find(({ from, round }) => from === 1 && round === 2)!.bytes
            bytes.set(first.subarray(round2.view, round2.answer), round2.view)
            return put(round2.R, other?.opening ?? first.slice(round2.R))(bytes)
          },
        },
      ])
      for (const honest of [1, 2]) expectAbort(run, honest, stop('commitment_invalid', 3, [3]))
    }
  })
  for (const field of ['Gamma_u', 'Gamma_v', 'pk', 'R'] as const)
    it(`ends when ${field} is no point or the identity`, () => {
      inRounds(2, put(round2[field], offCurve), stop('message_invalid', 3, [3]))
      inRounds(2, put(round2[field], new Uint8Array(33)), stop('message_invalid', 3, [3]))
    })
  it('ends when psi is zero or not below the order', () => {
    inRounds(2, put(round2.psi, new Uint8Array(32)), stop('message_invalid', 3, [3]))
    inRounds(2, put(round2.psi, orderBytes), stop('message_invalid', 3, [3]))
  })

  it('ends when the nonces add up to nothing', () => {
    // A cheater that knows all random sources commits to minus the sum of the others' nonces.
    const inputs = signInputs(three, { signers: [1, 2, 3] })
    const start = (input: SignInput) => startSignManyWith(input, seeded(`${input.share.index}`))
    const steps = () => new Map(inputs.map((input) => [input.share.index, start(input)]))
    const honest = simulate(steps()).sent.filter(({ round }) => round === 2)
    const nonce = (from: number) =>
      curve.decode(honest.find((m) => m.from === from)!.bytes.slice(round2.R, round2.R + 33))
    const R = curve.negate(curve.add(nonce(1), nonce(2)))
    const salt = new Uint8Array(32)
    const run = signRun(inputs[2]!, seeded('any'))
    const outcome = simulate(steps(), [
      {
        from: 3,
        round: 1,
        change: put(round1.commitment, nonceCommitment(run, run.me, R, salt)),
      },
      {
        from: 3,
        round: 2,
        change: (bytes, sent) => {
          // The honest signers' view holds the forged commitment.
          const view = sent.find((m) => m.from === 1 && m.round === 2)!.bytes.slice(0, 32)
          put(round2.view, view)(bytes)
          put(round2.R, curve.encode(R))(bytes)
          return put(round2.salt, salt)(bytes)
        },
      },
    ])
    for (const party of [1, 2]) expectAbort(outcome, party, retire('signature_invalid', 3, []))
  })

  it('ends when the multiplication’s answer is wrong at its first, a middle or its last byte', () => {
    for (const at of [31, VOLE_ANSWER_BYTES >> 1, VOLE_ANSWER_BYTES - 1])
      inRounds(2, flip(round2.answer + at), retire('vole_check_failed', 3, [3]))
  })
  it('ends when the multiplication’s answer holds a number not below the order', () => {
    inRounds(2, put(round2.answer, orderBytes), stop('message_invalid', 3, [3]))
  })
  it('ends when the multiplication is not tied to the nonce', () => {
    inRounds(2, negatePoint(round2.Gamma_u), retire('gamma_check_failed', 3, [3]))
  })
  it('ends when a signer multiplies with another nonce than it opens', () => {
    // Commitment and opening are of one point, the multiplication of another.
    const inputs = signInputs(three, { signers: [1, 2, 3] })
    const run = signRun(inputs[2]!, seeded('any'))
    const R = curve.mulBase(5n)
    const salt = new Uint8Array(32)
    const steps = new Map(
      inputs.map((input) => [input.share.index, startSignManyWith(input, seeded('x'))]),
    )
    const outcome = simulate(steps, [
      {
        from: 3,
        round: 1,
        change: put(round1.commitment, nonceCommitment(run, run.me, R, salt)),
      },
      {
        from: 3,
        round: 2,
        change: (bytes, sent) => {
          const view = sent.find((m) => m.from === 1 && m.round === 2)!.bytes.slice(0, 32)
          put(round2.view, view)(bytes)
          put(round2.R, curve.encode(R))(bytes)
          return put(round2.salt, salt)(bytes)
        },
      },
    ])
    for (const party of [1, 2]) expectAbort(outcome, party, retire('gamma_check_failed', 3, [3]))
  })
  it('ends when the multiplication is not tied to the key part', () => {
    inRounds(2, negatePoint(round2.Gamma_v), retire('gamma_check_failed', 3, [3]))
    inRounds(2, negatePoint(round2.pk), retire('gamma_check_failed', 3, [3]))
  })
  it('ends without blame when a signer uses another share throughout', () => {
    const run = sign(three, { signers: [1, 2, 3], inputOf: withAnotherShare(3) })
    for (const honest of [1, 2]) expectAbort(run, honest, stop('public_key_mismatch', 3, []))
  })

  it('ends without blame when psi is wrong', () => {
    inRounds(2, addOne(round2.psi), retire('signature_invalid', 4, []))
  })
  it('ends without blame when a signature share is wrong', () => {
    inRounds(3, addOne(round3.u), retire('signature_invalid', 4, []))
    inRounds(3, addOne(round3.w), retire('signature_invalid', 4, []))
  })
  it('ends when a signature share is zero or not below the order', () => {
    for (const at of [round3.u, round3.w]) {
      inRounds(3, put(at, new Uint8Array(32)), stop('message_invalid', 4, [3]))
      inRounds(3, put(at, orderBytes), stop('message_invalid', 4, [3]))
    }
  })
  for (const field of ['u', 'w'] as const)
    it(`ends without blame when the signature shares’ ${field} add up to nothing`, () => {
      const change: Change = (bytes, sent) => {
        const others = sumOf(sent, 3, round3[field], [1, 2])
        return put(round3[field], encodeScalar(mod(-others)))(bytes)
      }
      inRounds(3, change, retire('signature_invalid', 4, []))
    })
})

/** That signer's share is off by one: it follows the protocol with it to the letter. */
function withAnotherShare(cheater: number): (input: SignInput) => SignInput {
  return (input) =>
    input.share.index === cheater
      ? {
          ...input,
          share: { ...input.share, secret: new Secret(mod(input.share.secret.reveal() + 1n)) },
        }
      : input
}

describe('a signature in flights in which one signer cheats', () => {
  for (let flight = 1; flight <= 4; flight++)
    for (const [what, change] of [
      ['short', shorten],
      ['long', lengthen],
      ['empty', () => new Uint8Array()],
    ] as const)
      it(`ends when flight ${flight} is too ${what}`, () => {
        inFlights(flight, change, stop('message_invalid', flight + 1, [flight % 2 === 1 ? 1 : 2]))
      })

  it('ends without blame when the session ids differ', () => {
    const run = sign(two, {
      signers: [1, 2],
      inputOf: (input) => (input.share.index === 2 ? { ...input, sid: new Uint8Array(32) } : input),
    })
    expectAbort(run, 2, expected('session_mismatch', 2, [], 'restart'))
  })

  it('ends when an OT-extension message is wrong at its first, a middle or its last byte', () => {
    for (const at of [0, VOLE_MESSAGE_BYTES >> 1, VOLE_MESSAGE_BYTES - 1]) {
      inFlights(1, flip(round1.vole + at), retire('ot_check_failed', 2, [1]))
      inFlights(2, flip(flight2.vole + at), retire('ot_check_failed', 3, [2]))
    }
  })
  it('ends when the first mover opens another nonce than it committed to', () => {
    inFlights(1, flip(round1.commitment), stop('commitment_invalid', 4, [1]))
    inFlights(3, negatePoint(flight3.R), stop('commitment_invalid', 4, [1]))
    inFlights(3, flip(flight3.salt), stop('commitment_invalid', 4, [1]))
  })
  it('ends when the second mover cancels the first mover’s nonce', () => {
    const inputs = signInputs(two, { signers: [1, 2] })
    // R_A is what a first mover with this random source opens in flight 3.
    const R_A = drawNonce(signRun(inputs[0]!, seeded('A'))).R_i
    const first = startSignFirstWith(inputs[0]!, seeded('A'))
    if (!('next' in first)) throw new Error('signing does not end at once')
    const flight = new Uint8Array(flight2.end)
    const answers = sign(two, { signers: [1, 2] }).sent.find(({ round }) => round === 2)!
    flight.set(answers.bytes)
    flight.set(curve.encode(curve.negate(R_A)), flight2.R)
    const outcome = simulate(
      new Map<PartyIndex, Step<Signature>>([
        [partyIndex(1), first],
        [partyIndex(2), { outbox: new Map([[partyIndex(1), flight]]), result: undefined as never }],
      ]),
    )
    expectAbort(outcome, 1, retire('signature_invalid', 3, [2]))
  })
  it('ends when a multiplication’s answer is wrong at its first, a middle or its last byte', () => {
    for (const at of [31, VOLE_ANSWER_BYTES >> 1, VOLE_ANSWER_BYTES - 1]) {
      inFlights(2, flip(flight2.answer + at), retire('vole_check_failed', 3, [2]))
      inFlights(3, flip(flight3.answer + at), retire('vole_check_failed', 4, [1]))
    }
  })
  it('ends when a multiplication is not tied to the nonce', () => {
    inFlights(2, negatePoint(flight2.Gamma_u), retire('gamma_check_failed', 3, [2]))
    inFlights(2, negatePoint(flight2.R), retire('gamma_check_failed', 3, [2]))
    inFlights(3, negatePoint(flight3.Gamma_u), retire('gamma_check_failed', 4, [1]))
  })
  it('ends when a multiplication is not tied to the key part', () => {
    inFlights(2, negatePoint(flight2.Gamma_v), retire('gamma_check_failed', 3, [2]))
    inFlights(2, negatePoint(flight2.pk), retire('gamma_check_failed', 3, [2]))
    inFlights(3, negatePoint(flight3.Gamma_v), retire('gamma_check_failed', 4, [1]))
    inFlights(3, negatePoint(flight3.pk), retire('gamma_check_failed', 4, [1]))
  })
  it('ends when the other uses another share throughout', () => {
    const second = sign(two, { signers: [1, 2], inputOf: withAnotherShare(2) })
    expectAbort(second, 1, stop('public_key_mismatch', 3, [2]))
    // The first mover's own check sees it first there, so the second mover is asked alone.
    const first = sign(two, { signers: [1, 2], inputOf: withAnotherShare(1) }, [], true)
    expectAbort(first, 2, stop('public_key_mismatch', 3, [1]))
  })
  it('ends when psi is wrong, and names the other', () => {
    inFlights(3, addOne(flight3.psi), retire('signature_invalid', 4, [1]))
    // The first mover computes with a wrong psi of the second's and cannot tell; nobody gets a signature.
    const run = sign(two, { signers: [1, 2] }, [{ from: 2, round: 2, change: addOne(flight2.psi) }])
    expectAbort(run, 2, retire('signature_invalid', 4, [1]))
    expect(run.results.size).toBe(0)
  })
  it('ends when a signature share is wrong, and the second mover then sends nothing more', () => {
    for (const at of [flight3.u, flight3.w]) {
      const run = sign(two, { signers: [1, 2] }, [{ from: 1, round: 3, change: addOne(at) }])
      expectAbort(run, 2, retire('signature_invalid', 4, [1]))
      expect(run.sent.filter(({ round }) => round === 4)).toEqual([])
      expect(run.results.size).toBe(0)
    }
    inFlights(4, addOne(0), retire('signature_invalid', 5, [2]))
  })
  it('ends when s is turned into n - s, which plain ECDSA takes but which turns the recovery id', () => {
    inFlights(
      4,
      (bytes) => encodeScalar(mod(-readUint(bytes, 0, 32))),
      retire('signature_invalid', 5, [2]),
    )
  })
  it('ends when a signature share is zero or not below the order', () => {
    for (const value of [new Uint8Array(32), orderBytes]) {
      inFlights(3, put(flight3.u, value), stop('message_invalid', 4, [1]))
      inFlights(3, put(flight3.w, value), stop('message_invalid', 4, [1]))
      inFlights(4, put(0, value), stop('message_invalid', 5, [2]))
    }
  })
})
