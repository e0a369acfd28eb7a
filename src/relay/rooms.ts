import { randomBytes } from 'node:crypto'
import type { Server } from 'node:http'
import type { Server as SecureServer } from 'node:https'
import { MAX_ROOM_SIZE, MIN_ROOM_SIZE, parseRoomUuid, RoomClosed, roomUuid } from '@vertex/mpc'
import type { RoomCloseReason, RoomLink } from '@vertex/mpc'
import { Buffers, type RoomMeter } from './buffers.js'
import { Emptying } from './emptying.js'
import type { Entrance, Place } from './entrance.js'
import { Gates } from './gates.js'
import { defaultRelayLimits, type RelayLimits } from './limits.js'
import { LocalLink } from './local-link.js'
import { Room, type Seat } from './room.js'

/** The relay holds as much as it may; try again later. */
export class RelayBusy extends Error {
  override readonly name = 'RelayBusy'
  constructor() {
    super('too many rooms are open')
  }
}

interface Open {
  readonly room: Room
  readonly meter: RoomMeter
  readonly timer: NodeJS.Timeout
}

/**
 * The rooms of this process, with both their entrances: `join` for the Vertex itself and a WebSocket for everybody
 * else. It carries sealed messages and knows no protocol. docs/spec/relay.md
 */
export class Rooms implements Entrance {
  readonly #limits: RelayLimits
  readonly #open = new Map<string, Open>()
  /** Rooms that were, oldest first. */
  readonly #gone = new Map<string, { reason: RoomCloseReason; until: number }>()
  readonly #gates: Gates
  readonly #buffers: Buffers
  #closing = false
  readonly #emptying = new Emptying()

  constructor(limits: Partial<RelayLimits> = {}) {
    this.#limits = { ...defaultRelayLimits, ...limits }
    this.#gates = new Gates(this, this.#limits)
    this.#buffers = new Buffers(this.#limits, (more) => {
      this.#endFullest(more)
    })
  }

  /** How much the relay holds now, for metrics and tests. */
  get usage(): {
    rooms: number
    tombstones: number
    bufferedBytes: number
    sockets: number
    unreadBytes: number
  } {
    return {
      rooms: this.#open.size,
      tombstones: this.#gone.size,
      bufferedBytes: this.#buffers.bytes,
      ...this.#gates.usage,
    }
  }

  /**
   * Opens a one-time room for exactly `size` parties.
   * @throws RangeError unless 2 ≤ size ≤ 32
   * @throws RelayBusy when too many rooms are open, or the relay is about to close
   */
  create(size: number): { roomUuid: string } {
    assertRoomSize(size)
    if (this.#closing || this.#open.size >= this.#limits.rooms) throw new RelayBusy()
    const name = roomUuid(randomBytes(16))
    const meter = this.#buffers.meter()
    const room = new Room(size, meter, ({ complete, reason }) => {
      this.#end(name, reason === 'room_expired' && !complete ? 'room_expired' : 'room_used')
    })
    const timer = setTimeout(() => {
      room.end('room_expired')
    }, this.#limits.roomLifetimeMs)
    timer.unref()
    this.#open.set(name, { room, meter, timer })
    return { roomUuid: name }
  }

  /**
   * Joins a room from within the process.
   * @param deadlineMs how long from now the link lives; then it ends with `room_timeout`
   * @throws RoomClosed with the reason why it cannot be joined
   */
  join(name: string, label: Uint8Array, deadlineMs: number): RoomLink {
    const link = new LocalLink(deadlineMs)
    try {
      return link.sit(this.enter(name, label, link))
    } catch (error) {
      link.leave()
      throw error
    }
  }

  /** @throws RoomClosed, `room_unknown`, `room_used` and `room_expired` among its reasons */
  enter(name: string, label: Uint8Array, seat: Seat): Place {
    const key = canonical(name)
    const open = this.#open.get(key)
    if (open === undefined) {
      this.#forget()
      throw new RoomClosed(this.#gone.get(key)?.reason ?? 'room_unknown')
    }
    const { room, meter } = open
    const slot = room.join(label, seat)
    return {
      slot,
      size: room.size,
      meter,
      introduce: () => {
        room.introduce(slot)
      },
      send: (to, bytes) => {
        room.send(slot, to, bytes)
      },
      leave: () => {
        room.leave(slot)
      },
    }
  }

  /**
   * Answers WebSockets at `/relay` of this server. Elsewhere they are refused; an offer of any other protocol is
   * ignored, and the request goes the way of all others.
   */
  attach(server: Server | SecureServer): void {
    this.#gates.attach(server)
  }

  /**
   * Opens no further rooms, waits up to `graceMs` for the open ones to end, then ends them with `connection_lost` and
   * closes the WebSockets. Idempotent.
   */
  async close(graceMs = 0): Promise<void> {
    this.#closing = true
    if (this.#open.size > 0 && graceMs > 0) await this.#emptying.wait(graceMs)
    for (const { room } of [...this.#open.values()]) room.end('connection_lost')
    await this.#gates.close()
  }

  #end(name: string, reason: RoomCloseReason): void {
    const open = this.#open.get(name)
    if (open === undefined) return
    clearTimeout(open.timer)
    this.#open.delete(name)
    this.#gone.set(name, { reason, until: Date.now() + this.#limits.tombstoneMs })
    this.#forget()
    if (this.#open.size === 0) this.#emptying.done()
  }

  #forget(): void {
    const now = Date.now()
    for (const [name, { until }] of this.#gone) {
      if (this.#gone.size <= this.#limits.tombstones && until > now) return
      this.#gone.delete(name)
    }
  }

  /**
   * Ends the room in which most waits, if that is more than in the one that needs place: whoever lets full rooms stand
   * around loses them, and nobody else.
   */
  #endFullest(needed: number): void {
    let fullest: Open | undefined
    for (const open of this.#open.values())
      if (open.meter.held > (fullest?.meter.held ?? needed)) fullest = open
    fullest?.room.end('buffer_full')
  }
}

/** @throws RangeError */
export function assertRoomSize(size: number): void {
  if (!Number.isInteger(size) || size < MIN_ROOM_SIZE || size > MAX_ROOM_SIZE)
    throw new RangeError(`a room takes ${MIN_ROOM_SIZE} to ${MAX_ROOM_SIZE} parties`)
}

/** The name in the one form under which it is kept. @throws RoomClosed */
export function canonical(name: string): string {
  try {
    return roomUuid(parseRoomUuid(name))
  } catch {
    throw new RoomClosed('room_unknown')
  }
}
