import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { MAX_MESSAGE_BYTES, parseRoomUuid, type RoomLink } from '@vertex/mpc'
import { SharedRooms, type RelayLimits } from '../../src/relay/index.js'
import { decodeEntry, type Entry } from '../../src/relay/shared/entries.js'
import { CREATE, JOIN } from '../../src/relay/shared/scripts.js'
import { SharedRoom, type Wire } from '../../src/relay/shared/shared-room.js'
import { RedisUnavailable, type Redis, type Reply, type Script } from '../../src/redis/index.js'

const elsewhere = 'f'.repeat(32)
const idOf = (n: number) => Buffer.alloc(8, n)
const joinEntry = (slot: number, replica = elsewhere) =>
  Buffer.concat([idOf(slot), Buffer.of(1, slot), Buffer.from(replica), Buffer.of(slot)])
const messageEntry = (n: number, from: number, to: number, ...bytes: number[]) =>
  Buffer.concat([idOf(n), Buffer.of(2, from, to, ...bytes)])

/** Answers what a test says, when it says so. */
class FakeRedis {
  ready = true
  writable = true
  readonly commands: string[] = []
  joining: ((reply: Reply) => void)[] = []
  entries = 1
  #hear: (message: Buffer) => void = () => undefined
  #onReady: () => void = () => undefined

  subscribe(_: string, hear: (message: Buffer) => void): void {
    this.#hear = hear
  }
  onReady(listener: () => void): void {
    this.#onReady = listener
  }
  onLost(): void {
    // It is always there.
  }
  connect(): void {
    this.#onReady()
  }
  send(...command: readonly string[]): Promise<Reply> {
    this.commands.push(command[0]!)
    return this.writable ? Promise.resolve(1) : Promise.reject(new RedisUnavailable())
  }
  run(script: Script): Promise<Reply> {
    if (!this.writable) return Promise.reject(new RedisUnavailable())
    if (script === CREATE) return Promise.resolve(1)
    if (script === JOIN) return new Promise((resolve) => this.joining.push(resolve))
    this.commands.push('script')
    return Promise.resolve((this.entries += 1))
  }
  publish(name: string, number: number, entry: Buffer): void {
    const place = Buffer.alloc(4)
    place.writeUInt32BE(number)
    this.#hear(Buffer.concat([parseRoomUuid(name), place, entry]))
  }
}

describe('a replica that follows a room', () => {
  const open: SharedRooms[] = []
  afterEach(async () => {
    vi.useRealTimers()
    await Promise.all(open.splice(0).map((rooms) => rooms.close()))
  })
  function sharedRooms(limits: Partial<RelayLimits> = {}) {
    const redis = new FakeRedis()
    const rooms = new SharedRooms(redis as unknown as Redis, limits)
    open.push(rooms)
    return { redis, rooms }
  }

  it('hands on what was heard before Redis said that a party is in it', async () => {
    const { redis, rooms } = sharedRooms()
    const name = await rooms.create(2)
    const joining = rooms.join(name, Uint8Array.of(2), 5000)
    // The other connection was faster.
    redis.publish(name, 3, messageEntry(3, 1, 2, 77))
    redis.joining[0]!([2, 2, 60_000, [joinEntry(1), joinEntry(2, 'e'.repeat(32))]])
    const link = await joining
    expect(await link.receive()).toMatchObject({ type: 'peer', slot: 1 })
    const event = await Promise.race([link.receive(), sleep(500)])
    expect(event).toEqual({ type: 'message', from: 1, bytes: Uint8Array.of(77) })
    link.leave()
  })

  it('ends the room that put most into Redis, not the one that has nothing there yet', async () => {
    const { redis, rooms } = sharedRooms({ roomBufferBytes: 8192, bufferBytes: 10_000 })
    const enter = async (): Promise<RoomLink> => {
      const name = await rooms.create(2)
      const joining = rooms.join(name, Uint8Array.of(1), 5000)
      redis.joining.pop()!([1, 2, 60_000, [joinEntry(1)]])
      redis.entries = 1
      return joining
    }
    const greedy = await enter()
    for (let n = 0; n < 4; n++) greedy.send(2, new Uint8Array(1400))
    const modest = await enter()
    modest.send(2, new Uint8Array(2000))
    await expect(greedy.receive()).rejects.toMatchObject({ reason: 'buffer_full' })
    modest.send(2, new Uint8Array(10))
    modest.leave()
  })

  it('is not ready while Redis takes nothing more, and leaves what it could not leave afterwards', async () => {
    const { redis, rooms } = sharedRooms()
    const name = await rooms.create(2)
    const joining = rooms.join(name, Uint8Array.of(1), 5000)
    redis.joining[0]!([1, 2, 60_000, [joinEntry(1)]])
    const link = await joining
    redis.writable = false
    redis.connect()
    await vi.waitFor(() => {
      expect(rooms.ready).toBe(false)
    })
    link.leave()
    await sleep(20)
    redis.commands.length = 0
    redis.writable = true
    await vi.waitFor(
      () => {
        expect(redis.commands).toContain('script')
      },
      { timeout: 5000 },
    )
    expect(rooms.ready).toBe(true)
  })

  it('asks for what is missing although later entries keep coming', () => {
    vi.useFakeTimers()
    const asked: number[] = []
    const wire: Wire = {
      send: () => undefined,
      leave: () => undefined,
      behind: (room) => asked.push(room.known),
    }
    const meter = { held: 0, take: () => true, give: () => undefined }
    const room = new SharedRoom('', 2, meter, wire, () => undefined)
    const entry = (n: number): Entry => decodeEntry(messageEntry(n, 1, 2, n))
    room.take(1, entry(1))
    for (let n = 3; n < 13; n++) {
      room.take(n, entry(n))
      vi.advanceTimersByTime(100)
    }
    expect(asked.length).toBeGreaterThan(1)
    room.take(2, entry(2))
    asked.length = 0
    vi.advanceTimersByTime(1000)
    expect([room.known, asked]).toEqual([12, []])
  })

  it('takes no entry that no Vertex writes', () => {
    const bytes = (...parts: Buffer[]) => Buffer.concat([idOf(1), ...parts])
    for (const entry of [
      joinEntry(0),
      joinEntry(33),
      bytes(Buffer.of(1, 1), Buffer.from('too short')),
      bytes(Buffer.of(1, 1), Buffer.from(elsewhere), Buffer.alloc(256)),
      messageEntry(1, 0, 2, 1),
      messageEntry(1, 33, 2, 1),
      bytes(Buffer.of(2, 1)),
      bytes(Buffer.of(2, 1, 2), Buffer.alloc(MAX_MESSAGE_BYTES + 1)),
      bytes(Buffer.of(3, 0, 0)),
      bytes(Buffer.of(3, 1)),
      bytes(Buffer.of(3, 1, 2)),
      bytes(Buffer.of(5, 1)),
    ])
      expect(() => decodeEntry(entry)).toThrow(RedisUnavailable)
    const largest = bytes(Buffer.of(2, 32, 1), Buffer.alloc(MAX_MESSAGE_BYTES))
    expect(decodeEntry(largest)).toMatchObject({ type: 'message', from: 32, to: 1 })
    expect(decodeEntry(bytes(Buffer.of(3, 1, 0)))).toMatchObject({ type: 'leave', lost: false })
    expect(decodeEntry(bytes(Buffer.of(3, 1, 1)))).toMatchObject({ type: 'leave', lost: true })
    expect(decodeEntry(bytes(Buffer.of(4, 0)))).toMatchObject({ type: 'end' })
  })
})
