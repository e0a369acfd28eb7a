import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import {
  createIdentity,
  parseRoomUuid,
  quorum,
  RelayConnection,
  runKeygen,
  runSign,
  type Identity,
  type KeyShare,
  type RoomLink,
} from '@vertex/mpc'
import { nativeSuite } from '@vertex/mpc/native'
import { MemorySetups } from '../../mpc/test/support/room.js'
import { verifiesDigest } from '../../mpc/test/support/verify.js'
import { frameSocket } from '../../src/relay/remote.js'
import { joinRemote } from '../../src/relay/index.js'
import { RawClient, startRelay, type Relay } from './support.js'

const suite = nativeSuite()
let relay: Relay
let client: RelayConnection
let socket: WebSocket
beforeAll(async () => {
  relay = await startRelay()
  socket = new WebSocket(`ws://${relay.address}/relay`)
  await new Promise((resolve) => socket.once('open', resolve))
  client = new RelayConnection(frameSocket(socket))
})
afterAll(async () => {
  client.close()
  await relay.close()
})

const deadline = (ms: number) => (expire: () => void) => {
  const timer = setTimeout(expire, ms)
  return () => {
    clearTimeout(timer)
  }
}

/** The three ways into a room: a client's one socket, the process itself, a socket of its own. */
type Entrance = (roomUuid: string, label: Uint8Array, ms: number) => Promise<RoomLink>
const entrances: readonly Entrance[] = [
  (room, label, ms) => client.join(parseRoomUuid(room), label, deadline(ms)),
  (room, label, ms) => Promise.resolve().then(() => relay.rooms.join(room, label, ms)),
  (room, label, ms) => joinRemote(relay.address, room, label, ms),
]

interface Party {
  readonly identity: Identity
  readonly enter: Entrance
  readonly setups: MemorySetups
  share?: KeyShare
}

async function makeKey(t: number, n: number): Promise<Party[]> {
  const parties: Party[] = entrances.slice(0, n).map((enter, at) => ({
    identity: createIdentity(suite.channel, at === 0 ? 'client' : 'vertex'),
    enter,
    setups: new MemorySetups(),
  }))
  const { roomUuid } = relay.rooms.create(n)
  await Promise.all(
    parties.map(async (party) => {
      const { identity, setups } = party
      const link = await party.enter(roomUuid, identity.keygenId, 20_000)
      party.share = await runKeygen({
        suite,
        link,
        room: parseRoomUuid(roomUuid),
        quorum: quorum(t, n),
        identity,
        keygenIds: parties.map((other) => other.identity.keygenId),
        keep: () => Promise.resolve(),
        setups,
      })
    }),
  )
  return parties
}

async function sign(parties: readonly Party[], digest: Uint8Array, ms = 20_000) {
  const { roomUuid } = relay.rooms.create(parties.length)
  return Promise.all(
    parties.map(async ({ enter, identity, share, setups }) =>
      runSign({
        suite,
        link: await enter(roomUuid, identity.keygenId, ms),
        room: parseRoomUuid(roomUuid),
        share: share!,
        digest,
        path: [],
        setups,
      }),
    ),
  )
}

describe('runs through the real relay', () => {
  it('make a 2-of-2 key between a client and the process, and sign with it many times at once', async () => {
    const parties = await makeKey(2, 2)
    const digests = Array.from({ length: 8 }, () => randomBytes(32))
    const signatures = await Promise.all(digests.map((digest) => sign(parties, digest)))
    signatures.forEach(([a, b], at) => {
      expect(a).toEqual(b)
      expect(verifiesDigest(a!, digests[at]!, parties[0]!.share!.publicKey)).toBe(true)
    })
    expect(parties.map(({ setups }) => setups.saves)).toEqual([1, 1])
    expect(client.rooms).toBe(0)
  })

  it('make a 2-of-3 key of a client and two Vertices, and sign with two and with all three', async () => {
    const parties = await makeKey(2, 3)
    const digest = randomBytes(32)
    const { publicKey } = parties[0]!.share!
    for (const signers of [
      parties,
      parties.slice(0, 2),
      parties.slice(1),
      [parties[0]!, parties[2]!],
    ])
      for (const signature of await sign(signers, digest))
        expect(verifiesDigest(signature, digest, publicKey)).toBe(true)
  })

  it('end by the deadline of the one who waits, naming the party that a stranger kept out', async () => {
    const parties = await makeKey(2, 2)
    const [one, other] = parties
    const { roomUuid } = relay.rooms.create(2)
    const stranger = await RawClient.connect(relay.address)
    stranger.join(1, roomUuid, other!.identity.keygenId)
    await stranger.next()
    const link = await one!.enter(roomUuid, one!.identity.keygenId, 300)
    stranger.say({ type: 'send', channel: 1, to: 2, payload: randomBytes(185) })
    const running = runSign({
      suite,
      link,
      room: parseRoomUuid(roomUuid),
      share: one!.share!,
      digest: randomBytes(32),
      path: [],
      setups: one!.setups,
    })
    await expect(other!.enter(roomUuid, other!.identity.keygenId, 300)).rejects.toMatchObject({
      reason: 'room_full',
    })
    await expect(running).rejects.toMatchObject({
      reason: 'room_timeout',
      missing: [{ keygenId: other!.identity.keygenId }],
    })
    stranger.ws.terminate()
    expect(one!.setups.retired).toEqual([])
  })

  it('end at once when the other side breaks off', async () => {
    const parties = await makeKey(2, 2)
    const [one, other] = parties
    const { roomUuid } = relay.rooms.create(2)
    const label = one!.identity.keygenId
    const leaver = await one!.enter(roomUuid, label, 20_000)
    const link = await other!.enter(roomUuid, other!.identity.keygenId, 20_000)
    const running = runSign({
      suite,
      link,
      room: parseRoomUuid(roomUuid),
      share: other!.share!,
      digest: randomBytes(32),
      path: [],
      setups: other!.setups,
    })
    leaver.leave()
    await expect(running).rejects.toMatchObject({
      reason: 'room_abandoned',
      missing: [{ keygenId: one!.identity.keygenId }],
    })
  })
})
