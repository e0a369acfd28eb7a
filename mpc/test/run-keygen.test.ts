import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import {
  bytesToHex,
  createIdentity,
  nobleSuite,
  quorum,
  runKeygen,
  SessionMismatch,
  type KeygenRun,
  type KeyShare,
  type Role,
  type Suite,
} from '@vertex/mpc'
import { native } from './support/parties.js'
import { errorsOf, MemoryRoom, MemorySetups, resultsOf, signIn } from './support/room.js'
import { verifiesDigest } from './support/verify.js'

interface Party {
  readonly kept: KeyShare[]
  readonly setups: MemorySetups
  readonly keygenId: Uint8Array
}

/** Lets n parties make a key in a room; `change` makes one of them err. */
function keygenIn(
  room: MemoryRoom,
  threshold: number,
  change: (run: KeygenRun, at: number) => KeygenRun = (run) => run,
  suites: readonly Suite[] = [native],
  come = room.size,
  roles: readonly Role[] = ['client'],
) {
  const identities = Array.from({ length: room.size }, (_, at) =>
    createIdentity(native.channel, roles[at] ?? 'vertex'),
  )
  const parties: Party[] = identities.map(({ keygenId }) => ({
    kept: [],
    setups: new MemorySetups(),
    keygenId,
  }))
  const running = Promise.allSettled(
    identities.slice(0, come).map((identity, at) => {
      const run: KeygenRun = {
        suite: suites[Math.min(at, suites.length - 1)]!,
        link: room.join(identity.keygenId),
        room: room.id,
        quorum: quorum(threshold, room.size),
        identity,
        keygenIds: identities.map(({ keygenId }) => keygenId),
        keep: (share) => {
          parties[at]!.kept.push(share)
          return Promise.resolve()
        },
        setups: parties[at]!.setups,
      }
      return runKeygen(change(run, at))
    }),
  )
  return { parties, running }
}

async function expireWhenIdle(room: MemoryRoom, outcomes: Promise<unknown>): Promise<void> {
  let before = -1
  const state = { done: false }
  void outcomes.then(() => (state.done = true))
  while (!state.done && before !== room.passed.length) {
    before = room.passed.length
    await sleep(150)
  }
  room.end('room_timeout')
}

describe('a keygen run', () => {
  it.each([
    [2, 2],
    [2, 3],
  ])('makes a %i-of-%i key and all setups, and the first signature needs no more', async (t, n) => {
    const { parties, running } = keygenIn(new MemoryRoom(n), t)
    const shares = resultsOf(await running).sort((a, b) => a.index - b.index)
    expect(shares.map(({ index }) => index)).toEqual(Array.from({ length: n }, (_, i) => i + 1))
    for (const share of shares) {
      expect(share.publicKey).toEqual(shares[0]!.publicKey)
      expect(share.chainCode).toEqual(shares[0]!.chainCode)
      expect(share.fingerprint).toEqual(shares[0]!.fingerprint)
    }
    for (const { kept, setups } of parties) {
      expect(kept).toHaveLength(1)
      expect(setups.saves).toBe(n - 1)
    }
    const byIndex = new Map(parties.map(({ kept, setups }) => [kept[0]!.index, setups]))
    for (const share of shares)
      for (const [peer, setup] of byIndex.get(share.index)!.saved)
        expect(byIndex.get(peer)!.saved.get(share.index)!.id).toEqual(setup.id)

    const room = new MemoryRoom(2)
    const digest = randomBytes(32)
    const key = {
      shares,
      suites: [native],
      setups: new Map([...byIndex].map(([index, { saved }]) => [index, saved])),
    }
    const [signature] = resultsOf(await signIn(room, key, [{ index: 1 }, { index: n }], digest))
    expect(verifiesDigest(signature!, digest, shares[0]!.publicKey)).toBe(true)
    expect(room.passed).toHaveLength(6)
  })

  it('works between the native and the reference backends', async () => {
    const { running } = keygenIn(new MemoryRoom(2), 2, undefined, [nobleSuite(), native])
    const [a, b] = resultsOf(await running)
    expect(a!.publicKey).toEqual(b!.publicKey)
  })

  it('lets nothing of the confirmation leave before the share is kept', async () => {
    const room = new MemoryRoom(2)
    let sentWhileKeeping = 0
    const { running } = keygenIn(room, 2, (run, at) =>
      at === 0
        ? run
        : {
            ...run,
            keep: async () => {
              const before = room.passed.filter(({ from }) => from === 2).length
              await sleep(40)
              sentWhileKeeping = room.passed.filter(({ from }) => from === 2).length - before
            },
          },
    )
    resultsOf(await running)
    expect(sentWhileKeeping).toBe(0)
  })

  it('ends for all, and without a key, when one cannot keep its share', async () => {
    const { running } = keygenIn(new MemoryRoom(3), 2, (run, at) =>
      at === 2 ? { ...run, keep: () => Promise.reject(new Error('no space left')) } : run,
    )
    const errors = errorsOf(await running)
    expect(errors[2]).toMatchObject({ message: 'no space left' })
    for (const error of errors.slice(0, 2))
      expect(error).toMatchObject({ reason: 'peer_aborted', abort: { code: undefined } })
  })

  it('keeps a confirmed key when there is no time left for the setups', async () => {
    const room = new MemoryRoom(2)
    const { parties, running } = keygenIn(room, 2)
    // The setup's messages are the first after six rounds of keygen: 2 + 6 + 6 have passed by then.
    room.relaying = (event) => (event.type === 'message' && room.passed.length > 14 ? [] : [event])
    await expireWhenIdle(room, running)
    const [a, b] = resultsOf(await running)
    expect(a!.publicKey).toEqual(b!.publicKey)
    for (const { setups } of parties) expect([setups.saves, setups.retired]).toEqual([0, []])
  })

  it('keeps a confirmed key when a setup cannot be saved', async () => {
    class Full extends MemorySetups {
      override save(): Promise<void> {
        return Promise.reject(new Error('no space left'))
      }
    }
    const { running } = keygenIn(new MemoryRoom(2), 2, (run, at) =>
      at === 0 ? { ...run, setups: new Full() } : run,
    )
    expect(resultsOf(await running)).toHaveLength(2)
  })

  it('names the parties that never came', async () => {
    const room = new MemoryRoom(3)
    const { parties, running } = keygenIn(room, 2, undefined, [native], 2)
    await expireWhenIdle(room, running)
    for (const error of errorsOf(await running)) {
      expect(error).toMatchObject({ reason: 'room_timeout' })
      const missing = (error as { missing: { keygenId: Uint8Array }[] }).missing
      expect(missing.map(({ keygenId }) => keygenId)).toEqual([parties[2]!.keygenId])
      expect((error as Error).message).toContain(bytesToHex(parties[2]!.keygenId))
    }
    for (const { kept } of parties) expect(kept).toEqual([])
  })

  it('ends without blame when the parties want different thresholds', async () => {
    const { running } = keygenIn(new MemoryRoom(3), 2, (run, at) =>
      at === 1 ? { ...run, quorum: quorum(3, 3) } : run,
    )
    const errors = errorsOf(await running)
    expect(errors[1]).toMatchObject({ field: 'threshold', culprits: [] })
    for (const error of errors) {
      const abort = error instanceof SessionMismatch ? error : (error as { abort: object }).abort
      expect(abort).toMatchObject({ code: 'session_mismatch' })
    }
  })

  it('does not meet parties that know other keygen_ids', async () => {
    const room = new MemoryRoom(3)
    const stranger = createIdentity(native.channel, 'vertex').keygenId
    const { running } = keygenIn(room, 2, (run, at) =>
      at === 0 ? { ...run, keygenIds: [...run.keygenIds.slice(0, 2), stranger] } : run,
    )
    await expireWhenIdle(room, running)
    for (const error of errorsOf(await running))
      expect(error).toMatchObject({ reason: 'room_timeout' })
  })

  it('refuses keygen_ids that are too few, twice the same, or without the own, and leaves the room', async () => {
    const bad: ((ids: readonly Uint8Array[], own: Uint8Array) => Uint8Array[])[] = [
      (ids) => ids.slice(1),
      (ids) => [ids[0]!, ids[0]!],
      (ids, own) =>
        ids.map((id) => (id === own ? createIdentity(native.channel, 'vertex').keygenId : id)),
    ]
    for (const make of bad) {
      const room = new MemoryRoom(2)
      let link: KeygenRun['link'] | undefined
      const { running } = keygenIn(
        room,
        2,
        (run) => {
          link = run.link
          return { ...run, keygenIds: make(run.keygenIds, run.identity.keygenId) }
        },
        [native],
        1,
      )
      expect(errorsOf(await running)[0]).toBeInstanceOf(RangeError)
      await expect(link!.receive()).rejects.toMatchObject({ reason: 'left' })
    }
  })

  it('refuses a keygen_id with which no secret can be agreed, and leaves the room', async () => {
    const minusOne = Uint8Array.from({ length: 33 }, () => 0xff)
    minusOne.set([1, 0xec])
    minusOne[32] = 0x7f
    for (const bad of [minusOne, Uint8Array.from({ length: 33 }, (_, i) => (i === 0 ? 2 : 0))]) {
      const room = new MemoryRoom(2)
      const { running } = keygenIn(
        room,
        2,
        (run) => ({ ...run, keygenIds: [run.identity.keygenId, bad] }),
        [native],
        1,
      )
      const [error] = errorsOf(await running)
      expect(error).toBeInstanceOf(RangeError)
      expect(error).toMatchObject({ message: 'a keygen_id with a public key of small order' })
      expect(room.passed).toEqual([])
    }
  })

  it('takes a party with which it cannot begin a handshake for one that never came', async () => {
    const room = new MemoryRoom(2)
    const secretKey = () => ({ agree: () => new Uint8Array(32), forget: () => undefined })
    const careless = { ...native, channel: { ...native.channel, secretKey } }
    const { running } = keygenIn(room, 2, (run, at) =>
      at === 0 ? { ...run, suite: careless } : run,
    )
    await expireWhenIdle(room, running)
    for (const error of errorsOf(await running))
      expect(error).toMatchObject({ reason: 'room_timeout', missing: [{}] })
  })

  it.each([
    ['the client', ['vertex', 'client'], 2],
    ['the client', ['client', 'vertex'], 1],
    ['the lower index of two Vertices', ['vertex', 'vertex'], undefined],
    ['the lower index of two clients', ['client', 'client'], undefined],
  ] as const)('lets %s of %j move first', async (_, roles, first) => {
    const room = new MemoryRoom(2)
    const { parties, running } = keygenIn(room, 2, undefined, [native], 2, roles)
    resultsOf(await running)
    const lower = parties.findIndex(({ kept }) => kept[0]!.index === 1) + 1
    expect(room.passed[0]!.from).toBe(first ?? lower)
    expect(lower).toBe(first ?? lower)
  })

  it('refuses a room that is not for all parties', async () => {
    const room = new MemoryRoom(2)
    const { running } = keygenIn(room, 2, (run) => ({
      ...run,
      link: { ...run.link, size: 3 },
    }))
    for (const error of errorsOf(await running)) expect(error).toMatchObject({ field: 'room size' })
  })

  it('cannot be led to blame anybody by a relay that forges messages', async () => {
    for (const n of [3, 5, 8, 11, 14]) {
      const room = new MemoryRoom(2)
      let count = 0
      room.relaying = (event) => {
        if (event.type !== 'message' || ++count !== n) return [event]
        const bytes = event.bytes.slice()
        bytes[bytes.length >> 1]! ^= 1
        return [{ ...event, bytes }]
      }
      const { parties, running } = keygenIn(room, 2)
      await expireWhenIdle(room, running)
      for (const outcome of await running)
        if (outcome.status === 'rejected')
          expect(outcome.reason).toMatchObject({ name: 'RunFailed' })
      for (const { setups } of parties) expect(setups.retired).toEqual([])
    }
  })
})
