import { MAX_MESSAGE_BYTES, type RoomCloseReason, type RoomEvent } from '@vertex/mpc'
import type { RoomMeter } from '../buffers.js'
import type { Place } from '../entrance.js'
import type { Seat } from '../room.js'
import type { Entry } from './entries.js'

/** What a room asks of whoever has the connection. Neither function waits or throws. */
export interface Wire {
  /** Puts a message at the end of the log. */
  send(room: SharedRoom, from: number, to: number, bytes: Uint8Array): void
  /** @param lost the others are told that the connection was lost, and not that it left by itself */
  leave(name: string, slot: number, lost: boolean): void
  /** Entries are missing: asks for them. */
  behind(room: SharedRoom): void
}

/** How long an entry may be overtaken by later ones before it counts as lost on its way. */
const OVERTAKEN_MS = 300

/** One party of this replica. What comes before it was introduced waits. */
interface Local {
  readonly seat: Seat
  /** Number of the entry of its joining; it is told of later ones. */
  readonly since: number
  early: RoomEvent[] | undefined
  ended: RoomCloseReason | undefined
}

/**
 * A room of all replicas, as one of them sees it: it follows the room's log, in its order and without a gap, and hands
 * on what is for its own parties.
 */
export class SharedRoom {
  /** Ids of the entries that were followed, in their order. */
  readonly #followed: string[] = []
  /** Those that came too early, by number. */
  readonly #early = new Map<number, Entry>()
  readonly #locals = new Map<number, Local>()
  readonly #replicas = new Set<string>()
  #overtaken: NodeJS.Timeout | undefined
  #ended = false

  constructor(
    readonly name: string,
    readonly size: number,
    readonly meter: RoomMeter,
    private readonly wire: Wire,
    /** Called once, when nobody here is in it any more. */
    private readonly onEmpty: () => void,
  ) {}

  /** How many entries were followed. */
  get known(): number {
    return this.#followed.length
  }

  /** The replicas whose parties are in the room. */
  get replicas(): ReadonlySet<string> {
    return this.#replicas
  }

  get ended(): boolean {
    return this.#ended
  }

  /**
   * Gives a slot that was taken for it to a party of this replica.
   * @param log the whole log, in which its joining is the last entry unless it was asked for twice
   */
  seat(slot: number, seat: Seat, log: readonly Entry[]): Place {
    const early = log.flatMap((entry): RoomEvent[] => {
      if (entry.type === 'join' && entry.slot !== slot)
        return [{ type: 'peer', slot: entry.slot, label: entry.label }]
      if (entry.type === 'message' && entry.to === slot)
        return [{ type: 'message', from: entry.from, bytes: entry.bytes }]
      return []
    })
    const local: Local = { seat, since: log.length, early, ended: undefined }
    this.#locals.set(slot, local)
    log.forEach((entry, at) => {
      if (!this.take(at + 1, entry)) this.lose('connection_lost')
    })
    return {
      slot,
      size: this.size,
      meter: this.meter,
      introduce: () => {
        const events = local.early ?? []
        local.early = undefined
        for (const event of events) local.seat.deliver(event)
        if (local.ended !== undefined) local.seat.end(local.ended)
      },
      send: (to, bytes) => {
        if (!this.#locals.has(slot)) return
        if (to < 1 || to > this.size || to === slot) this.putOut(slot, 'bad_frame')
        else if (bytes.length > MAX_MESSAGE_BYTES) this.putOut(slot, 'message_too_large')
        else this.wire.send(this, slot, to, bytes)
      },
      leave: () => {
        this.#leave(slot)
      },
    }
  }

  /**
   * Takes an entry in, in whatever order they come.
   * @returns false when another entry has stood at this place: Redis has lost some
   */
  take(number: number, entry: Entry): boolean {
    const before = this.#followed[number - 1]
    if (before !== undefined) return before === entry.id
    this.#early.set(number, entry)
    for (;;) {
      const next = this.#early.get(this.known + 1)
      if (next === undefined) break
      this.#early.delete(this.known + 1)
      this.#followed.push(next.id)
      this.#follow(next, this.known)
    }
    this.#watchGap()
    return true
  }

  /** A party of this replica broke a rule. */
  putOut(slot: number, reason: RoomCloseReason): void {
    const local = this.#locals.get(slot)
    this.#leave(slot, reason === 'connection_lost')
    if (local !== undefined) end(local, reason)
  }

  /** Ends the room for all parties of this replica; the others are told that they have left, or were lost. */
  lose(reason: RoomCloseReason): void {
    for (const slot of [...this.#locals.keys()]) this.putOut(slot, reason)
  }

  #follow(entry: Entry, number: number): void {
    switch (entry.type) {
      case 'join': {
        const { slot, label } = entry
        this.#replicas.add(entry.replica)
        for (const local of this.#locals.values())
          if (local.since < number) deliver(local, { type: 'peer', slot, label })
        return
      }
      case 'message': {
        const { from, to, bytes } = entry
        const local = this.#locals.get(to)
        if (local !== undefined && local.since < number)
          deliver(local, { type: 'message', from, bytes })
        return
      }
      case 'leave':
        if (entry.lost) this.#end('connection_lost')
        return
      case 'end':
        this.#end('room_abandoned')
    }
  }

  /** The room is over for everybody. */
  #end(reason: RoomCloseReason): void {
    if (this.#ended) return
    this.#ended = true
    const locals = [...this.#locals.values()]
    this.#locals.clear()
    this.#empty()
    for (const local of locals) end(local, reason)
  }

  /** The lifetime is over. Every replica finds out by itself. */
  expire(): void {
    this.#end('room_expired')
  }

  #leave(slot: number, lost = false): void {
    if (!this.#locals.delete(slot)) return
    this.wire.leave(this.name, slot, lost)
    if (this.#locals.size === 0) this.#empty()
  }

  #empty(): void {
    clearTimeout(this.#overtaken)
    this.#early.clear()
    this.onEmpty()
  }

  #watchGap(): void {
    if (this.#early.size === 0) {
      clearTimeout(this.#overtaken)
      this.#overtaken = undefined
    } else
      // Not anew with each that comes too early: they may come for as long as the room lives.
      this.#overtaken ??= setTimeout(() => {
        this.#overtaken = undefined
        this.wire.behind(this)
      }, OVERTAKEN_MS)
  }
}

function deliver(local: Local, event: RoomEvent): void {
  if (local.early === undefined) local.seat.deliver(event)
  else local.early.push(event)
}

function end(local: Local, reason: RoomCloseReason): void {
  if (local.early === undefined) local.seat.end(reason)
  else local.ended = reason
}
