import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import {
  concatBytes,
  createIdentity,
  derivePublicKey,
  ProtocolAbort,
  quorum,
  RunFailed,
  runKeygen,
  runSign,
  SessionMismatch,
  type AbortCode,
  type PartyIndex,
  type RoomEvent,
  type Signature,
} from '@vertex/mpc'
import { Peer } from '../src/run/peer.js'
import { PairSetup } from '../src/setup/pair-setup.js'
import { native, readyKey, type Key } from './support/parties.js'
import { errorsOf, hex, MemoryRoom, MemorySetups, resultsOf, signIn } from './support/room.js'
import { verifiesDigest } from './support/verify.js'

let two: Key
let three: Key
beforeAll(() => {
  two = readyKey(2, 2)
  three = readyKey(2, 3)
})

const digest = randomBytes(32)
const p = (index: number) => index as PartyIndex
const bytesIn = (room: MemoryRoom) => room.passed.reduce((sum, { bytes }) => sum + bytes.length, 0)

/** Lets a run go as far as it can, then lets everybody's time run out. */
async function expireWhenIdle(room: MemoryRoom, outcomes: Promise<unknown>): Promise<void> {
  let before = -1
  const state = { done: false }
  void outcomes.then(() => (state.done = true))
  while (!state.done && before !== room.passed.length) {
    before = room.passed.length
    await sleep(60)
  }
  room.end('room_timeout')
}

/** A party's setup that no longer fits the other's, under the same id: it fails a check in its first run. */
function broken(key: Key, me: number, peer: number): MemorySetups {
  const setup = key.setups.get(p(me))!.get(p(peer))!
  const corrupted = new PairSetup({
    id: setup.id,
    me: setup.me,
    peer: setup.peer,
    gadgetSeed: setup.gadgetSeed,
    zeroSeed: setup.zeroSeed,
    leaves: setup.leaves.map((byte) => byte ^ 0x5a),
    delta: setup.delta,
    puncturedLeaves: setup.puncturedLeaves,
  })
  return new MemorySetups(new Map([[p(peer), corrupted]]))
}

describe('a run of two signers', () => {
  it('takes six messages and less than 94 kB when both know the setup', async () => {
    const room = new MemoryRoom(2)
    const setups = [1, 2].map((i) => new MemorySetups(two.setups.get(p(i))))
    const signers = [
      { index: 1, setups: setups[0]! },
      { index: 2, setups: setups[1]! },
    ]
    const [a, b] = resultsOf(await signIn(room, two, signers, digest))
    expect(a).toEqual(b)
    expect(verifiesDigest(a!, digest, two.shares[0]!.publicKey)).toBe(true)
    expect(room.passed.map(({ from }) => from)).toEqual([1, 2, 1, 2, 1, 2])
    expect(bytesIn(room)).toBeLessThan(94_000)
    expect(setups.map(({ saves }) => saves)).toEqual([0, 0])
  })

  it('signs for a derived key', async () => {
    const path = [7, 1]
    const at = { change: <T extends object>(run: T) => ({ ...run, path }) }
    const signers = [
      { index: 1, ...at },
      { index: 2, ...at },
    ]
    const [signature] = resultsOf(await signIn(new MemoryRoom(2), two, signers, digest))
    const { publicKey, chainCode } = two.shares[0]!
    const child = derivePublicKey(native.curve, publicKey, chainCode, path).publicKey
    expect(verifiesDigest(signature!, digest, child)).toBe(true)
    expect(verifiesDigest(signature!, digest, publicKey)).toBe(false)
  })

  it('lets the client move first, whoever joined first', async () => {
    expect(two.shares[0]!.keygenIds.map(([role]) => role)).toEqual([1, 2])
    for (const order of [
      [1, 2],
      [2, 1],
    ]) {
      const room = new MemoryRoom(2)
      const signers = order.map((index) => ({ index }))
      const [a, b] = resultsOf(await signIn(room, two, signers))
      expect(a).toEqual(b)
      expect(room.passed[0]!.from).toBe(order.indexOf(1) + 1)
    }
  })

  it('takes no word of a label for which it is', async () => {
    // A client that comes as a Vertex would make the true Vertex move first, without the protection of moving second.
    const room = new MemoryRoom(2)
    const { keygenIds } = two.shares[0]!
    const running = signIn(room, two, [{ index: 2 }])
    const lie = keygenIds[0]!.slice()
    lie[0] = 2
    room.join(lie)
    room.join(concatBytes(Uint8Array.of(2), keygenIds[0]!))
    await expireWhenIdle(room, running)
    expect(errorsOf(await running)[0]).toMatchObject({ missing: [{ index: 1 }] })
    expect(room.passed).toEqual([])
  })

  it('makes a setup in the same room when one side has none, and needs none the next time', async () => {
    const [mine, theirs] = [new MemorySetups(), new MemorySetups(two.setups.get(p(2)))]
    const old = theirs.saved.get(p(1))!.id
    const signers = [
      { index: 1, setups: mine },
      { index: 2, setups: theirs },
    ]
    const [a, b] = resultsOf(await signIn(new MemoryRoom(2), two, signers, digest))
    expect(a).toEqual(b)
    expect([mine.saves, theirs.saves]).toEqual([1, 1])
    expect(mine.saved.get(p(2))!.id).toEqual(theirs.saved.get(p(1))!.id)
    expect(hex(mine.saved.get(p(2))!.id)).not.toBe(hex(old))
    const warm = new MemoryRoom(2)
    resultsOf(await signIn(warm, two, signers))
    expect(warm.passed).toHaveLength(6)
  })

  it('makes a new setup when the two sides hold different ones', async () => {
    const other = readyKey(2, 2).setups.get(p(1))!
    const setups = [new MemorySetups(other), new MemorySetups(two.setups.get(p(2)))]
    const signers = setups.map((of, at) => ({ index: at + 1, setups: of }))
    resultsOf(await signIn(new MemoryRoom(2), two, signers))
    expect(setups[0]!.saved.get(p(2))!.id).toEqual(setups[1]!.saved.get(p(1))!.id)
    expect(setups.map(({ saves }) => saves)).toEqual([1, 1])
  })

  it.each([
    ['digest', { digest: randomBytes(32) }],
    ['derivation path', { path: [3] }],
  ] as const)('ends without blame when the sides differ in the %s', async (field, change) => {
    for (const index of [1, 2]) {
      const setups = [1, 2].map((i) => new MemorySetups(two.setups.get(p(i))))
      const signers = [1, 2].map((i) => ({
        index: i,
        setups: setups[i - 1]!,
        change: <T extends object>(run: T) => (i === index ? { ...run, ...change } : run),
      }))
      for (const error of errorsOf(await signIn(new MemoryRoom(2), two, signers))) {
        expect(error).toBeInstanceOf(SessionMismatch)
        expect(error).toMatchObject({ code: 'session_mismatch', field, culprits: [], round: 0 })
        expect((error as Error).message).toContain(field)
      }
      for (const { retired, saves, asked } of setups)
        expect([retired, saves, asked]).toEqual([[], 0, []])
    }
  })

  it('ends without blame when the sides hold shares of different epochs', async () => {
    const share = { ...two.shares[1]!, epoch: 5 }
    const signers = [
      { index: 1 },
      { index: 2, change: <T extends object>(run: T) => ({ ...run, share }) },
    ]
    for (const error of errorsOf(await signIn(new MemoryRoom(2), two, signers)))
      expect(error).toMatchObject({ code: 'session_mismatch', field: 'epoch', reaction: 'restart' })
  })

  it('asks whether the setup is alive right before it works on a message, and before it sends one', async () => {
    const setups = [1, 2].map((i) => new MemorySetups(two.setups.get(p(i))))
    const signers = setups.map((of, at) => ({ index: at + 1, setups: of }))
    resultsOf(await signIn(new MemoryRoom(2), two, signers))
    const id = hex(two.setups.get(p(1))!.get(p(2))!.id)
    expect(setups.map(({ asked }) => asked)).toEqual([
      [id, id, id, id],
      [id, id, id, id],
    ])
  })

  it('retires a setup that fails a check before anything is answered, and tells the other side', async () => {
    const room = new MemoryRoom(2)
    const order: string[] = []
    class Slow extends MemorySetups {
      override async retire(id: Uint8Array, peer: PartyIndex, code: AbortCode, blamed: boolean) {
        const sent = room.passed.length
        await sleep(20)
        order.push(`retired after ${room.passed.length - sent} further messages`)
        return super.retire(id, peer, code, blamed)
      }
    }
    const setups = [broken(two, 1, 2), new Slow(two.setups.get(p(2)))]
    const signers = setups.map((of, at) => ({ index: at + 1, setups: of }))
    const [one, other] = errorsOf(await signIn(room, two, signers))
    expect(other).toBeInstanceOf(ProtocolAbort)
    expect(other).toMatchObject({ code: 'ot_check_failed', culprits: [1] })
    expect(one).toBeInstanceOf(RunFailed)
    expect(one).toMatchObject({
      reason: 'peer_aborted',
      abort: { by: 2, code: 'ot_check_failed', round: (other as ProtocolAbort).round },
    })
    expect(order).toEqual(['retired after 0 further messages'])
    const id = hex(two.setups.get(p(1))!.get(p(2))!.id)
    expect(setups[1]!.retired).toEqual([{ id, peer: 1, code: 'ot_check_failed', blamed: true }])
    expect(setups[0]!.retired).toEqual([{ id, peer: 2, code: 'ot_check_failed', blamed: false }])
  })

  it('lets nothing but the failure to retire out when a setup cannot be retired', async () => {
    class Full extends MemorySetups {
      override retire(): Promise<boolean> {
        return Promise.reject(new Error('no space left'))
      }
    }
    const signers = [
      { index: 1, setups: broken(two, 1, 2) },
      { index: 2, setups: new Full(two.setups.get(p(2))) },
    ]
    const [one, other] = errorsOf(await signIn(new MemoryRoom(2), two, signers))
    expect(other).toMatchObject({ message: 'no space left' })
    expect(one).toMatchObject({ reason: 'peer_aborted', abort: { code: undefined, round: 0 } })
  })

  it('shows one failed check of a setup at most, however many runs fail at once', async () => {
    const cheat = broken(two, 1, 2)
    const honest = new MemorySetups(two.setups.get(p(2)))
    const runs = await Promise.all(
      [0, 1, 2, 3].map(() =>
        signIn(new MemoryRoom(2), two, [
          { index: 1, setups: cheat },
          { index: 2, setups: honest },
        ]),
      ),
    )
    const codes = runs.map((run) => (errorsOf(run)[1] as ProtocolAbort).code).sort()
    expect(codes).toEqual([
      'ot_check_failed',
      'session_mismatch',
      'session_mismatch',
      'session_mismatch',
    ])
    expect(honest.retired).toHaveLength(1)
  })

  it('ends every concurrent run on a setup when one of them fails', async () => {
    const setups = [1, 2].map((i) => new MemorySetups(two.setups.get(p(i))))
    const waiting = new MemoryRoom(2)
    const held: [RoomEvent, number][] = []
    let seen = 0
    waiting.relaying = (event, to) => {
      if (event.type !== 'message' || ++seen <= 3) return [event]
      held.push([event, to])
      return []
    }
    const stalled = signIn(
      waiting,
      two,
      setups.map((of, at) => ({ index: at + 1, setups: of })),
    )
    while (held.length === 0) await sleep(10)

    class Same extends MemorySetups {
      override retire(id: Uint8Array, peer: PartyIndex, code: AbortCode, blamed: boolean) {
        return setups[0]!.retire(id, peer, code, blamed)
      }
    }
    const cheat = new Same(broken(two, 1, 2).saved)
    errorsOf(
      await signIn(new MemoryRoom(2), two, [
        { index: 1, setups: cheat },
        { index: 2, setups: setups[1]! },
      ]),
    )

    const sent = waiting.passed.length
    waiting.relaying = (event) => [event]
    for (const [event, to] of held) waiting.inject(event, to)
    for (const error of errorsOf(await stalled)) {
      if (error instanceof RunFailed)
        expect(error.abort).toMatchObject({ code: 'session_mismatch' })
      else expect(error).toMatchObject({ code: 'session_mismatch', field: 'setup' })
    }
    // What is still sent is the notice: a code and a round in an encrypted frame.
    for (const { bytes } of waiting.passed.slice(sent)) expect(bytes).toHaveLength(20)
    for (const { retired } of setups) expect(retired).toHaveLength(1)
  })

  it('tells the cache which setup the other side offers, and lets it end the run', async () => {
    class Watchful extends MemorySetups {
      readonly heard: unknown[] = []
      constructor(
        setups: ReadonlyMap<PartyIndex, PairSetup>,
        readonly refuses: boolean,
      ) {
        super(setups)
      }
      offered(peer: PartyIndex, id: Uint8Array | undefined): void {
        this.heard.push([peer, id === undefined ? undefined : hex(id)])
        if (this.refuses) throw new Error('it has gone back in time')
      }
    }
    const known = two.setups.get(p(1))!
    const id = hex(known.get(p(2))!.id)
    for (const [theirs, heard] of [
      [two.setups.get(p(2))!, [[2, id]]],
      [new Map(), [[2, undefined]]],
    ] as const) {
      const setups = new Watchful(known, false)
      const other = new MemorySetups(theirs)
      const signers = [setups, other].map((of, at) => ({ index: at + 1, setups: of }))
      resultsOf(await signIn(new MemoryRoom(2), two, signers))
      expect(setups.heard).toEqual(heard)
    }
    const setups = new Watchful(known, true)
    const errors = errorsOf(
      await signIn(new MemoryRoom(2), two, [{ index: 1, setups }, { index: 2 }]),
    )
    expect(errors[0]).toMatchObject({ message: 'it has gone back in time' })
    expect(errors[1]).toMatchObject({ reason: 'peer_aborted', abort: { code: undefined } })
    expect([setups.asked, setups.retired, setups.saves]).toEqual([[], [], 0])
  })

  it('refuses a room of a size that cannot be, and a digest that is none', async () => {
    const outcomes = await signIn(new MemoryRoom(3), two, [{ index: 1 }])
    expect(errorsOf(outcomes)[0]).toMatchObject({ code: 'session_mismatch', field: 'room size' })
    const change = <T extends object>(run: T) => ({ ...run, digest: randomBytes(31) })
    const bad = await signIn(new MemoryRoom(2), two, [{ index: 1, change }])
    expect(errorsOf(bad)[0]).toBeInstanceOf(RangeError)
  })
})

describe('a run of three signers', () => {
  it('signs in a room of three', async () => {
    const room = new MemoryRoom(3)
    const signers = [{ index: 1 }, { index: 2 }, { index: 3 }]
    const [a, b, c] = resultsOf(await signIn(room, three, signers, digest))
    expect(b).toEqual(a)
    expect(c).toEqual(a)
    expect(verifiesDigest(a!, digest, three.shares[0]!.publicKey)).toBe(true)
    // For each of three pairs: two handshake messages, one offer, then a hello and three rounds each way.
    expect(room.passed).toHaveLength(3 * (2 + 1 + 2 * 4))
  })

  it.each([
    [1, 2],
    [1, 3],
    [2, 3],
  ])('needs two of its parties only, such as %i and %i', async (i, j) => {
    const room = new MemoryRoom(2)
    const [a, b] = resultsOf(await signIn(room, three, [{ index: i }, { index: j }], digest))
    expect(a).toEqual(b)
    expect(verifiesDigest(a!, digest, three.shares[0]!.publicKey)).toBe(true)
    expect(room.passed).toHaveLength(6)
  })

  it('makes the setups that are missing and uses the others', async () => {
    const all = [1, 2, 3].map((i) => new MemorySetups(three.setups.get(p(i))))
    all[0]!.saved.delete(p(3))
    const signers = all.map((setups, at) => ({ index: at + 1, setups }))
    const [a, b, c] = resultsOf(await signIn(new MemoryRoom(3), three, signers))
    expect([b, c]).toEqual([a, a])
    expect(all.map(({ saves }) => saves)).toEqual([1, 0, 1])
    expect(all[0]!.saved.get(p(3))!.id).toEqual(all[2]!.saved.get(p(1))!.id)
  })

  it('tells everybody when two of them do not mean the same', async () => {
    const other = { change: <T extends object>(run: T) => ({ ...run, digest: randomBytes(32) }) }
    const setups = [1, 2, 3].map((i) => new MemorySetups(three.setups.get(p(i))))
    const signers = setups.map((of, at) => ({
      index: at + 1,
      setups: of,
      ...(at === 2 ? other : {}),
    }))
    for (const error of errorsOf(await signIn(new MemoryRoom(3), three, signers)))
      expect(error instanceof RunFailed ? error.abort : error).toMatchObject({
        code: 'session_mismatch',
      })
    for (const { retired, saves } of setups) expect([retired, saves]).toEqual([[], 0])
  })

  it('leaves nothing waiting when one pair ends the run while another makes a setup', async () => {
    const received = vi.spyOn(Peer.prototype, 'receive')
    const setups = [1, 2, 3].map(() => new MemorySetups())
    Object.assign(setups[0]!, {
      offered: (peer: PartyIndex) =>
        peer === p(2)
          ? new Promise((_, no) => setTimeout(no, 50, new Error('of the cache')))
          : undefined,
    })
    const signers = setups.map((of, at) => ({ index: at + 1, setups: of }))
    const errors = errorsOf(await signIn(new MemoryRoom(3), three, signers))
    expect(errors[0]).toMatchObject({ message: 'of the cache' })
    const waits = received.mock.results.map(({ value }) => value as Promise<unknown>)
    received.mockRestore()
    expect(waits.length).toBeGreaterThan(2)
    await Promise.allSettled(waits)
  })

  it('blames the one party whose setup fails, and leaves the other setups alone', async () => {
    const cheat = broken(three, 2, 3)
    cheat.saved.set(p(1), three.setups.get(p(2))!.get(p(1))!)
    const setups = [
      new MemorySetups(three.setups.get(p(1))),
      cheat,
      new MemorySetups(three.setups.get(p(3))),
    ]
    const signers = setups.map((of, at) => ({ index: at + 1, setups: of }))
    const errors = errorsOf(await signIn(new MemoryRoom(3), three, signers))
    expect(errors[2]).toMatchObject({ culprits: [2], reaction: 'retire_setup' })
    expect(setups[2]!.retired.map(({ peer, blamed }) => [peer, blamed])).toEqual([[2, true]])
    expect(errors[0]).toMatchObject({ reason: 'peer_aborted' })
    expect(setups[0]!.retired.filter(({ blamed }) => blamed)).toEqual([])
  })

  it('does not sign for anybody when the relay shows the parties different companies', async () => {
    // A 2-of-3 key in "rooms of two", where the relay gives party 1 another partner than it gives party 2.
    const room = new MemoryRoom(3)
    room.relaying = (event, to) => {
      if (event.type === 'peer' && to + event.slot === 3) return []
      return [event]
    }
    const signers = [1, 2, 3].map((index) => ({ index, size: 2 }))
    const outcomes = signIn(room, three, signers)
    await expireWhenIdle(room, outcomes)
    const done = (await outcomes).filter((o) => o.status === 'fulfilled').length
    // Party 3 meets whoever comes first; the other one is missing somebody. Nobody is blamed.
    expect(done).toBeLessThanOrEqual(2)
    for (const outcome of await outcomes)
      if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(RunFailed)
  })
})

describe('a relay that cheats', () => {
  /** Runs two signers through a cheating relay until nothing moves any more. */
  async function cheated(cheat: (room: MemoryRoom) => void) {
    const room = new MemoryRoom(2)
    cheat(room)
    const setups = [1, 2].map((i) => new MemorySetups(two.setups.get(p(i))))
    const running = signIn(
      room,
      two,
      setups.map((of, at) => ({ index: at + 1, setups: of })),
      digest,
    )
    await expireWhenIdle(room, running)
    const outcomes = await running
    for (const { retired, saves } of setups) expect([retired, saves]).toEqual([[], 0])
    return outcomes
  }

  /** Cheats with the n-th message only. */
  const atMessage = (n: number, made: (event: RoomEvent & { type: 'message' }) => RoomEvent[]) => {
    return (room: MemoryRoom) => {
      let count = 0
      room.relaying = (event) => (event.type === 'message' && ++count === n ? made(event) : [event])
    }
  }
  const bent = (bytes: Uint8Array, at: number) => {
    const copy = bytes.slice()
    copy[at < 0 ? bytes.length + at : at]! ^= 1
    return copy
  }
  const failures = (outcomes: PromiseSettledResult<Signature>[]) =>
    outcomes.flatMap((o) => (o.status === 'rejected' ? [o.reason as unknown] : []))

  it.each([1, 2, 3, 4, 5, 6])('that drops message %i makes the run time out', async (n) => {
    const outcomes = await cheated(atMessage(n, () => []))
    const errors = failures(outcomes)
    expect(errors).toHaveLength(n === 6 ? 1 : 2)
    for (const error of errors) expect(error).toMatchObject({ reason: 'room_timeout' })
    const missing = (errors as RunFailed[]).map((error) => error.missing.map(({ index }) => index))
    expect(missing).toEqual(n === 6 ? [[2]].slice(0, 1).map(() => [2]) : [[2], [1]])
  })

  it.each([1, 2])('that forges message %i of the handshake is as one that drops it', async (n) => {
    for (const at of [0, 40, -1]) {
      const forged = atMessage(n, (event) => [{ ...event, bytes: bent(event.bytes, at) }])
      for (const error of failures(await cheated(forged)))
        expect(error).toMatchObject({ reason: 'room_timeout' })
    }
  })

  it.each([3, 4, 5, 6])('that forges message %i blames nobody', async (n) => {
    for (const at of [0, -1]) {
      const forged = atMessage(n, (event) => [{ ...event, bytes: bent(event.bytes, at) }])
      const errors = failures(await cheated(forged))
      expect(errors.length).toBeGreaterThan(0)
      for (const error of errors) {
        expect(error).toBeInstanceOf(RunFailed)
        expect(['link_broken', 'room_timeout', 'peer_aborted']).toContain(
          (error as RunFailed).reason,
        )
      }
      if (n > 3) expect(errors.map((error) => (error as RunFailed).reason)).toContain('link_broken')
    }
  })

  it.each([1, 2, 3, 4, 5, 6])('that repeats message %i blames nobody', async (n) => {
    const errors = failures(await cheated(atMessage(n, (event) => [event, event])))
    for (const error of errors) expect(error).toBeInstanceOf(RunFailed)
  })

  it('that adds junk before the handshakes is done changes nothing', async () => {
    const outcomes = await cheated((room) => {
      const heard = new Set<number>()
      room.relaying = (event, to) => {
        if (event.type !== 'message' || heard.has(to)) return [event]
        heard.add(to)
        const junk = [0, 1, 47, 48, 49, 185, 300].map((length): RoomEvent => {
          return { type: 'message', from: event.from, bytes: randomBytes(length) }
        })
        const stranger: RoomEvent = { type: 'message', from: 9, bytes: randomBytes(48) }
        return [stranger, ...junk, event]
      }
    })
    const [a, b] = resultsOf(outcomes)
    expect(a).toEqual(b)
  })

  it('that plays the messages of another run changes nothing', async () => {
    const earlier = new MemoryRoom(2)
    resultsOf(await signIn(earlier, two, [{ index: 1 }, { index: 2 }], digest))
    const outcomes = await cheated((room) => {
      const heard = new Set<number>()
      room.relaying = (event, to) => {
        if (event.type !== 'message' || heard.has(to)) return [event]
        heard.add(to)
        const old = earlier.passed.filter((m) => m.to === to)
        return [...old.map(({ from, bytes }) => ({ type: 'message' as const, from, bytes })), event]
      }
    })
    const [a, b] = resultsOf(outcomes)
    expect(a).toEqual(b)
  })

  it('that holds back a genuine first message and repeats it cannot shut out the true run', async () => {
    const outcomes = await cheated((room) => {
      let first: RoomEvent | undefined
      room.relaying = (event) => {
        if (event.type !== 'message' || first !== undefined) return [event]
        first = event
        return [event, event, event]
      }
    })
    // The answers to the repeated message do not decrypt as messages of the channel: a broken link, no blame.
    for (const error of failures(outcomes)) expect(error).toBeInstanceOf(RunFailed)
  })

  it('that repeats the first message of an earlier run in a room of the same name shuts nobody out', async () => {
    const failed = new MemoryRoom(2, (event) => (event.type === 'message' ? [] : [event]))
    const running = signIn(failed, two, [{ index: 1 }, { index: 2 }], digest)
    await expireWhenIdle(failed, running)
    errorsOf(await running)
    const [old] = failed.passed
    const again = new MemoryRoom(2)
    const change = <T extends object>(run: T) => ({ ...run, room: failed.id })
    let first = true
    again.relaying = (event, to) => {
      if (event.type !== 'message' || to !== 2 || !first) return [event]
      first = false
      return [{ ...event, bytes: old!.bytes }, event]
    }
    const signers = [
      { index: 1, change },
      { index: 2, change },
    ]
    const [a, b] = resultsOf(await signIn(again, two, signers, digest))
    expect(a).toEqual(b)
    // Both first messages were good, so both were answered; only the true one led on.
    expect(again.passed).toHaveLength(7)
  })

  it.each([
    [
      'swaps the roles',
      (label: Uint8Array) => Uint8Array.from(label, (b, i) => (i === 0 ? 3 - b : b)),
    ],
    ['changes the keygen_ids', (label: Uint8Array) => bent(label, 5)],
    ['shortens the labels', (label: Uint8Array) => label.subarray(0, 20)],
    [
      'sends an unknown role',
      (label: Uint8Array) => Uint8Array.from(label, (b, i) => (i === 0 ? 9 : b)),
    ],
  ])('that %s keeps the parties apart and is told by the missing party', async (_, lie) => {
    const outcomes = await cheated((room) => {
      room.relaying = (event) =>
        event.type === 'peer' ? [{ ...event, label: lie(event.label) }] : [event]
    })
    const [one, other] = errorsOf(outcomes)
    expect(one).toMatchObject({ reason: 'room_timeout', missing: [{ index: 2 }] })
    expect(other).toMatchObject({ reason: 'room_timeout', missing: [{ index: 1 }] })
  })

  it('that gives each party its own label back keeps them apart', async () => {
    const labels = two.shares.map((share, at) => share.keygenIds[at]!)
    const outcomes = await cheated((room) => {
      room.relaying = (event, to) =>
        event.type === 'peer' ? [{ ...event, label: labels[to - 1]! }] : [event]
    })
    for (const error of errorsOf(outcomes)) expect(error).toMatchObject({ reason: 'room_timeout' })
  })

  it('that swaps two senders among three stops the run without blame', async () => {
    const room = new MemoryRoom(3)
    room.relaying = (event, to) => {
      if (event.type === 'peer') return [event]
      const other = 6 - to - event.from
      return [{ ...event, from: other }]
    }
    const setups = [1, 2, 3].map((i) => new MemorySetups(three.setups.get(p(i))))
    const signers = setups.map((of, at) => ({ index: at + 1, setups: of }))
    const running = signIn(room, three, signers)
    await expireWhenIdle(room, running)
    for (const error of errorsOf(await running))
      expect(error).toMatchObject({ reason: 'room_timeout' })
    for (const { retired } of setups) expect(retired).toEqual([])
  })

  it('that delivers different senders in any order does no harm', async () => {
    const room = new MemoryRoom(3)
    const late: [RoomEvent, number][] = []
    // Everything from party 2 comes last, as far as that is possible.
    room.relaying = (event, to) => {
      if (event.type !== 'message' || event.from !== 2) return [event]
      late.push([event, to])
      return []
    }
    const state = { over: false }
    const running = signIn(room, three, [{ index: 1 }, { index: 2 }, { index: 3 }])
    void running.then(() => (state.over = true))
    while (!state.over) {
      await sleep(5)
      for (const [event, to] of late.splice(0)) room.inject(event, to)
    }
    const [a, b, c] = resultsOf(await running)
    expect([b, c]).toEqual([a, a])
  })

  it('that puts two parties of different rooms together keeps them apart', async () => {
    const outcomes = await (async () => {
      const room = new MemoryRoom(2)
      const other = randomBytes(16)
      const change = <T extends object>(run: T) => ({ ...run, room: other })
      const running = signIn(room, two, [{ index: 1 }, { index: 2, change }])
      await expireWhenIdle(room, running)
      return running
    })()
    for (const error of errorsOf(outcomes)) expect(error).toMatchObject({ reason: 'room_timeout' })
  })

  it('that puts a signer and a party of a keygen together keeps them apart', async () => {
    const room = new MemoryRoom(2)
    const { keygenIds, identitySecret } = two.shares[1]!
    const signing = signIn(room, two, [{ index: 1 }])
    const making = Promise.allSettled([
      runKeygen({
        suite: native,
        link: room.join(keygenIds[1]!),
        room: room.id,
        quorum: quorum(2, 2),
        identity: { secret: identitySecret.reveal(), keygenId: keygenIds[1]! },
        keygenIds,
        keep: () => Promise.reject(new Error('nothing to keep')),
        setups: new MemorySetups(),
      }),
    ])
    await expireWhenIdle(room, Promise.all([signing, making]))
    for (const error of [...errorsOf(await signing), ...errorsOf(await making)])
      expect(error).toMatchObject({ reason: 'room_timeout', missing: [{}] })
  })
})

describe('an outsider in the room', () => {
  it.each([
    ['with a label of its own', () => createIdentity(native.channel, 'vertex').keygenId],
    ['with the label of a party', () => two.shares[1]!.keygenIds[1]!],
    ['with no label', () => new Uint8Array(0)],
  ])('%s leaves the run waiting for the missing party', async (_, label) => {
    const room = new MemoryRoom(2)
    const setups = new MemorySetups(two.setups.get(p(1)))
    const running = signIn(room, two, [{ index: 1, setups }])
    const outsider = room.join(label())
    await sleep(20)
    for (const length of [0, 48, 185, 4000]) outsider.send(1, randomBytes(length))
    for (let i = 0; i < 40; i++) outsider.send(1, randomBytes(185))
    await expireWhenIdle(room, running)
    const [error] = errorsOf(await running)
    expect(error).toBeInstanceOf(RunFailed)
    expect(error).toMatchObject({ reason: 'room_timeout' })
    const { missing, message } = error as RunFailed
    expect(missing).toEqual([{ index: 2, keygenId: two.shares[0]!.keygenIds[1] }])
    expect(message).toContain(hex(two.shares[0]!.keygenIds[1]!))
    expect([setups.retired, setups.saves, setups.asked]).toEqual([[], 0, []])
  })

  it('with a key of the same parties but another share is not taken for the party', async () => {
    const stranger = createIdentity(native.channel, 'vertex')
    const room = new MemoryRoom(2)
    const running = signIn(room, two, [{ index: 1 }])
    const { keygenIds, ...share } = two.shares[1]!
    const forged = [keygenIds[0]!, stranger.keygenId]
    const other = runSign({
      suite: native,
      link: room.join(keygenIds[1]!),
      room: room.id,
      share: { ...share, keygenIds: forged },
      digest,
      path: [],
      setups: new MemorySetups(two.setups.get(p(2))),
    })
    const both = Promise.allSettled([other])
    await expireWhenIdle(room, Promise.all([running, both]))
    expect(errorsOf(await running)[0]).toMatchObject({ reason: 'room_timeout' })
    expect(errorsOf(await both)[0]).toMatchObject({ reason: 'room_timeout' })
  })
})
