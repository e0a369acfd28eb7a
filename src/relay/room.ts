import {
  MAX_LABEL_BYTES,
  MAX_MESSAGE_BYTES,
  RoomClosed,
  type RoomCloseReason,
  type RoomEvent,
} from '@vertex/mpc'

/** Where a room puts what is for one of its parties. Neither function may throw. */
export interface Seat {
  deliver(event: RoomEvent): void
  end(reason: RoomCloseReason): void
}

/** Counts bytes that are held for somebody. */
export interface Meter {
  /** False, and nothing counted, when it would be too much. */
  take(bytes: number): boolean
  give(bytes: number): void
}

/** What a message that waits counts: its bytes, and roughly what it costs beside them. */
export const costOf = (message: Uint8Array): number => message.length + 512

interface Held {
  readonly from: number
  readonly to: number
  readonly bytes: Uint8Array
}

/**
 * One meeting of a fixed number of parties. A slot is given out once; a message for a slot nobody has taken yet is held
 * until somebody does. The room ends when it can no longer do anything for anybody.
 */
export class Room {
  readonly #labels: Uint8Array[] = []
  readonly #seats = new Map<number, Seat>()
  readonly #held: Held[] = []
  #ended = false

  /** @param onEnd called once, before the parties are told; `complete`: whether everybody had joined */
  constructor(
    readonly size: number,
    private readonly meter: Meter,
    private readonly onEnd: (ended: { complete: boolean; reason: RoomCloseReason }) => void,
  ) {}

  get complete(): boolean {
    return this.#labels.length === this.size
  }

  /** Takes the next slot and tells both sides of each other. @throws RoomClosed */
  join(label: Uint8Array, seat: Seat): number {
    if (this.#ended) throw new RoomClosed('room_used')
    if (this.complete) throw new RoomClosed('room_full')
    if (label.length > MAX_LABEL_BYTES) throw new RoomClosed('bad_frame')
    const own = label.slice()
    const slot = this.#labels.push(own)
    this.#seats.set(slot, seat)
    return slot
  }

  /** Tells the newcomer who is there and what waits for it, and the others of the newcomer. Once, after `join`. */
  introduce(slot: number): void {
    const seat = this.#seats.get(slot)
    if (seat === undefined) return
    this.#labels.forEach((label, at) => {
      if (at + 1 !== slot) seat.deliver({ type: 'peer', slot: at + 1, label })
    })
    for (const [other, its] of this.#others(slot))
      if (other < slot) its.deliver({ type: 'peer', slot, label: this.#labels[slot - 1]! })
    const mine = this.#held.filter((held) => held.to === slot)
    for (const { from, bytes } of mine) {
      this.#held.splice(
        this.#held.findIndex((held) => held.to === slot),
        1,
      )
      this.meter.give(costOf(bytes))
      seat.deliver({ type: 'message', from, bytes })
    }
  }

  /** Carries a message. A sender that breaks a rule is put out; nobody else notices. */
  send(from: number, to: number, bytes: Uint8Array): void {
    if (this.#ended || !this.#seats.has(from)) return
    if (to < 1 || to > this.size || to === from) this.#putOut(from, 'bad_frame')
    else if (bytes.length > MAX_MESSAGE_BYTES) this.#putOut(from, 'message_too_large')
    else if (to > this.#labels.length) {
      if (this.meter.take(costOf(bytes))) this.#held.push({ from, to, bytes: bytes.slice() })
      else this.#putOut(from, 'buffer_full')
    } else this.#seats.get(to)?.deliver({ type: 'message', from, bytes })
  }

  /** A party goes. Idempotent. */
  leave(slot: number): void {
    if (!this.#seats.delete(slot) || this.#ended) return
    // Before everybody has come the slot is lost and the room can never fill; afterwards one alone has nobody left.
    if (!this.complete || this.#seats.size <= 1) this.end('room_abandoned')
  }

  /** Ends the room and tells everybody why. Idempotent. */
  end(reason: RoomCloseReason): void {
    if (this.#ended) return
    this.#ended = true
    for (const { bytes } of this.#held.splice(0)) this.meter.give(costOf(bytes))
    const seats = [...this.#seats.values()]
    this.#seats.clear()
    this.onEnd({ complete: this.complete, reason })
    for (const seat of seats) seat.end(reason)
  }

  #putOut(slot: number, reason: RoomCloseReason): void {
    const seat = this.#seats.get(slot)
    this.leave(slot)
    seat?.end(reason)
  }

  #others(slot: number): [number, Seat][] {
    return [...this.#seats].filter(([other]) => other !== slot)
  }
}
