import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { beforeAll, describe, expect, it } from 'vitest'
import {
  concatBytes,
  createIdentity,
  ProtocolAbort,
  quorum,
  RunFailed,
  runKeygen,
  tags,
  Transcript,
  type KeyShare,
  type PartyIndex,
  type RoomEvent,
  type SignRun,
  type Suite,
} from '@vertex/mpc'
import { channelKey } from '../src/channel/identity.js'
import { IdentityKey } from '../src/channel/identity-key.js'
import { initiate } from '../src/channel/noise.js'
import { retiring } from '../src/run/retire.js'
import { protocols } from '../src/run/wire.js'
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

/** A suite that changes a byte of one message of a pair setup before it enters the channel: a party that cheats. */
function cheatingInSetup(number: number, byte: number): Suite {
  const { channel } = native
  return {
    ...native,
    channel: {
      ...channel,
      encrypt: (key, nonce, ad, ...plaintext) => {
        const changed = concatBytes(...plaintext)
        if (changed[0] === protocols.setup && changed[1] === number) changed[2 + byte]! ^= 1
        return channel.encrypt(key, nonce, ad, changed)
      },
    },
  }
}

/** Who cheats in which of its messages, and what the other side finds. Flight 3 is the client's second message. */
const cheats = [
  ['an all-but-one proof of the first mover', 1, 2, 96, 'pprf_check_failed'],
  ['the extension of the first mover', 1, 2, 8192, 'ot_check_failed'],
  ['an all-but-one proof of the second mover', 2, 2, 96, 'pprf_check_failed'],
] as const

describe('a party that cheats in a pair setup', () => {
  it.each(cheats)(
    'ends a signature by %s, is blamed once, and the key signs on',
    async (_, cheat, number, byte, code) => {
      const suite = cheatingInSetup(number, byte)
      const change = (run: SignRun): SignRun => ({ ...run, suite })
      const setups = [new MemorySetups(), new MemorySetups()]
      const signers = setups.map((of, at) => ({
        index: at + 1,
        setups: of,
        ...(at + 1 === cheat && { change }),
      }))
      const errors = errorsOf(await signIn(new MemoryRoom(2), two, signers, digest))
      const honest = 2 - cheat
      expect(errors[honest]).toBeInstanceOf(ProtocolAbort)
      expect(errors[honest]).toMatchObject({ code, culprits: [cheat], reaction: 'retire_setup' })
      expect(errors[cheat - 1]).toBeInstanceOf(RunFailed)
      expect(errors[cheat - 1]).toMatchObject({ reason: 'peer_aborted', abort: { code } })
      expect(setups[honest]!.retired).toMatchObject([{ peer: cheat, code, blamed: true }])
      expect(setups[cheat - 1]!.retired).toEqual([])
      expect(setups.map(({ saves }) => saves)).toEqual([0, 0])

      const again = setups.map((of, at) => ({ index: at + 1, setups: of }))
      const [signature] = resultsOf(await signIn(new MemoryRoom(2), two, again, digest))
      expect(verifiesDigest(signature!, digest, two.shares[0]!.publicKey)).toBe(true)
      expect(setups.map(({ saves }) => saves)).toEqual([1, 1])
    },
  )

  it.each(cheats)(
    'after a keygen by %s is blamed once, and the key stays',
    async (_, cheat, number, byte, code) => {
      const room = new MemoryRoom(2)
      const identities = (['client', 'vertex'] as const).map((role) =>
        createIdentity(native.channel, role),
      )
      const setups = [new MemorySetups(), new MemorySetups()]
      const kept: KeyShare[] = []
      const shares = await Promise.all(
        identities.map((identity, at) =>
          runKeygen({
            suite: at + 1 === cheat ? cheatingInSetup(number, byte) : native,
            link: room.join(identity.keygenId),
            room: room.id,
            quorum: quorum(2, 2),
            identity,
            keygenIds: identities.map(({ keygenId }) => keygenId),
            keep: (share) => {
              kept.push(share)
              return Promise.resolve()
            },
            setups: setups[at]!,
          }),
        ),
      )
      expect(kept).toHaveLength(2)
      expect(setups[2 - cheat]!.retired).toMatchObject([{ peer: cheat, code, blamed: true }])
      expect(setups[cheat - 1]!.retired).toEqual([])
      expect(setups.map(({ saves }) => saves)).toEqual([0, 0])

      const key = { shares, suites: [native], setups: new Map() }
      const signers = setups.map((of, at) => ({ index: at + 1, setups: of }))
      const [signature] = resultsOf(await signIn(new MemoryRoom(2), key, signers, digest))
      expect(verifiesDigest(signature!, digest, shares[0]!.publicKey)).toBe(true)
    },
  )
})

describe('a failure that proves nobody guilty', () => {
  it('among three signers retires every setup of the run, and counts against nobody', async () => {
    const suite = { ...native, curve: { ...native.curve, recover: () => undefined } }
    const setups = [1, 2, 3].map((i) => new MemorySetups(three.setups.get(p(i))))
    const signers = setups.map((of, at) => ({
      index: at + 1,
      setups: of,
      ...(at === 0 && { change: (run: SignRun): SignRun => ({ ...run, suite }) }),
    }))
    const [outcome] = await signIn(new MemoryRoom(3), three, signers)
    const [error] = errorsOf([outcome!])
    expect(error).toMatchObject({
      code: 'signature_invalid',
      culprits: [],
      reaction: 'retire_setup',
    })
    const idWith = (peer: number) => hex(three.setups.get(p(1))!.get(p(peer))!.id)
    const code = 'signature_invalid'
    expect(setups[0]!.retired).toEqual([
      { id: idWith(2), peer: 2, code, blamed: false },
      { id: idWith(3), peer: 3, code, blamed: false },
    ])
  })

  it('that cannot be recorded for one setup retires the others all the same', async () => {
    class Partly extends MemorySetups {
      override retire(...args: Parameters<MemorySetups['retire']>): Promise<boolean> {
        if (args[1] === 2) return Promise.reject(new Error('no space left'))
        return super.retire(...args)
      }
    }
    const setups = new Partly()
    const ids = new Map([2, 3, 4].map((peer) => [p(peer), randomBytes(32)]))
    const failed = retiring(setups, ids, () =>
      Promise.reject(new ProtocolAbort('signature_invalid', 4)),
    )
    // The error of the retirement, and no word of the check.
    await expect(failed).rejects.toThrow(/^no space left$/)
    expect(setups.retired.map(({ peer, blamed }) => [peer, blamed])).toEqual([
      [3, false],
      [4, false],
    ])
  })

  it('says no more than that a setup is dead if one of them was so already', async () => {
    const setups = new MemorySetups()
    const ids = new Map([2, 3].map((peer) => [p(peer), randomBytes(32)]))
    await setups.retire(ids.get(p(3))!, p(3), 'ot_check_failed', true)
    await expect(
      retiring(setups, ids, () => Promise.reject(new ProtocolAbort('signature_invalid', 4))),
    ).rejects.toMatchObject({ code: 'session_mismatch', field: 'setup' })
    expect(setups.retired).toHaveLength(2)
  })
})

describe('a slot that has not authenticated', () => {
  async function expireWhenIdle(room: MemoryRoom, outcomes: Promise<unknown>): Promise<void> {
    let before = -1
    const state = { done: false }
    void outcomes.then(() => (state.done = true))
    while (!state.done && before !== room.passed.length) {
      before = room.passed.length
      await sleep(80)
    }
    room.end('room_timeout')
  }

  it.each([
    [14, 'fulfilled'],
    [15, 'rejected'],
  ])(
    'is heard 16 times: with %i useless messages before the true ones the run is %s',
    async (n, end) => {
      const room = new MemoryRoom(2)
      let first = true
      room.relaying = (event, to) => {
        if (event.type !== 'message' || to !== 2 || !first) return [event]
        first = false
        const junk = (): RoomEvent => ({ ...event, bytes: randomBytes(48) })
        return [...Array.from({ length: n }, junk), event]
      }
      const running = signIn(room, two, [{ index: 1 }, { index: 2 }])
      await expireWhenIdle(room, running)
      expect((await running).map(({ status }) => status)).toEqual([end, end])
    },
  )

  it('is answered four handshakes at most', async () => {
    const room = new MemoryRoom(2)
    room.relaying = (event, to) => {
      if (event.type !== 'message') return [event]
      return to === 2 ? Array.from({ length: 10 }, () => event) : []
    }
    const running = signIn(room, two, [{ index: 1 }, { index: 2 }])
    await expireWhenIdle(room, running)
    errorsOf(await running)
    expect(room.passed.filter(({ from }) => from === 2)).toHaveLength(4)
  })

  it('is not answered when its first message carries anything', async () => {
    const room = new MemoryRoom(2)
    const running = signIn(room, two, [{ index: 2 }])
    const { keygenIds, identitySecret } = two.shares[0]!
    const client = room.join(keygenIds[0]!)
    const handshake = {
      crypto: native.channel,
      prologue: new Transcript(tags.channelPrologue)
        .add(room.id, Uint8Array.of(2))
        .list(keygenIds)
        .digest(),
      identity: new IdentityKey(native.channel, identitySecret.reveal()),
      own: channelKey(keygenIds[0]!),
      peer: channelKey(keygenIds[1]!),
    }
    const answers = () => room.passed.filter(({ from }) => from === 1).length
    client.send(1, initiate(handshake, Uint8Array.of(1)).message)
    await sleep(50)
    expect(answers()).toBe(0)
    client.send(1, initiate(handshake).message)
    await expireWhenIdle(room, running)
    expect(answers()).toBe(1)
    errorsOf(await running)
  })
})
