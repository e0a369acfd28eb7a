import { randomBytes } from 'node:crypto'
import type { Server } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Server as SecureServer } from 'node:https'
import {
  MAX_ROOM_SIZE,
  parseRoomUuid,
  RoomClosed,
  roomUuid,
  type RoomCloseReason,
  type RoomLink,
} from '@vertex/mpc'
import { RedisUnavailable, type Redis, type Reply } from '../../redis/index.js'
import { Buffers, type RoomMeter } from '../buffers.js'
import { Emptying } from '../emptying.js'
import type { Entrance, Place } from '../entrance.js'
import { Gates } from '../gates.js'
import { defaultRelayLimits, type RelayLimits } from '../limits.js'
import { LocalLink } from '../local-link.js'
import { costOf, type Seat } from '../room.js'
import { assertRoomSize, canonical, RelayBusy } from '../rooms.js'
import {
  BY_ITSELF,
  decodeEntry,
  foreign,
  ID_BYTES,
  LOST,
  REPLICA_BYTES,
  type Entry,
} from './entries.js'
import { CATCH_UP, CREATE, JOIN, LEAVE, SEND } from './scripts.js'
import { SharedRoom, type Wire } from './shared-room.js'

const TICK_MS = 1_000
/** How long a replica counts as alive after it last said so. */
const PRESENCE_MS = 6_000
/** Rooms outlive a lost connection for so long. */
const BLINK_MS = 3_000
/** A room in which nothing happens is looked at after this time, then less and less often. */
const QUIET_MS = 2_000
/** How long to wait before a slot is asked for again. */
const RETRY_MS = 100
const NAME_BYTES = 16
const NUMBER_BYTES = 4

interface Open {
  readonly room: SharedRoom
  /** What this replica has put into the log of the room. */
  readonly sent: RoomMeter
  readonly timer: NodeJS.Timeout
  activeAt: number
  lookAt: number
}

/** A party that left while Redis could not be told. */
interface Owed {
  readonly name: string
  readonly who: Who
  readonly lost: boolean
  readonly until: number
}

/** A slot, or the joining that may have got one. */
type Who = number | Buffer

interface Entering {
  parties: number
  readonly heard: [number: number, entry: Entry][]
  heardBytes: number
}

/**
 * Rooms that replicas share through Redis: whoever is in one may have come through any of them. Same rules and entrances
 * as the rooms of one process. docs/spec/relay.md, "Between replicas"
 */
export class SharedRooms implements Entrance, Wire {
  readonly #replica = randomBytes(REPLICA_BYTES / 2).toString('hex')
  readonly #limits: RelayLimits
  readonly #gates: Gates
  readonly #unread: Buffers
  readonly #sent: Buffers
  readonly #open = new Map<string, Open>()
  /** Rooms that parties of this replica are about to enter, and what was heard of them before Redis said how they stand. */
  readonly #entering = new Map<string, Entering>()
  /** Rooms that were opened here and that somebody may still come into, and until when. Oldest first. */
  readonly #waiting = new Map<string, number>()
  #owed: Owed[] = []
  readonly #ticks: NodeJS.Timeout
  #blink: NodeJS.Timeout | undefined
  /** Redis may answer and yet take nothing more: it is full, or another one is the primary now. */
  #writable = true
  #onUsed: (name: string) => void = () => undefined
  readonly #emptying = new Emptying()
  #closing = false

  constructor(
    private readonly redis: Redis,
    limits: Partial<RelayLimits> = {},
  ) {
    this.#limits = { ...defaultRelayLimits, ...limits }
    this.#gates = new Gates(this, this.#limits)
    this.#unread = new Buffers(this.#limits, (more) => {
      this.#endFullest(more)
    })
    this.#sent = new Buffers(this.#limits, (more) => {
      this.#endLongest(more)
    })
    redis.subscribe(channelOf(this.#replica), (message) => {
      try {
        this.#hear(message)
      } catch (error) {
        if (!(error instanceof RedisUnavailable)) throw error
        // Nothing that a Vertex would publish.
      }
    })
    redis.onReady(() => {
      this.#back()
    })
    redis.onLost(() => {
      this.#blink = setTimeout(() => {
        this.#loseAll()
      }, BLINK_MS)
    })
    this.#ticks = setInterval(() => void this.#tick(), TICK_MS)
    this.#ticks.unref()
  }

  get ready(): boolean {
    return this.redis.ready && this.#writable
  }

  get usage() {
    return {
      rooms: this.#open.size,
      tombstones: 0,
      bufferedBytes: this.#unread.bytes + this.#sent.bytes,
      ...this.#gates.usage,
    }
  }

  /** Told of rooms that were opened here and are waited for no more, whichever replica they are used at. */
  onUsed(listener: (roomUuid: string) => void): void {
    this.#onUsed = listener
  }

  /**
   * Opens a one-time room for exactly `size` parties.
   * @throws RangeError for a size that is not allowed
   * @throws RelayBusy when too many rooms of this replica wait, or it is about to close
   * @throws RoomClosed `connection_lost` when Redis cannot be asked
   */
  async create(size: number): Promise<string> {
    assertRoomSize(size)
    this.#forgetExpired()
    if (this.#closing || this.#waiting.size >= this.#limits.rooms) throw new RelayBusy()
    const name = roomUuid(randomBytes(NAME_BYTES))
    const { roomLifetimeMs } = this.#limits
    this.#waiting.set(name, Date.now() + roomLifetimeMs)
    try {
      const args = [String(size), String(roomLifetimeMs), this.#replica]
      await this.redis.run(CREATE, keysOf(name), [bytesOf(name), ...args])
      return name
    } catch (error) {
      this.#waiting.delete(name)
      throw asClosed(error)
    }
  }

  /** @throws RoomClosed with the reason why the room cannot be joined */
  async enter(given: string, label: Uint8Array, seat: Seat): Promise<Place> {
    const name = canonical(given)
    if (this.#closing) throw new RoomClosed('connection_lost')
    const entering = this.#entering.get(name) ?? { parties: 0, heard: [], heardBytes: 0 }
    this.#entering.set(name, entering)
    entering.parties++
    try {
      return await this.#sit(name, label, seat, entering)
    } catch (error) {
      throw asClosed(error)
    } finally {
      if (--entering.parties === 0) this.#entering.delete(name)
    }
  }

  /**
   * Takes a slot and gives it to the party, without a step between the look at what is followed and that. Where the
   * connection breaks before the answer, nobody knows whether the slot was taken: it is asked for again by the same id,
   * and left as one that was lost when that does not come to an end. @throws RoomClosed, RedisUnavailable
   */
  async #sit(name: string, label: Uint8Array, seat: Seat, entering: Entering): Promise<Place> {
    const id = newId()
    const args = [bytesOf(name), this.#replica, id, Buffer.from(label)]
    const giveUp = performance.now() + BLINK_MS
    let mayHaveSlot = false
    for (;;)
      try {
        const [slot, size, livesMs, log] = joined(await this.redis.run(JOIN, keysOf(name), args))
        mayHaveSlot = true
        const { room } = this.#opened(name, size, livesMs)
        // What others here were told of since this log was read would be missing for this party: the next one has it.
        if (log.length < room.known) throw new RedisUnavailable()
        const place = room.seat(slot, seat, log)
        for (const [number, entry] of entering.heard.splice(0)) this.#take(room, number, entry)
        return place
      } catch (error) {
        mayHaveSlot ||= error instanceof RedisUnavailable && error.unanswered
        if (!mayHaveSlot) throw error
        if (!(error instanceof RedisUnavailable) || !(await this.#isBack(giveUp))) {
          this.leave(name, Buffer.concat([Buffer.from('j:'), id]), true)
          throw error
        }
      }
  }

  /** Waits a moment, and for a connection. */
  async #isBack(giveUp: number): Promise<boolean> {
    while (performance.now() < giveUp) {
      await sleep(RETRY_MS)
      if (this.#closing) return false
      if (this.redis.ready) return true
    }
    return false
  }

  /** Joins a room from within the process. @throws RoomClosed */
  async join(name: string, label: Uint8Array, deadlineMs: number): Promise<RoomLink> {
    const link = new LocalLink(deadlineMs)
    try {
      return link.sit(await this.enter(name, label, link))
    } catch (error) {
      link.leave()
      throw error
    }
  }

  attach(server: Server | SecureServer): void {
    this.#gates.attach(server)
  }

  /** As that of the rooms of one process; the other replicas are told. Redis stays open. */
  async close(graceMs = 0): Promise<void> {
    this.#closing = true
    if (this.#open.size > 0 && graceMs > 0) await this.#emptying.wait(graceMs)
    this.#loseAll()
    await this.#gates.close()
    clearInterval(this.#ticks)
    clearTimeout(this.#blink)
    // Carried out after everything that was sent before.
    await this.redis.send('DEL', presenceOf(this.#replica)).catch(() => undefined)
  }

  send(room: SharedRoom, from: number, to: number, bytes: Uint8Array): void {
    const { name } = room
    const { roomBufferBytes } = this.#limits
    const sent = this.#open.get(name)?.sent
    const cost = costOf(bytes)
    // Of a room that has so much already, the log loses as much as it gets.
    if (sent !== undefined && sent.held + cost <= roomBufferBytes && !sent.take(cost)) {
      room.putOut(from, 'buffer_full')
      return
    }
    const id = newId()
    const copy = new Uint8Array(bytes)
    const args = [
      bytesOf(name),
      this.#replica,
      id,
      String(from),
      String(to),
      Buffer.from(copy.buffer),
    ]
    this.redis.run(SEND, keysOf(name), [...args, String(roomBufferBytes)]).then(
      (reply) => {
        if (typeof reply === 'number') {
          const entry = { id: id.toString('hex'), type: 'message', from, to, bytes: copy } as const
          this.#take(room, reply, entry)
        } else if (String(reply) === 'buffer_full') room.putOut(from, 'buffer_full')
        // It has ended meanwhile, or is not there any more: nobody knows what was delivered.
        else if (String(reply) !== 'left') this.behind(room)
      },
      () => {
        // Whether it stands in the log is not known, so nothing may follow it.
        room.lose('connection_lost')
      },
    )
  }

  leave(name: string, who: Who, lost: boolean, until = this.#endOfRooms()): void {
    const whom = typeof who === 'number' ? String(who) : who
    const args = [bytesOf(name), newId(), whom, String(lost ? LOST : BY_ITSELF)]
    this.redis.run(LEAVE, keysOf(name), args).catch(() => {
      if (!this.#closing) this.#owed.push({ name, who, lost, until })
    })
  }

  behind(room: SharedRoom): void {
    const { name } = room
    // Others may come by themselves before the answer does.
    const { known } = room
    this.redis.run(CATCH_UP, keysOf(name), [bytesOf(name), String(known)]).then(
      (reply) => {
        if (!isList(reply)) {
          if (String(reply) === 'room_expired') room.expire()
          else room.lose('connection_lost')
          return
        }
        try {
          let number = known
          for (const entry of reply) this.#take(room, (number += 1), decodeEntry(entry))
        } catch (error) {
          room.lose('connection_lost')
          if (!(error instanceof RedisUnavailable)) throw error
        }
      },
      () => undefined, // The next connection begins with this.
    )
  }

  #opened(name: string, size: number, livesMs: number): Open {
    const known = this.#open.get(name)
    if (known !== undefined) return known
    const meter = this.#unread.meter()
    const sent = this.#sent.meter()
    const room = new SharedRoom(name, size, meter, this, () => {
      clearTimeout(timer)
      sent.give(sent.held)
      this.#open.delete(name)
      if (this.#open.size === 0) this.#emptying.done()
    })
    const timer = setTimeout(() => {
      room.expire()
    }, livesMs)
    timer.unref()
    const now = performance.now()
    const open = { room, sent, timer, activeAt: now, lookAt: now + QUIET_MS }
    this.#open.set(name, open)
    return open
  }

  #hear(message: Buffer): void {
    if (message.length < NAME_BYTES) throw foreign()
    const name = roomUuid(message.subarray(0, NAME_BYTES))
    if (message.length === NAME_BYTES) {
      this.#waiting.delete(name)
      this.#onUsed(name)
      return
    }
    const open = this.#open.get(name)
    const entering = this.#entering.get(name)
    if (open === undefined && entering === undefined) return
    if (message.length < NAME_BYTES + NUMBER_BYTES) throw foreign()
    const number = message.readUInt32BE(NAME_BYTES)
    const entry = decodeEntry(message.subarray(NAME_BYTES + NUMBER_BYTES))
    if (open !== undefined) this.#take(open.room, number, entry)
    else if (entering !== undefined) {
      // The two connections overtake each other. What is too much is read from the log later.
      entering.heardBytes += costOf(message)
      if (entering.heardBytes <= this.#limits.roomBufferBytes) entering.heard.push([number, entry])
    }
  }

  #take(room: SharedRoom, number: number, entry: Entry): void {
    const open = this.#open.get(room.name)
    if (open?.room !== room) return
    open.activeAt = performance.now()
    open.lookAt = open.activeAt + QUIET_MS
    if (!room.take(number, entry)) room.lose('connection_lost')
  }

  /** The connection is there, again perhaps: entries may have been missed. */
  #back(): void {
    clearTimeout(this.#blink)
    this.#writable = true
    void this.#sayPresent()
    this.#leaveOwed()
    for (const { room } of this.#open.values()) this.behind(room)
  }

  #leaveOwed(): void {
    const now = Date.now()
    for (const { name, who, lost, until } of this.#owed.splice(0))
      if (until > now) this.leave(name, who, lost, until)
  }

  /** When every room that is open now has expired. */
  #endOfRooms(): number {
    return Date.now() + this.#limits.roomLifetimeMs
  }

  async #sayPresent(): Promise<void> {
    const saying = this.redis.send('SET', presenceOf(this.#replica), '', 'PX', String(PRESENCE_MS))
    this.#writable = await saying.then(
      () => true,
      () => false,
    )
  }

  async #tick(): Promise<void> {
    if (!this.redis.ready) return
    const now = performance.now()
    for (const open of [...this.#open.values()])
      if (now >= open.lookAt) {
        open.lookAt = now + Math.max(QUIET_MS, now - open.activeAt)
        this.behind(open.room)
      }
    await this.#sayPresent()
    if (!this.#writable) return
    this.#leaveOwed()
    try {
      const others = new Set([...this.#open.values()].flatMap(({ room }) => [...room.replicas]))
      others.delete(this.#replica)
      await Promise.all(
        [...others].map(async (replica) => {
          if ((await this.redis.send('EXISTS', presenceOf(replica))) === 0) this.#loseWith(replica)
        }),
      )
    } catch {
      // Tried again with the next connection.
    }
  }

  /** A replica has died: its parties will say nothing more. */
  #loseWith(replica: string): void {
    for (const { room } of [...this.#open.values()])
      if (room.replicas.has(replica)) room.lose('connection_lost')
  }

  #loseAll(reason: RoomCloseReason = 'connection_lost'): void {
    for (const { room } of [...this.#open.values()]) room.lose(reason)
  }

  #forgetExpired(): void {
    const now = Date.now()
    for (const [name, until] of this.#waiting) {
      if (until > now) return
      this.#waiting.delete(name)
    }
  }

  /** As in one process: whoever lets full rooms stand around loses them, and nobody else. */
  #endFullest(more: number): void {
    this.#endMost(({ room }) => room.meter.held, more)
  }

  /** The same of what is in Redis. */
  #endLongest(more: number): void {
    this.#endMost(({ sent }) => sent.held, more)
  }

  #endMost(held: (open: Open) => number, more: number): void {
    let most: Open | undefined
    for (const open of this.#open.values())
      if (held(open) > (most === undefined ? more : held(most))) most = open
    most?.room.lose('buffer_full')
  }
}

const newId = () => randomBytes(ID_BYTES)
const bytesOf = (name: string) => Buffer.from(parseRoomUuid(name))
const channelOf = (replica: string) => `vertex:replica:${replica}`
const presenceOf = (replica: string) => `vertex:replica:${replica}`
const keysOf = (name: string) => [`vertex:room:{${name}}`, `vertex:room:{${name}}:log`]
const isList = (reply: Reply): reply is readonly Reply[] => Array.isArray(reply)

const refusals: readonly string[] = ['room_unknown', 'room_used', 'room_expired', 'room_full']

/** What JOIN answered. @throws RoomClosed */
function joined(reply: Reply): [slot: number, size: number, livesMs: number, log: Entry[]] {
  if (!isList(reply)) {
    const reason = String(reply)
    throw refusals.includes(reason) ? new RoomClosed(reason as RoomCloseReason) : foreign()
  }
  const [slot, size, livesMs, log] = reply
  const isCount = (value: unknown): value is number => Number.isInteger(value)
  if (!isCount(slot) || !isCount(size) || !isCount(livesMs) || log === undefined || !isList(log))
    throw foreign()
  if (slot < 1 || slot > size || size > MAX_ROOM_SIZE) throw foreign()
  return [slot, size, livesMs, log.map(decodeEntry)]
}

/** Bugs stay what they are. */
function asClosed(error: unknown): unknown {
  return error instanceof RedisUnavailable ? new RoomClosed('connection_lost') : error
}
