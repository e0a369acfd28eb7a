import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { RoomClosed } from '@vertex/mpc'
import type { Entrance, Place } from '../../src/relay/entrance.js'
import { Gates } from '../../src/relay/gates.js'
import { defaultRelayLimits, type RelayLimits } from '../../src/relay/limits.js'
import { RawClient, until } from './support.js'

const room = '00000000-0000-4000-8000-000000000000'

/** Rooms that take their time to answer, as those that replicas share do. */
class SlowRooms implements Entrance {
  readonly asked: { refuse: () => void }[] = []

  enter(): Promise<Place> {
    return new Promise((_, reject) => {
      this.asked.push({
        refuse: () => {
          reject(new RoomClosed('room_unknown'))
        },
      })
    })
  }
}

describe('a room that takes its time to answer', () => {
  const open: (() => Promise<void>)[] = []
  afterEach(async () => {
    await Promise.all(open.splice(0).map((close) => close()))
  })
  async function relayWith(limits: Partial<RelayLimits>) {
    const rooms = new SlowRooms()
    const gates = new Gates(rooms, { ...defaultRelayLimits, ...limits })
    const server: Server = createServer()
    gates.attach(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    open.push(async () => {
      await gates.close()
      await new Promise((resolve) => server.close(resolve))
    })
    const { port } = server.address() as AddressInfo
    return { rooms, client: await RawClient.connect(`127.0.0.1:${port}`) }
  }

  it('counts among the channels of its socket until it has answered, left or not', async () => {
    const { rooms, client } = await relayWith({ channelsPerSocket: 3 })
    for (let n = 0; n < 5; n++) {
      client.join(1, room)
      client.say({ type: 'leave', channel: 1 })
    }
    for (let n = 0; n < 2; n++)
      expect(await client.next()).toEqual({ type: 'closed', channel: 1, reason: 'buffer_full' })
    expect(rooms.asked).toHaveLength(3)
    for (const each of rooms.asked.splice(0)) each.refuse()
    await until(() => {
      client.join(2, room)
      client.say({ type: 'leave', channel: 2 })
      return rooms.asked.length > 0
    })
  })

  it('that refuses counts as tried out, although nobody waits for the answer', async () => {
    const { rooms, client } = await relayWith({ refusedJoinsPerSocket: 4 })
    for (let n = 0; n < 4; n++) {
      client.join(1, room)
      client.say({ type: 'leave', channel: 1 })
    }
    await until(() => rooms.asked.length === 4)
    for (const each of rooms.asked) each.refuse()
    expect(await client.closed).toEqual({ code: 1008, reason: 'too many refused joins' })
    expect(client.frames).toEqual([])
  })

  it('gives a stranger no more time than one that answers at once', async () => {
    const { rooms, client } = await relayWith({ strangerMs: 300, idleMs: 60_000 })
    client.join(1, room)
    await until(() => rooms.asked.length === 1)
    rooms.asked[0]!.refuse()
    expect(await client.next()).toMatchObject({ type: 'closed', reason: 'room_unknown' })
    expect(await client.closed).toMatchObject({ code: 1008 })
  })
})
