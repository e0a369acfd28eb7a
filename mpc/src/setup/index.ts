import { ProtocolAbort } from '../abort.js'
import { concatBytes, equalBytes, u8, wipe } from '../bytes.js'
import { InvalidPoint } from '../curve/curve.js'
import { Hedge } from '../hedge.js'
import {
  BASE_OT_RECEIVER_BYTES,
  BASE_OT_SENDER_BYTES,
  BaseOtSender,
  receiveBaseOt,
} from '../ot/base.js'
import { complement } from '../ot/bits.js'
import {
  OtCheckFailed,
  addDelta,
  extendReceiver,
  extendSender,
  extensionBytes,
} from '../ot/extension.js'
import { BASE_OTS, DELTA_BYTES, KEY_BYTES, MASK_BYTES } from '../ot/parameters.js'
import { PPRF_MESSAGE_BYTES, PprfCheckFailed, receivePprf, sendPprf } from '../ot/pprf.js'
import { SID_BYTES, sessionKey } from '../ot/session-key.js'
import type { PartyIndex } from '../party.js'
import { systemRng, type Rng } from '../rng.js'
import { round, type Inbox, type Round, type Step } from '../round.js'
import type { Suite } from '../suite.js'
import { tags } from '../tags.js'
import { Transcript } from '../transcript.js'
import { PairSetup } from './pair-setup.js'

export { PairSetup, PAIR_SETUP_BYTES, decodePairSetup, encodePairSetup } from './pair-setup.js'

/** Who sets up OT with whom, and in which session. */
export interface PairSetupInput {
  readonly suite: Suite
  /** 32 bytes, agreed on by both, from fresh contributions of both. */
  readonly sid: Uint8Array
  readonly me: PartyIndex
  readonly peer: PartyIndex
  /** Whether this party moves first; exactly one of the two does. */
  readonly first: boolean
  /** Hedges the randomness: a long-lived secret of this party's own, such as its share of the key. Not empty. */
  readonly hedgeSecret: Uint8Array
}

const HEADER_BYTES = 32
const COMMITMENT_BYTES = 32
/** One half of the zero-sharing seed and the salt of its commitment. */
const OPENING_BYTES = 2 * 32
const CONFIRM_BYTES = 32
const REVERSE_BYTES = extensionBytes(DELTA_BYTES)

/** The length of each of the five flights. */
export const SETUP_FLIGHT_BYTES = [
  HEADER_BYTES + BASE_OT_SENDER_BYTES + COMMITMENT_BYTES,
  HEADER_BYTES + BASE_OT_RECEIVER_BYTES + COMMITMENT_BYTES,
  PPRF_MESSAGE_BYTES + REVERSE_BYTES + OPENING_BYTES,
  PPRF_MESSAGE_BYTES + OPENING_BYTES + CONFIRM_BYTES,
  CONFIRM_BYTES,
] as const

/**
 * Sets up OT between two parties in five flights. docs/spec/setup.md
 * @throws RangeError for a sid that is not 32 bytes, two equal parties, or no hedging secret
 * @throws ProtocolAbort (from a round) `session_mismatch`, `message_invalid`, `pprf_check_failed`,
 * `ot_check_failed`, `commitment_invalid`, `setup_mismatch`
 */
export const startPairSetup = (input: PairSetupInput): Step<PairSetup> =>
  startPairSetupWith(input, systemRng)

/** As {@link startPairSetup} with an injected source. For tests only. */
export function startPairSetupWith(input: PairSetupInput, rng: Rng): Step<PairSetup> {
  if (input.sid.length !== SID_BYTES) throw new RangeError('a session id is 32 bytes')
  if (input.me === input.peer) throw new RangeError('an OT setup is between two parties')
  if (input.hedgeSecret.length === 0) throw new RangeError('an OT setup needs a hedging secret')
  const pair = new Pair(input, rng)
  return input.first ? startFirst(pair) : startSecond(pair)
}

/** What both sides share: names, sub-sessions, the zero-sharing seed, the transcript. */
class Pair {
  readonly suite: Suite
  readonly sid: Uint8Array
  readonly me: PartyIndex
  readonly peer: PartyIndex
  /** Where all randomness comes from. */
  readonly hedge: Hedge
  /** 0.1 */
  readonly header: Uint8Array
  /** 0.2  The direction in which the first mover holds all leaves, and the reverse one. */
  readonly sidForward: Uint8Array
  readonly sidReverse: Uint8Array
  /** 1.1, 2.3  This party's half of the zero-sharing seed, with its salt: zeros until it is drawn. */
  readonly opening = new Uint8Array(OPENING_BYTES)
  readonly transcript: Transcript
  readonly #held: Uint8Array[] = []

  constructor(input: PairSetupInput, rng: Rng) {
    const { suite, sid, me, peer, first } = input
    this.suite = suite
    this.sid = sid
    this.me = me
    this.peer = peer
    const [F, S] = first ? [me, peer] : [peer, me]
    this.header = this.#transcript(tags.setupHeader).add(sid, u8(F), u8(S)).digest() // 0.1
    this.sidForward = this.#direction(F, S) // 0.2
    this.sidReverse = this.#direction(S, F)
    this.hedge = new Hedge(rng, suite.kernel.hash, input.hedgeSecret, this.header, u8(me)) // 0.3
    this.transcript = this.#transcript(tags.setupId).add(this.header)
  }

  #transcript(tag: (typeof tags)[keyof typeof tags]): Transcript {
    return new Transcript(tag, this.suite.kernel.hash)
  }

  #direction(leaves: PartyIndex, punctured: PartyIndex): Uint8Array {
    return this.#transcript(tags.setupDirection).add(this.sid, u8(leaves), u8(punctured)).digest()
  }

  /** Draws this party's half of the zero-sharing seed, and commits to it. */
  drawOpening(): Uint8Array {
    const drawn = this.hedge.stream('zero seed')(OPENING_BYTES)
    this.opening.set(drawn)
    wipe(drawn)
    return this.commit(this.me, this.opening)
  }

  commit(party: PartyIndex, opening: Uint8Array): Uint8Array {
    return this.#transcript(tags.setupSeedCommitment).add(this.sid, u8(party), opening).digest()
  }

  /** The two halves in the order of the parties' indices. */
  zeroSeed(theirs: Uint8Array): Uint8Array {
    const [low, high] = this.me < this.peer ? [this.opening, theirs] : [theirs, this.opening]
    return this.#transcript(tags.setupZeroSeed)
      .add(this.sid, low.subarray(0, 32), high.subarray(0, 32))
      .digest()
  }

  confirmation(id: Uint8Array, party: PartyIndex, zeroSeed: Uint8Array): Uint8Array {
    return this.#transcript(tags.setupConfirm).add(this.sid, id, u8(party), zeroSeed).digest()
  }

  /** Takes the peer's message of exactly the length of `flight` (1 to 5), or aborts. */
  read(inbox: Inbox, flight: number): Uint8Array {
    const message = inbox.get(this.peer)
    if (message === undefined || message.length !== SETUP_FLIGHT_BYTES[flight - 1])
      throw this.abort('message_invalid', flight)
    // A copy, and a plain array even where the caller's is Node's Buffer, whose slice() shares memory.
    return Uint8Array.from(message)
  }

  /** 2.1 and 3.1: the session is compared before anything else, and a difference blames nobody. */
  checkHeader(message: Uint8Array, flight: number): void {
    if (!equalBytes(message.subarray(0, HEADER_BYTES), this.header))
      throw new ProtocolAbort('session_mismatch', flight)
  }

  checkOpening(opening: Uint8Array, commitment: Uint8Array, flight: number): void {
    if (!equalBytes(this.commit(this.peer, opening), commitment))
      throw this.abort('commitment_invalid', flight)
  }

  abort(code: ConstructorParameters<typeof ProtocolAbort>[0], flight: number): ProtocolAbort {
    return new ProtocolAbort(code, flight, [this.peer])
  }

  /** Runs a step whose failure is an abort that names the peer. */
  guard<T>(flight: number, step: () => T): T {
    try {
      return step()
    } catch (error) {
      if (error instanceof InvalidPoint) throw this.abort('message_invalid', flight)
      if (error instanceof PprfCheckFailed) throw this.abort('pprf_check_failed', flight)
      if (error instanceof OtCheckFailed) throw this.abort('ot_check_failed', flight)
      throw error
    }
  }

  /** Remembers secrets, so that they are gone when the setup fails. */
  hold(...secrets: Uint8Array[]): void {
    this.#held.push(...secrets)
  }

  /** A round that wipes what was held when it throws. */
  round<State>(
    number: number,
    state: State,
    compute: (state: State, inbox: Inbox) => Step<PairSetup>,
  ): Round<PairSetup> {
    return round(number, [this.peer], state, (taken, inbox) => {
      try {
        return compute(taken, inbox)
      } catch (error) {
        wipe(this.opening, ...this.#held)
        throw error
      }
    })
  }

  send(message: Uint8Array): ReadonlyMap<PartyIndex, Uint8Array> {
    return new Map([[this.peer, message]])
  }

  /** The keys of the reverse direction's base OTs from 128 columns. */
  columnKeys(columns: Uint8Array): Uint8Array {
    const { kernel } = this.suite
    const key = sessionKey(kernel, this.sidForward, tags.otKey)
    return kernel.hashRows(key, columns, DELTA_BYTES, KEY_BYTES)
  }
}

/** Cuts a message into parts of the given lengths. */
function cut(message: Uint8Array, ...lengths: number[]): Uint8Array[] {
  let at = 0
  return lengths.map((length) => message.subarray(at, (at += length)))
}

function startFirst(pair: Pair): Step<PairSetup> {
  const { suite, hedge } = pair
  const commitment = pair.drawOpening() // 1.1
  const base = new BaseOtSender(suite, pair.sidForward, hedge.stream('base OT')) // 1.2
  const flight1 = concatBytes(pair.header, base.message, commitment) // 1.3
  const waiting = { base, flight1 }
  const next = pair.round(2, waiting, (state, inbox) => {
    const flight2 = pair.read(inbox, 2) // 3.1
    pair.checkHeader(flight2, 2) // 3.1
    hedge.absorb(flight2) // 3.2
    const [, points, theirCommitment] = cut(
      flight2,
      HEADER_BYTES,
      BASE_OT_RECEIVER_BYTES,
      COMMITMENT_BYTES,
    )
    const baseKeys = pair.guard(2, () => state.base.finish(points!)) // 3.3
    const forward = sendPprf(suite.kernel, pair.sidForward, baseKeys) // 3.4
    const delta = hedge.stream('delta')(DELTA_BYTES) // 3.5
    const choice = complement(delta)
    const mask = hedge.stream('extension mask')(MASK_BYTES)
    const reverse = extendReceiver(suite.kernel, pair.sidForward, forward.leaves, choice, mask) // 3.6
    const chosenKeys = pair.columnKeys(reverse.v) // 3.7
    const flight3 = concatBytes(forward.message, reverse.message, pair.opening) // 3.8
    pair.transcript.add(state.flight1, flight2, forward.message, reverse.message)
    wipe(baseKeys, choice, mask, reverse.v)
    pair.hold(forward.leaves, delta, chosenKeys)
    return {
      outbox: pair.send(flight3),
      next: lastOfFirst(pair, {
        theirCommitment: theirCommitment!.slice(),
        leaves: forward.leaves,
        delta,
        chosenKeys,
      }),
    }
  })
  return { outbox: pair.send(flight1), next }
}

interface FirstState {
  readonly theirCommitment: Uint8Array
  readonly leaves: Uint8Array
  readonly delta: Uint8Array
  readonly chosenKeys: Uint8Array
}

const lastOfFirst = (pair: Pair, waiting: FirstState) =>
  pair.round(4, waiting, (state, inbox) => {
    const flight4 = pair.read(inbox, 4) // 5.1
    const [pprf, opening, confirmation] = cut(
      flight4,
      PPRF_MESSAGE_BYTES,
      OPENING_BYTES,
      CONFIRM_BYTES,
    )
    const puncturedLeaves = pair.guard(4, () =>
      receivePprf(pair.suite.kernel, pair.sidReverse, state.delta, state.chosenKeys, pprf!),
    ) // 5.2
    state.chosenKeys.fill(0)
    pair.checkOpening(opening!, state.theirCommitment, 4) // 5.3
    const id = pair.transcript.add(pprf!).digest() // 5.4
    const zeroSeed = pair.zeroSeed(opening!)
    if (!equalBytes(confirmation!, pair.confirmation(id, pair.peer, zeroSeed)))
      throw pair.abort('setup_mismatch', 4) // 5.5
    const flight5 = pair.confirmation(id, pair.me, zeroSeed) // 5.6
    pair.opening.fill(0)
    return {
      outbox: pair.send(flight5),
      result: new PairSetup({
        id,
        me: pair.me,
        peer: pair.peer,
        gadgetSeed: pair.header,
        zeroSeed,
        leaves: state.leaves,
        delta: state.delta,
        puncturedLeaves,
      }),
    }
  })

function startSecond(pair: Pair): Step<PairSetup> {
  const { suite, hedge } = pair
  const next = pair.round(1, null, (_, inbox) => {
    const flight1 = pair.read(inbox, 1) // 2.1
    pair.checkHeader(flight1, 1) // 2.1
    // F's first flight goes into the randomness before anything is drawn: an F that repeats its part of a setup with
    // another message meets another Δ_S and other points, even if this side's random source was cloned.
    hedge.absorb(flight1) // 2.2
    const commitment = pair.drawOpening() // 2.3
    const [, A, theirCommitment] = cut(
      flight1,
      HEADER_BYTES,
      BASE_OT_SENDER_BYTES,
      COMMITMENT_BYTES,
    )
    const delta = hedge.stream('delta')(DELTA_BYTES) // 2.4
    const choice = complement(delta)
    const base = pair.guard(1, () =>
      receiveBaseOt(suite, pair.sidForward, choice, A!, hedge.stream('base OT')),
    ) // 2.5
    choice.fill(0)
    pair.hold(delta, base.keys)
    const flight2 = concatBytes(pair.header, base.message, commitment) // 2.6
    pair.transcript.add(flight1, flight2)
    return {
      outbox: pair.send(flight2),
      next: thirdOfSecond(pair, {
        theirCommitment: theirCommitment!.slice(),
        delta,
        chosenKeys: base.keys,
      }),
    }
  })
  return { outbox: new Map(), next }
}

interface SecondState {
  readonly theirCommitment: Uint8Array
  readonly delta: Uint8Array
  readonly chosenKeys: Uint8Array
}

const thirdOfSecond = (pair: Pair, waiting: SecondState) =>
  pair.round(3, waiting, (state, inbox) => {
    const { kernel } = pair.suite
    const flight3 = pair.read(inbox, 3) // 4.1
    const [pprf, reverse, opening] = cut(flight3, PPRF_MESSAGE_BYTES, REVERSE_BYTES, OPENING_BYTES)
    const puncturedLeaves = pair.guard(3, () =>
      receivePprf(kernel, pair.sidForward, state.delta, state.chosenKeys, pprf!),
    ) // 4.2
    state.chosenKeys.fill(0)
    const w = pair.guard(3, () =>
      extendSender(kernel, pair.sidForward, puncturedLeaves, state.delta, DELTA_BYTES, reverse!),
    ) // 4.3
    pair.checkOpening(opening!, state.theirCommitment, 3) // 4.4
    const shifted = addDelta(w, state.delta)
    const baseKeys = interleave(pair.columnKeys(w), pair.columnKeys(shifted)) // 4.5
    const { message, leaves } = sendPprf(kernel, pair.sidReverse, baseKeys) // 4.6
    const id = pair.transcript.add(pprf!, reverse!, message).digest() // 4.7
    const zeroSeed = pair.zeroSeed(opening!)
    const mine = pair.confirmation(id, pair.me, zeroSeed)
    const flight4 = concatBytes(message, pair.opening, mine) // 4.8
    wipe(w, shifted, baseKeys, pair.opening)
    pair.hold(leaves, puncturedLeaves, zeroSeed)
    const setup = new PairSetup({
      id,
      me: pair.me,
      peer: pair.peer,
      gadgetSeed: pair.header,
      zeroSeed,
      leaves,
      delta: state.delta,
      puncturedLeaves,
    })
    return { outbox: pair.send(flight4), next: lastOfSecond(pair, setup) }
  })

const lastOfSecond = (pair: Pair, setup: PairSetup) =>
  pair.round(5, setup, (state, inbox) => {
    const flight5 = pair.read(inbox, 5) // 6.1
    if (!equalBytes(flight5, pair.confirmation(state.id, pair.peer, state.zeroSeed)))
      throw pair.abort('setup_mismatch', 5) // 6.2
    return { outbox: new Map(), result: state }
  })

/** key_0, key_1 of instance after instance, from all key_0 and all key_1. */
function interleave(keys0: Uint8Array, keys1: Uint8Array): Uint8Array {
  const out = new Uint8Array(2 * BASE_OTS * KEY_BYTES)
  for (let i = 0; i < BASE_OTS; i++) {
    out.set(keys0.subarray(i * KEY_BYTES, (i + 1) * KEY_BYTES), 2 * i * KEY_BYTES)
    out.set(keys1.subarray(i * KEY_BYTES, (i + 1) * KEY_BYTES), (2 * i + 1) * KEY_BYTES)
  }
  return out
}
