import { randomBytes } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import {
  derivePublicKey,
  partyIndex,
  ProtocolAbort,
  startSignFirst,
  startSignMany,
  startSignSecond,
  type AbortCode,
  type PartyIndex,
  type Signable,
  type Signature,
  type SignInput,
  type Step,
} from '@vertex/mpc'
import { batchDigest, memberSession } from '../src/run/batch.js'
import { lockstep } from '../src/run/lockstep.js'
import { round } from '../src/round.js'
import { VOLE_MESSAGE_BYTES } from '../src/vole/index.js'
import { addOne, flip, lengthen, negatePoint, shorten } from './support/change.js'
import { expectAbort } from './support/expect.js'
import { flight2, flight3, round1, round2, round3 } from './support/layout.js'
import { native, readyKey, signInputs, type Key } from './support/parties.js'
import { finish, simulate, type Outcome, type Tamper } from './support/simulate.js'
import { verifiesDigest } from './support/verify.js'

let two: Key
let three: Key
beforeAll(() => {
  two = readyKey(2, 2)
  three = readyKey(2, 3)
})

const SIZE = 3
/** First, middle and last signature of the batch. */
const positions = [0, 1, 2] as const

function batchOf(size: number): Signable[] {
  const paths = [[], [0, 7], [1], []]
  return Array.from({ length: size }, (_, at) => ({
    digest: randomBytes(32),
    path: paths[at % paths.length]!,
  }))
}

/** A batch among these signers, without a room: what all of them say, message by message. */
function together(
  key: Key,
  signers: readonly number[],
  batch: readonly Signable[],
  tampers: readonly Tamper[] = [],
  inputOf: (input: SignInput, at: number) => SignInput = (input) => input,
): Outcome<Signature[], never> {
  const sid = randomBytes(32)
  const runs = batch.map(({ digest, path }, at) =>
    signInputs(key, { signers, digest, path, sid: memberSession(sid, batch, at) }),
  )
  const steps = signers.map((index, rank): [PartyIndex, Step<Signature[]>] => {
    const start = signers.length > 2 ? startSignMany : rank === 0 ? startSignFirst : startSignSecond
    return [
      partyIndex(index),
      lockstep(runs.map((inputs, at) => start(inputOf(inputs[rank]!, at)))),
    ]
  })
  return simulate(new Map(steps), tampers)
}

/** Spoils what one signature of the batch says in a message of all of them. */
const inMember =
  (at: number, change: (bytes: Uint8Array) => Uint8Array, size = SIZE) =>
  (bytes: Uint8Array): Uint8Array => {
    const length = bytes.length / size
    const piece = bytes.subarray(at * length, (at + 1) * length)
    piece.set(change(piece.slice()))
    return bytes
  }

function expectSigned(
  key: Key,
  batch: readonly Signable[],
  results: Iterable<readonly Signature[]>,
) {
  const { publicKey, chainCode } = key.shares[0]!
  for (const signatures of results) {
    expect(signatures).toHaveLength(batch.length)
    signatures.forEach((signature, at) => {
      const { digest, path } = batch[at]!
      const child = derivePublicKey(native.curve, publicKey, chainCode, path).publicKey
      expect(verifiesDigest(signature, digest, child)).toBe(true)
    })
  }
}

describe('signatures in lockstep', () => {
  it.each([1, 3])('are made by two signers in four flights: %i', (size) => {
    const batch = batchOf(size)
    const outcome = together(two, [1, 2], batch)
    expectSigned(two, batch, finish(outcome, 2).values())
    expect(outcome.sent.map(({ from }) => from)).toEqual([1, 2, 1, 2])
    expect(outcome.sent[0]!.bytes).toHaveLength(size * round1.end)
  })

  it('are made by three signers in three rounds', () => {
    const batch = batchOf(SIZE)
    const outcome = together(three, [1, 2, 3], batch)
    expectSigned(three, batch, finish(outcome, 3).values())
    expect(outcome.sent).toHaveLength(3 * 6)
  })

  it('have nonces of their own, also for one digest at one path', () => {
    const same = { digest: randomBytes(32), path: [5] }
    const [signatures] = finish(together(two, [1, 2], [same, same, same]), 2).values()
    expect(new Set(signatures!.map(({ r }) => Buffer.from(r).toString('hex'))).size).toBe(3)
  })

  it('take each round once, and only together', () => {
    const step = (number: number): Step<number> => ({
      outbox: new Map(),
      next: round(number, [partyIndex(2)], {}, () => ({ outbox: new Map(), result: number })),
    })
    expect(() => lockstep([step(2), step(3)])).toThrow('at the same time')
    expect(() => lockstep([step(2), { outbox: new Map(), result: 2 }])).toThrow('at the same time')
    const both = lockstep([step(2), step(2)])
    const inbox = new Map([[partyIndex(2), new Uint8Array(2)]])
    if (!('next' in both)) throw new Error('nothing left to do')
    expect(both.next.advance(inbox)).toMatchObject({ result: [2, 2] })
    expect(() => both.next.advance(inbox)).toThrow('used already')
  })
})

describe('the session of a signature in a batch', () => {
  const sid = randomBytes(32)
  const batch = batchOf(3)
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

  it('is another for each place, size, path, digest and run', () => {
    const other = batch.map((what, at) => (at === 1 ? { ...what, path: [9] } : what))
    const swapped = batch.map((what, at) => (at === 1 ? { ...what, digest: sid } : what))
    const same = [batch[0]!, batch[0]!, batch[0]!]
    const all = [
      ...positions.map((at) => memberSession(sid, batch, at)),
      ...positions.slice(1).map((at) => memberSession(sid, same, at)),
      memberSession(sid, batch.slice(0, 2), 1),
      memberSession(sid, other, 1),
      memberSession(sid, swapped, 1),
      memberSession(randomBytes(32), batch, 1),
    ].map(hex)
    expect(new Set(all).size).toBe(all.length)
  })

  it('depends on a list that says order, count, digests and where each path ends', () => {
    const digest = randomBytes(32)
    const lists: Signable[][] = [
      batch,
      [...batch].reverse(),
      batch.slice(0, 2),
      [...batch, batch[0]!],
      [
        { digest, path: [1, 2] },
        { digest, path: [] },
      ],
      [
        { digest, path: [1] },
        { digest, path: [2] },
      ],
    ]
    expect(new Set(lists.map((list) => hex(batchDigest(list)))).size).toBe(lists.length)
  })
})

type Cheat = readonly [
  what: string,
  message: number,
  change: (bytes: Uint8Array) => Uint8Array,
  code: AbortCode,
  round: number,
]

/** Odd flights are the first mover's, even ones the second's. */
const inFlights: readonly Cheat[] = [
  ['the session check', 1, flip(round1.check), 'session_mismatch', 2],
  ['the extension', 1, flip(round1.vole + (VOLE_MESSAGE_BYTES >> 1)), 'ot_check_failed', 2],
  ['the extension', 2, flip(flight2.vole + (VOLE_MESSAGE_BYTES >> 1)), 'ot_check_failed', 3],
  ['the multiplication', 2, addOne(flight2.answer), 'vole_check_failed', 3],
  ['the tie to the nonce', 2, negatePoint(flight2.Gamma_u), 'gamma_check_failed', 3],
  ['the tie to the key', 2, negatePoint(flight2.Gamma_v), 'gamma_check_failed', 3],
  ['the opened nonce', 3, negatePoint(flight3.R), 'commitment_invalid', 4],
  ['the multiplication', 3, addOne(flight3.answer), 'vole_check_failed', 4],
  ['the tie to the nonce', 3, negatePoint(flight3.Gamma_u), 'gamma_check_failed', 4],
  ['the tie to the key', 3, negatePoint(flight3.Gamma_v), 'gamma_check_failed', 4],
  ['the signature share', 3, addOne(flight3.u), 'signature_invalid', 4],
  ['s', 4, addOne(0), 'signature_invalid', 5],
]

const inRounds: readonly Cheat[] = [
  ['the session check', 1, flip(round1.check), 'session_mismatch', 2],
  ['the extension', 1, flip(round1.vole), 'ot_check_failed', 2],
  ['the view', 2, flip(round2.view), 'view_mismatch', 3],
  ['the opened nonce', 2, negatePoint(round2.R), 'commitment_invalid', 3],
  ['the multiplication', 2, addOne(round2.answer), 'vole_check_failed', 3],
  ['the tie to the nonce', 2, negatePoint(round2.Gamma_u), 'gamma_check_failed', 3],
  ['the signature share', 3, addOne(round3.u), 'signature_invalid', 4],
]

describe('a batch in which one signature is spoiled', () => {
  for (const at of positions) {
    it.each(inFlights)(
      `ends for all when ${['the first', 'a middle', 'the last'][at]} has %s wrong in flight %i`,
      (_, flight, change, code, round) => {
        const from = flight % 2 === 1 ? 1 : 2
        const outcome = together(two, [1, 2], batchOf(SIZE), [
          { from, round: flight, change: inMember(at, change) },
        ])
        const { reaction } = new ProtocolAbort(code, round)
        const culprits = code === 'session_mismatch' ? [] : [from]
        expectAbort(outcome, 3 - from, { code, round, culprits, reaction })
        // Whoever found it has said nothing more, and the cheat has a signature only if it spoiled its last word.
        expect(outcome.sent.filter((sent) => sent.from !== from && sent.round >= round)).toEqual([])
        expect(outcome.results.size).toBe(flight === 4 ? 1 : 0)
      },
    )

    it.each(inRounds)(
      `of three ends for all when ${['the first', 'a middle', 'the last'][at]} has %s wrong in round %i`,
      (_, number, change, code, round) => {
        const outcome = together(three, [1, 2, 3], batchOf(SIZE), [
          { from: 3, round: number, change: inMember(at, change) },
        ])
        const { reaction } = new ProtocolAbort(code, round)
        const unproved = ['session_mismatch', 'view_mismatch', 'signature_invalid']
        const culprits = unproved.includes(code) ? [] : [3]
        for (const honest of [1, 2])
          expectAbort(outcome, honest, { code, round, culprits, reaction })
      },
    )
  }

  it.each([1, 2, 3, 4])('ends when the message of flight %i has another length', (flight) => {
    const from = flight % 2 === 1 ? 1 : 2
    const pieceLess = (bytes: Uint8Array) => bytes.slice(0, (bytes.length / SIZE) * (SIZE - 1))
    const longerEach = (bytes: Uint8Array) => new Uint8Array(bytes.length + SIZE)
    for (const change of [shorten, lengthen, pieceLess, longerEach, () => new Uint8Array()])
      expectAbort(
        together(two, [1, 2], batchOf(SIZE), [{ from, round: flight, change }]),
        3 - from,
        {
          code: 'message_invalid',
          round: flight + 1,
          culprits: [from],
          reaction: 'stop',
        },
      )
  })

  it.each([
    ['digest', { digest: new Uint8Array(32) }],
    ['path', { path: [3] }],
  ])('ends without blame when one side means another %s under one session', (_, change) => {
    for (const at of positions) {
      const outcome = together(two, [1, 2], batchOf(SIZE), [], (input, member) =>
        member === at && input.share.index === 1 ? { ...input, ...change } : input,
      )
      expectAbort(outcome, 2, {
        code: 'session_mismatch',
        round: 2,
        culprits: [],
        reaction: 'restart',
      })
    }
  })

  it('does not take the piece of one signature for that of another', () => {
    const swap = (bytes: Uint8Array) => {
      const length = bytes.length / SIZE
      const first = bytes.slice(0, length)
      bytes.copyWithin(0, length, 2 * length)
      bytes.set(first, length)
      return bytes
    }
    const codes = [1, 2, 3, 4].map((flight) => {
      const from = flight % 2 === 1 ? 1 : 2
      const outcome = together(two, [1, 2], batchOf(SIZE), [{ from, round: flight, change: swap }])
      return outcome.aborts.get(partyIndex(3 - from))!.code
    })
    expect(codes).toEqual([
      'session_mismatch',
      'ot_check_failed',
      'commitment_invalid',
      'signature_invalid',
    ])
  })
})
