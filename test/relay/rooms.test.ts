import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { MAX_MESSAGE_BYTES, RoomClosed, type RoomLink } from '@vertex/mpc'
import { RelayBusy, roomPort, Rooms, type RelayLimits } from '../../src/relay/index.js'

const label = (n: number) => Uint8Array.of(n)
const open: Rooms[] = []
const rooms = (limits: Partial<RelayLimits> = {}) => {
  const made = new Rooms(limits)
  open.push(made)
  return made
}
afterEach(async () => {
  await Promise.all(open.splice(0).map((r) => r.close()))
})

const reasonOf = (join: () => unknown): string => {
  try {
    join()
  } catch (error) {
    if (error instanceof RoomClosed) return error.reason
    throw error
  }
  return 'joined'
}
const endOf = async (link: RoomLink): Promise<string> => {
  for (;;)
    try {
      await link.receive()
    } catch (error) {
      return (error as RoomClosed).reason
    }
}

describe('a room', () => {
  it('introduces its parties to each other and carries their messages', async () => {
    const relay = rooms()
    const { roomUuid } = relay.create(3)
    const a = relay.join(roomUuid, label(1), 1000)
    a.send(3, Uint8Array.of(13))
    const b = relay.join(roomUuid, label(2), 1000)
    b.send(1, Uint8Array.of(21))
    const c = relay.join(roomUuid.toUpperCase(), label(3), 1000)
    expect([a.slot, b.slot, c.slot, a.size]).toEqual([1, 2, 3, 3])
    expect(await a.receive()).toEqual({ type: 'peer', slot: 2, label: label(2) })
    expect(await a.receive()).toEqual({ type: 'message', from: 2, bytes: Uint8Array.of(21) })
    expect(await a.receive()).toEqual({ type: 'peer', slot: 3, label: label(3) })
    expect(await c.receive()).toEqual({ type: 'peer', slot: 1, label: label(1) })
    expect(await c.receive()).toEqual({ type: 'peer', slot: 2, label: label(2) })
    expect(await c.receive()).toEqual({ type: 'message', from: 1, bytes: Uint8Array.of(13) })
    expect(relay.usage.bufferedBytes).toBe(0)
  })

  it('takes nobody once it is full, and is used for ever after it has ended', async () => {
    const relay = rooms()
    const { roomUuid } = relay.create(2)
    const [a, b] = [1, 2].map((n) => relay.join(roomUuid, label(n), 1000))
    expect(reasonOf(() => relay.join(roomUuid, label(3), 1000))).toBe('room_full')
    a!.leave()
    expect(reasonOf(() => relay.join(roomUuid, label(3), 1000))).toBe('room_used')
    expect(await endOf(b!)).toBe('room_abandoned')
    b!.leave()
    expect(reasonOf(() => relay.join(roomUuid, label(3), 1000))).toBe('room_used')
    expect(relay.usage).toMatchObject({ rooms: 0, tombstones: 1 })
  })

  it('still hands out what had been sent when the sender left', async () => {
    const relay = rooms()
    const { roomUuid } = relay.create(2)
    const a = relay.join(roomUuid, label(1), 1000)
    const b = relay.join(roomUuid, label(2), 1000)
    a.send(2, Uint8Array.of(7))
    a.leave()
    expect(await b.receive()).toMatchObject({ type: 'peer' })
    expect(await b.receive()).toMatchObject({ type: 'message', bytes: Uint8Array.of(7) })
    expect(await endOf(b)).toBe('room_abandoned')
  })

  it('goes on with the others when one of three leaves', async () => {
    const relay = rooms()
    const { roomUuid } = relay.create(3)
    const [a, b, c] = [1, 2, 3].map((n) => relay.join(roomUuid, label(n), 1000))
    a!.leave()
    b!.send(3, Uint8Array.of(1))
    b!.send(1, Uint8Array.of(2))
    for (let i = 0; i < 2; i++) await c!.receive()
    expect(await c!.receive()).toMatchObject({ type: 'message', from: 2 })
    b!.leave()
    expect(await endOf(c!)).toBe('room_abandoned')
  })

  it('ends at once when a party leaves before all have come, for it can never fill', async () => {
    const relay = rooms()
    const { roomUuid } = relay.create(3)
    const a = relay.join(roomUuid, label(1), 1000)
    const b = relay.join(roomUuid, label(2), 1000)
    a.leave()
    expect(await endOf(b)).toBe('room_abandoned')
    expect(reasonOf(() => relay.join(roomUuid, label(3), 1000))).toBe('room_used')
  })

  it('says unknown, expired and used apart', async () => {
    const relay = rooms({ roomLifetimeMs: 20 })
    const [empty, half, full] = [1, 2, 3].map(() => relay.create(2).roomUuid)
    const waiting = relay.join(half!, label(1), 1000)
    relay.join(full!, label(1), 1000)
    relay.join(full!, label(2), 1000)
    expect(await endOf(waiting)).toBe('room_expired')
    await sleep(30)
    expect(reasonOf(() => relay.join(empty!, label(1), 1000))).toBe('room_expired')
    expect(reasonOf(() => relay.join(half!, label(1), 1000))).toBe('room_expired')
    expect(reasonOf(() => relay.join(full!, label(1), 1000))).toBe('room_used')
    expect(reasonOf(() => relay.join('ffffffff-ffff-ffff-ffff-ffffffffffff', label(1), 9))).toBe(
      'room_unknown',
    )
    for (const name of ['', 'no uuid', '\0', '../../etc'])
      expect(reasonOf(() => relay.join(name, label(1), 9))).toBe('room_unknown')
  })

  it('tells a party in time that its own time is up, and the others that it went', async () => {
    const relay = rooms()
    const { roomUuid } = relay.create(2)
    const a = relay.join(roomUuid, label(1), 20)
    const b = relay.join(roomUuid, label(2), 1000)
    expect(await endOf(a)).toBe('room_timeout')
    expect(await endOf(b)).toBe('room_abandoned')
    expect(() => {
      a.send(2, label(1))
    }).toThrow('room timeout')
  })

  it('rejects a waiting party that leaves', async () => {
    const relay = rooms()
    const a = relay.join(relay.create(2).roomUuid, label(1), 1000)
    const waiting = a.receive()
    a.leave()
    a.leave()
    await expect(waiting).rejects.toMatchObject({ reason: 'left' })
  })

  it('has a name of 128 random bits', () => {
    const relay = rooms()
    const names = Array.from({ length: 200 }, () => relay.create(2).roomUuid)
    expect(new Set(names).size).toBe(200)
    const ored = new Uint8Array(16)
    for (const name of names) {
      expect(name).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
      Buffer.from(name.replaceAll('-', ''), 'hex').forEach((byte, i) => (ored[i]! |= byte))
    }
    expect(ored.every((byte) => byte === 0xff)).toBe(true)
  })
})

describe('the limits of the relay', () => {
  it.each([0, 1, 33, 2.5, NaN])('refuse a room for %d parties', (size) => {
    expect(() => rooms().create(size)).toThrow(RangeError)
  })

  it('bound the rooms that are open at once', () => {
    const relay = rooms({ rooms: 2 })
    relay.create(2)
    const { roomUuid } = relay.create(2)
    expect(() => relay.create(2)).toThrow(RelayBusy)
    relay.join(roomUuid, label(1), 1000).leave()
    expect(relay.create(2).roomUuid).toBeTruthy()
  })

  it('put out who sends a message that is too long, or to a slot that cannot be', async () => {
    const relay = rooms()
    for (const [to, length, reason] of [
      [2, MAX_MESSAGE_BYTES + 1, 'message_too_large'],
      [1, 1, 'bad_frame'],
      [0, 1, 'bad_frame'],
      [4, 1, 'bad_frame'],
    ] as const) {
      const { roomUuid } = relay.create(3)
      const [a, b] = [1, 2, 3].map((n) => relay.join(roomUuid, label(n), 1000))
      expect(
        reasonOf(() => {
          a!.send(to, new Uint8Array(length))
        }),
      ).toBe(reason)
      expect(await endOf(a!)).toBe(reason)
      b!.send(3, new Uint8Array(MAX_MESSAGE_BYTES))
    }
  })

  it('bound what waits for a party that has not come', async () => {
    const relay = rooms({ roomBufferBytes: 2000 })
    const { roomUuid } = relay.create(2)
    const a = relay.join(roomUuid, label(1), 1000)
    a.send(2, new Uint8Array(600))
    expect(relay.usage.bufferedBytes).toBe(600 + 512)
    expect(
      reasonOf(() => {
        a.send(2, new Uint8Array(600))
      }),
    ).toBe('buffer_full')
    expect(await endOf(a)).toBe('buffer_full')
    expect(relay.usage).toMatchObject({ bufferedBytes: 0, rooms: 0 })
  })

  it('bound what waits for a party in the process that does not read', async () => {
    const relay = rooms({ roomBufferBytes: 2000 })
    const { roomUuid } = relay.create(3)
    const [a, b, c] = [1, 2, 3].map((n) => relay.join(roomUuid, label(n), 1000))
    a!.send(2, new Uint8Array(600))
    a!.send(2, new Uint8Array(600))
    expect(await endOf(b!)).toBe('buffer_full')
    expect(relay.usage.bufferedBytes).toBe(0)
    a!.send(3, new Uint8Array(900))
    expect(relay.usage.bufferedBytes).toBe(900 + 512)
    c!.leave()
    expect(relay.usage.bufferedBytes).toBe(0)
  })

  it('bound what all rooms hold together', () => {
    const relay = rooms({ bufferBytes: 2000 })
    const links = [1, 2].map(() => relay.join(relay.create(2).roomUuid, label(1), 1000))
    links[0]!.send(2, new Uint8Array(600))
    expect(
      reasonOf(() => {
        links[1]!.send(2, new Uint8Array(600))
      }),
    ).toBe('buffer_full')
  })

  it('take the fullest room, and not a small one, when all together hold too much', async () => {
    const relay = rooms({ bufferBytes: 10_000 })
    const hoards = [3000, 4000].map((length) => {
      const link = relay.join(relay.create(2).roomUuid, label(1), 1000)
      link.send(2, new Uint8Array(length))
      return link
    })
    // Somebody else's message of an ordinary size
    const { roomUuid } = relay.create(2)
    const link = relay.join(roomUuid, label(1), 1000)
    link.send(2, new Uint8Array(2500))
    expect(await endOf(hoards[1]!)).toBe('buffer_full')
    const other = relay.join(roomUuid, label(2), 1000)
    expect(await other.receive()).toMatchObject({ type: 'peer' })
    expect(await other.receive()).toMatchObject({ bytes: new Uint8Array(2500) })
    expect(relay.usage).toMatchObject({ rooms: 2, bufferedBytes: 3000 + 512 })
    hoards[0]!.send(2, new Uint8Array(3000))
    // Nobody has more than this one would have.
    expect(
      reasonOf(() => {
        hoards[0]!.send(2, new Uint8Array(3000))
      }),
    ).toBe('buffer_full')
    link.leave()
  })

  it('bound the memory of rooms that were, and forget them in time', async () => {
    const relay = rooms({ tombstones: 3, tombstoneMs: 30 })
    const names = Array.from({ length: 5 }, () => {
      const { roomUuid } = relay.create(2)
      relay.join(roomUuid, label(1), 1000).leave()
      return roomUuid
    })
    expect(relay.usage.tombstones).toBe(3)
    expect(reasonOf(() => relay.join(names[0]!, label(1), 9))).toBe('room_unknown')
    expect(reasonOf(() => relay.join(names[4]!, label(1), 9))).toBe('room_used')
    await sleep(40)
    expect(reasonOf(() => relay.join(names[4]!, label(1), 9))).toBe('room_unknown')
    expect(relay.usage.tombstones).toBe(0)
  })

  it('refuse a label that is too long', () => {
    const relay = rooms()
    const { roomUuid } = relay.create(2)
    expect(reasonOf(() => relay.join(roomUuid, new Uint8Array(256), 1000))).toBe('bad_frame')
    expect(relay.join(roomUuid, new Uint8Array(255), 1000).slot).toBe(1)
  })
})

describe('closing the relay', () => {
  it('tells everybody and opens no more rooms', async () => {
    const relay = rooms()
    const { roomUuid } = relay.create(2)
    const a = relay.join(roomUuid, label(1), 1000)
    await relay.close()
    expect(await endOf(a)).toBe('connection_lost')
    expect(() => relay.create(2)).toThrow(RelayBusy)
  })

  it('lets the rooms that are open end in peace, for a while', async () => {
    const relay = rooms()
    const { roomUuid } = relay.create(2)
    const [a, b] = [1, 2].map((n) => relay.join(roomUuid, label(n), 1000))
    let closed = false
    const closing = relay.close(5000).then(() => (closed = true))
    await sleep(20)
    expect(closed).toBe(false)
    a!.leave()
    b!.leave()
    await closing
    expect(await endOf(b!)).toBe('room_abandoned')
  })
})

describe('the port of the rooms', () => {
  it('creates and joins in the process', async () => {
    const port = roomPort(rooms())
    const room = await port.create(2)
    const link = await port.join(room, label(1), { deadlineMs: 1000 })
    expect([link.slot, link.size]).toEqual([1, 2])
    await expect(port.create(1)).rejects.toBeInstanceOf(RangeError)
    await expect(port.join('x', label(1), { deadlineMs: 9 })).rejects.toMatchObject({
      reason: 'room_unknown',
    })
  })
})
