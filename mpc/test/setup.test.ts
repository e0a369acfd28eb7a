import { inspect } from 'node:util'
import { utf8ToBytes } from '@noble/hashes/utils.js'
import { describe, expect, it } from 'vitest'
import { partyIndex, startPairSetup } from '@vertex/mpc'
import { loadNativeCurve, nativeSuite } from '@vertex/mpc/native'
import { startPairSetupWith } from '@vertex/mpc/testing'
import { concatBytes, equalBytes, u8 } from '../src/bytes.js'
import { nobleCurve } from '../src/curve/noble.js'
import { mod } from '../src/math/scalar.js'
import { systemRng } from '../src/rng.js'
import { Gadgets } from '../src/setup/gadgets.js'
import {
  PAIR_SETUP_BYTES,
  type PairSetup,
  type PairSetupInput,
  SETUP_FLIGHT_BYTES,
  decodePairSetup,
  encodePairSetup,
} from '../src/setup/index.js'
import type { Suite } from '../src/suite.js'
import { tags } from '../src/tags.js'
import { Transcript, type KeyedHash } from '../src/transcript.js'
import { voleReceive, voleSend } from '../src/vole/index.js'
import { zeroShare } from '../src/zero-share.js'
import { flip, lengthen, offCurve, put, shorten } from './support/change.js'
import { expectAbort } from './support/expect.js'
import { changedSetup, dealtSetups, ends, puncture } from './support/ot.js'
import { seeded } from './support/seeded.js'
import { finish, simulate, type Tamper } from './support/simulate.js'

const suite = nativeSuite()
const noble: Suite = { ...suite, curve: nobleCurve }
const [one, two] = [partyIndex(1), partyIndex(2)]

interface Options {
  readonly first?: Suite
  readonly second?: Suite
  readonly sids?: readonly [Uint8Array, Uint8Array]
  readonly tampers?: readonly Tamper[]
}

const secretOf = (party: number) => new Uint8Array(32).fill(party)

/** What the two parties start from, unless told otherwise; party 1 moves first. */
const inputs = (change: Partial<PairSetupInput> = {}): [PairSetupInput, PairSetupInput] => {
  const sid = systemRng(32)
  return [
    { suite, sid, me: one, peer: two, first: true, hedgeSecret: secretOf(1), ...change },
    { suite, sid, me: two, peer: one, first: false, hedgeSecret: secretOf(2), ...change },
  ]
}

function run({ first = suite, second = suite, sids, tampers = [] }: Options = {}) {
  const [mine, theirs] = inputs()
  const [sid1, sid2] = sids ?? [mine.sid, mine.sid]
  return simulate(
    new Map([
      [one, startPairSetup({ ...mine, suite: first, sid: sid1 })],
      [two, startPairSetup({ ...theirs, suite: second, sid: sid2 })],
    ]),
    tampers,
  )
}

/** Cheating in a flight, 1 to 5; the odd ones are party 1's. */
const inFlight = (flight: number, change: Tamper['change']): Options => ({
  tampers: [{ from: 2 - (flight % 2), round: Math.max(1, flight - 1), change }],
})

function bothOf(outcome: ReturnType<typeof run>): [PairSetup, PairSetup] {
  const done = finish(outcome, 2)
  return [done.get(one)!, done.get(two)!]
}

/** Where the fields of the flights begin. */
const at = {
  flight1: { header: 0, A: 32, commitment: 65 },
  flight2: { header: 0, points: 32, commitment: 32 + 256 * 33 },
  flight3: { pprf: 0, reverse: 8192, opening: 8192 + 4112 },
  flight4: { pprf: 0, opening: 8192, confirmation: 8192 + 64 },
}

/** Two setups that belong together: leaves, deltas, zero seed; and multiplications work in both directions. */
function expectMatching(a: PairSetup, b: PairSetup): void {
  expect(a.id).toEqual(b.id)
  expect(a.gadgetSeed).toEqual(b.gadgetSeed)
  expect(a.zeroSeed).toEqual(b.zeroSeed)
  expect([a.me, a.peer]).toEqual([b.peer, b.me])
  expect(b.puncturedLeaves).toEqual(puncture(a.leaves, b.delta))
  expect(a.puncturedLeaves).toEqual(puncture(b.leaves, a.delta))
  expect(a.leaves).not.toEqual(b.leaves)
  expect(a.delta).not.toEqual(b.delta)
  const sid = systemRng(32)
  for (const [receiver, sender] of [
    [a, b],
    [b, a],
  ] as const) {
    const context = { suite, sid, rng: systemRng, round: 1 }
    const r = voleReceive({ ...context, setup: receiver })
    const { answer, c } = voleSend({ ...context, setup: sender }, r.message, [3n, 5n])
    const d = r.finish(answer)
    expect(mod(c[0] + d[0])).toBe(mod(3n * r.chi))
    expect(mod(c[1] + d[1])).toBe(mod(5n * r.chi))
  }
}

describe('the pair setup', () => {
  it('ends in five flights with two sides that fit, differently each time', () => {
    const outcome = run()
    expect(outcome.sent.map(({ from }) => from)).toEqual([1, 2, 1, 2, 1])
    expect(outcome.sent.map(({ bytes }) => bytes.length)).toEqual([...SETUP_FLIGHT_BYTES])
    const [a, b] = bothOf(outcome)
    expectMatching(a, b)
    const [again] = bothOf(run())
    expect(again.id).not.toEqual(a.id)
    expect(again.zeroSeed).not.toEqual(a.zeroSeed)
  })

  it.skipIf(loadNativeCurve() === undefined)('works between the two curve backends', () => {
    expectMatching(...bothOf(run({ first: noble })))
  })

  it('lets the party with the higher index move first, too', () => {
    const [second, first] = inputs()
    const outcome = simulate(
      new Map([
        [two, startPairSetup({ ...first, first: true })],
        [one, startPairSetup({ ...second, first: false })],
      ]),
    )
    expectMatching(...bothOf(outcome))
  })

  it('draws from the given source only, and says the same bytes on every curve', () => {
    const [mine, theirs] = inputs()
    const flights = (s: Suite) =>
      simulate(
        new Map([
          [one, startPairSetupWith({ ...mine, suite: s }, seeded('1'))],
          [two, startPairSetupWith({ ...theirs, suite: s }, seeded('2'))],
        ]),
      ).sent.map(({ bytes }) => bytes)
    expect(flights(suite)).toEqual(flights(noble))
  })

  it('refuses a party with itself, a session id that is not 32 bytes, and no hedging secret', () => {
    const [input] = inputs()
    expect(() => startPairSetup({ ...input, peer: one })).toThrow(RangeError)
    expect(() => startPairSetup({ ...input, hedgeSecret: new Uint8Array(0) })).toThrow(RangeError)
    for (const length of [0, 31, 33])
      expect(() => startPairSetup({ ...input, sid: systemRng(length) })).toThrow(RangeError)
  })

  it('goes through each round once', () => {
    const step = startPairSetup(inputs()[0])
    if (!('next' in step)) throw new Error('the first mover has a second round')
    expect(() => step.next.advance(new Map())).toThrow('message invalid')
    expect(() => step.next.advance(new Map())).toThrow('used already')
  })
})

describe('a pair setup in which one side cheats', () => {
  /** Who notices what is wrong in a flight. */
  const reader = (flight: number) => 1 + (flight % 2)
  const blame = (
    flight: number,
    code: 'message_invalid' | 'commitment_invalid' | 'setup_mismatch',
  ) => ({ code, round: flight, culprits: [3 - reader(flight)], reaction: 'stop' }) as const

  it.each([1, 2, 3, 4, 5])('stops at a flight %i of another length', (flight) => {
    for (const change of [shorten, lengthen, () => new Uint8Array(0)])
      expectAbort(run(inFlight(flight, change)), reader(flight), blame(flight, 'message_invalid'))
  })

  it.each([1, 2])('blames nobody when flight %i names another session', (flight) => {
    const expected = {
      code: 'session_mismatch',
      round: flight,
      culprits: [],
      reaction: 'restart',
    } as const
    for (const byte of ends(32))
      expectAbort(run(inFlight(flight, flip(byte))), reader(flight), expected)
  })

  it('blames nobody when the parties start from different session ids', () => {
    const expected = {
      code: 'session_mismatch',
      round: 1,
      culprits: [],
      reaction: 'restart',
    } as const
    expectAbort(run({ sids: [systemRng(32), systemRng(32)] }), 2, expected)
  })

  it('stops at a base OT key off the curve', () => {
    const outcome = run(inFlight(1, put(at.flight1.A, offCurve)))
    expectAbort(outcome, 2, blame(1, 'message_invalid'))
  })

  it.each(ends(256))('stops at a base OT point off the curve, place %i', (k) => {
    const outcome = run(inFlight(2, put(at.flight2.points + 33 * k, offCurve)))
    expectAbort(outcome, 1, blame(2, 'message_invalid'))
  })

  it.each(ends(256))('stops at a base OT point that its hash cancels, place %i', (k) => {
    const sid = systemRng(32)
    const forward = new Transcript(tags.setupDirection).add(sid, u8(1), u8(2)).digest()
    const cancel: Tamper['change'] = (bytes) => {
      const place = (which: number) => at.flight2.points + 33 * which
      const other = bytes.slice(place(k ^ 1), place(k ^ 1) + 33)
      const input = concatBytes(forward, u8(k >> 1), u8(k & 1), other)
      const H = suite.curve.hashToCurve(input, utf8ToBytes(tags.baseOtPoint))
      return put(place(k), suite.curve.encode(suite.curve.negate(H)))(bytes)
    }
    const outcome = run({ sids: [sid, sid], ...inFlight(2, cancel) })
    expectAbort(outcome, 1, blame(2, 'message_invalid'))
  })

  it.each([3, 4])('retires the setup when an all-but-one proof in flight %i is wrong', (flight) => {
    for (const g of ends(64)) {
      const outcome = run(inFlight(flight, flip(128 * g + 96)))
      expectAbort(outcome, reader(flight), {
        code: 'pprf_check_failed',
        round: flight,
        culprits: [3 - reader(flight)],
        reaction: 'retire_setup',
      })
    }
  })

  it.each(ends(128))('retires the setup when row %i of the reverse extension is wrong', (row) => {
    const outcome = run(inFlight(3, flip(at.flight3.reverse + 64 * 32 + 16 + 16 * row)))
    expectAbort(outcome, 2, {
      code: 'ot_check_failed',
      round: 3,
      culprits: [1],
      reaction: 'retire_setup',
    })
  })

  it.each([
    ['party 1 opens another seed', 3, at.flight3.opening],
    ['party 1 opens with another salt', 3, at.flight3.opening + 63],
    ['party 2 opens another seed', 4, at.flight4.opening],
    ['party 2 opens with another salt', 4, at.flight4.opening + 63],
  ])('stops when %s', (_, flight, place) => {
    expectAbort(
      run(inFlight(flight, flip(place))),
      reader(flight),
      blame(flight, 'commitment_invalid'),
    )
  })

  it.each([
    ['party 1', 1, at.flight1.commitment, 3],
    ['party 2', 2, at.flight2.commitment, 4],
  ])('stops when %s committed to something else', (_, flight, place, noticed) => {
    const outcome = run(inFlight(flight, flip(place)))
    expectAbort(outcome, reader(noticed), blame(noticed, 'commitment_invalid'))
  })

  it('stops when party 2 copies the commitment and opening of party 1', () => {
    const outcome = run({
      tampers: [
        {
          from: 2,
          round: 1,
          change: (bytes, sent) =>
            put(at.flight2.commitment, sent[0]!.bytes.slice(at.flight1.commitment))(bytes),
        },
        {
          from: 2,
          round: 3,
          change: (bytes, sent) => {
            const theirs = sent.find(({ from, round }) => from === 1 && round === 2)!.bytes
            return put(at.flight4.opening, theirs.slice(at.flight3.opening))(bytes)
          },
        },
      ],
    })
    expectAbort(outcome, 1, blame(4, 'commitment_invalid'))
  })

  it.each(ends(32))('stops when party 2 confirms another transcript, byte %i', (byte) => {
    const outcome = run(inFlight(4, flip(at.flight4.confirmation + byte)))
    expectAbort(outcome, 1, blame(4, 'setup_mismatch'))
  })

  it.each(ends(32))('stops when party 1 confirms another transcript, byte %i', (byte) => {
    expectAbort(run(inFlight(5, flip(byte))), 2, blame(5, 'setup_mismatch'))
  })

  it('stops when party 1 answers with the confirmation it has heard', () => {
    const echo: Tamper['change'] = (_, sent) =>
      sent
        .find(({ from, round }) => from === 2 && round === 3)!
        .bytes.slice(at.flight4.confirmation)
    expectAbort(run(inFlight(5, echo)), 2, blame(5, 'setup_mismatch'))
  })
})

describe('a pair setup whose random source is a clone’s', () => {
  const [mine, theirs] = inputs()
  const clone = seeded

  /** Where the 256 points of two second flights agree. */
  const samePoints = (a: Uint8Array, b: Uint8Array) =>
    Array.from({ length: 256 }, (_, k) => at.flight2.points + 33 * k).filter((place) =>
      equalBytes(a.subarray(place, place + 33), b.subarray(place, place + 33)),
    )

  /** The second mover's flight 2 and setup, for a peer of its own each time. */
  const asSecond = (change: Partial<PairSetupInput> = {}) => {
    const outcome = simulate(
      new Map([
        [one, startPairSetup(mine)],
        [two, startPairSetupWith({ ...theirs, ...change }, clone('a vm'))],
      ]),
    )
    return { flight2: outcome.sent[1]!.bytes, setup: finish(outcome, 2).get(two)! }
  }

  it('draws everything anew as the second mover when the first flight is another', () => {
    const [a, b] = [asSecond(), asSecond()]
    expect(samePoints(a.flight2, b.flight2)).toEqual([])
    const { commitment } = at.flight2
    expect(a.flight2.subarray(commitment)).not.toEqual(b.flight2.subarray(commitment))
    expect(a.setup.delta).not.toEqual(b.setup.delta)
    expect(a.setup.zeroSeed).not.toEqual(b.setup.zeroSeed)
  })

  it('says the same again as the second mover to one who repeats the first flight, and only then', () => {
    const flight1 = startPairSetup(mine).outbox.get(two)!
    const answer = (change: Partial<PairSetupInput>, flight: Uint8Array) => {
      const step = startPairSetupWith({ ...theirs, ...change }, clone('a vm'))
      if (!('next' in step)) throw new Error('the second mover has a first flight to read')
      return step.next.advance(new Map([[one, flight]])).outbox.get(one)!
    }
    const first = answer({}, flight1)
    expect(answer({}, flight1)).toEqual(first)
    const changed = flip(at.flight1.commitment)(flight1.slice())
    for (const other of [answer({}, changed), answer({ hedgeSecret: secretOf(3) }, flight1)])
      expect(samePoints(first, other)).toEqual([])
  })

  it('draws Δ and the mask of the extension anew as the first mover when the second flight is another', () => {
    const asFirst = () => {
      const outcome = simulate(
        new Map([
          [one, startPairSetupWith(mine, clone('a vm'))],
          [two, startPairSetup(theirs)],
        ]),
      )
      const [flight1, , flight3] = outcome.sent.map(({ bytes }) => bytes)
      return { flight1, flight3, setup: finish(outcome, 2).get(one)! }
    }
    const [a, b] = [asFirst(), asFirst()]
    expect(a.flight1).toEqual(b.flight1)
    expect(a.flight3).not.toEqual(b.flight3)
    expect(a.setup.delta).not.toEqual(b.setup.delta)
    expect(a.setup.leaves).not.toEqual(b.setup.leaves)
  })

  it('begins with other bytes for another session, hedging secret, or place in the pair', () => {
    const flight1 = (change: Partial<PairSetupInput>) =>
      startPairSetupWith({ ...mine, ...change }, clone('a vm')).outbox
    const first = flight1({}).get(two)!.subarray(32)
    expect(flight1({}).get(two)!.subarray(32)).toEqual(first)
    expect(
      flight1({ sid: systemRng(32) })
        .get(two)!
        .subarray(32),
    ).not.toEqual(first)
    expect(
      flight1({ hedgeSecret: secretOf(3) })
        .get(two)!
        .subarray(32, 65),
    ).not.toEqual(first.subarray(0, 33))
    expect(flight1({ me: two, peer: one }).get(one)!.subarray(32, 65)).not.toEqual(
      first.subarray(0, 33),
    )
  })
})

describe('a failed setup', () => {
  it('leaves zeros where its secrets were', () => {
    const [mine, theirs] = inputs()
    const drawn: Uint8Array[] = []
    // What is hashed for a block of hedged randomness is the block's number, 8 bytes.
    const hash: KeyedHash = (key, message, length) => {
      const bytes = suite.kernel.hash(key, message, length)
      if (message.length === 8) drawn.push(bytes)
      return bytes
    }
    const watched = { ...theirs, suite: { ...suite, kernel: { ...suite.kernel, hash } } }
    const outcome = simulate(
      new Map([
        [one, startPairSetup(mine)],
        [two, startPairSetup(watched)],
      ]),
      [{ from: 1, round: 2, change: flip(96) }],
    )
    expect(outcome.aborts.get(two)?.code).toBe('pprf_check_failed')
    // opening, Δ, and what every base OT draws
    expect(drawn.length).toBe(2 + 2 * 128)
    expect(drawn.flatMap((bytes) => [...bytes]).every((byte) => byte === 0)).toBe(true)
  })
})

describe('a stored setup', () => {
  const [mine] = dealtSetups(systemRng)

  it('survives encoding, also in a Buffer that is wiped afterwards', () => {
    const stored = Buffer.from(encodePairSetup(mine))
    expect(stored.length).toBe(PAIR_SETUP_BYTES)
    const back = decodePairSetup(stored)
    stored.fill(0)
    expect(encodePairSetup(back)).toEqual(encodePairSetup(mine))
  })

  it('is refused with another version, length, or impossible parties', () => {
    const stored = encodePairSetup(mine)
    const changed = (place: number, value: number) => {
      const copy = stored.slice()
      copy[place] = value
      return copy
    }
    const bad = [changed(0, 0), changed(0, 2), stored.slice(1), lengthen(stored), new Uint8Array(0)]
    // me and peer
    bad.push(changed(33, 0), changed(33, 33), changed(34, 0), changed(34, 255), changed(33, 2))
    for (const bytes of bad) expect(() => decodePairSetup(bytes)).toThrow(RangeError)
  })

  it('prints no secret', () => {
    for (const text of [inspect(mine), JSON.stringify({ mine }), String(mine)]) {
      expect(text).toContain('[secret]')
      expect(text.length).toBeLessThan(80)
    }
  })

  it('is zeros after it was wiped', () => {
    const copy = decodePairSetup(encodePairSetup(mine))
    copy.wipe()
    for (const secret of [copy.zeroSeed, copy.leaves, copy.delta, copy.puncturedLeaves])
      expect(secret.every((byte) => byte === 0)).toBe(true)
  })
})

describe('gadgets', () => {
  const [mine, theirs] = dealtSetups(systemRng)
  const [other] = dealtSetups(systemRng)
  const { kernel } = suite

  it('are derived once by who keeps them, also of a setup that was wiped and decoded again', () => {
    const gadgets = new Gadgets()
    const first = decodePairSetup(encodePairSetup(mine), gadgets)
    const gadget = first.gadget(kernel, one)
    first.wipe()
    const again = decodePairSetup(encodePairSetup(mine), gadgets)
    expect(again.gadget(kernel, one)).toBe(gadget)
    expect(gadget).toEqual(theirs.gadget(kernel, one))
    expect(again.gadget(kernel, two)).toEqual(mine.gadget(kernel, two))
    expect(again.gadget(kernel, two)).not.toEqual(gadget)
    const another = decodePairSetup(encodePairSetup(other), gadgets)
    expect(another.gadget(kernel, one)).toEqual(other.gadget(kernel, one))
    expect(another.gadget(kernel, one)).not.toEqual(gadget)
  })

  it('are forgotten when many others have been used since, and derived again', () => {
    const gadgets = new Gadgets(2)
    const derived: number[] = []
    const get = (seed: number) =>
      gadgets.get(new Uint8Array(32).fill(seed), one, () => {
        derived.push(seed)
        return Uint8Array.of(seed)
      })
    for (const seed of [1, 2, 1, 3, 1, 2]) expect(get(seed)).toEqual(Uint8Array.of(seed))
    expect(derived).toEqual([1, 2, 3, 2])
  })
})

describe('zero shares', () => {
  const parties = [1, 2, 3, 5].map(partyIndex)
  const seeds = new Map<string, Uint8Array>()
  const [dealt] = dealtSetups(systemRng)
  const setupsOf = (me: number, among: readonly number[] = parties) =>
    among
      .filter((peer) => peer !== me)
      .map((peer) => {
        const name = [me, peer].toSorted().join()
        if (!seeds.has(name)) seeds.set(name, systemRng(32))
        const zeroSeed = seeds.get(name)!
        return changedSetup(dealt, { me: partyIndex(me), peer: partyIndex(peer), zeroSeed })
      })

  it('add up to zero over all parties of the run, and only over all', () => {
    for (const among of [parties, parties.slice(0, 2), parties.slice(1)]) {
      const sid = systemRng(32)
      const shares = among.map((me) => zeroShare(suite.kernel, me, setupsOf(me, among), sid))
      expect(mod(shares.reduce((sum, share) => sum + share, 0n))).toBe(0n)
      expect(mod(shares.slice(1).reduce((sum, share) => sum + share, 0n))).not.toBe(0n)
    }
  })

  it('differ from session to session and repeat within one', () => {
    const [sid, other] = [systemRng(32), systemRng(32)]
    const share = (s: Uint8Array) => zeroShare(suite.kernel, one, setupsOf(1), s)
    expect(share(sid)).toBe(share(sid))
    expect(share(sid)).not.toBe(share(other))
  })

  it('refuse setups of another party, two with the same, and other session ids', () => {
    const sid = systemRng(32)
    const [first] = setupsOf(1)
    expect(() => zeroShare(suite.kernel, two, [first!], sid)).toThrow(RangeError)
    expect(() => zeroShare(suite.kernel, one, [first!, first!], sid)).toThrow(RangeError)
    expect(() => zeroShare(suite.kernel, one, [first!], sid.subarray(1))).toThrow(RangeError)
  })
})
