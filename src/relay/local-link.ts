import {
  Mailbox,
  RoomClosed,
  type RoomCloseReason,
  type RoomEvent,
  type RoomLink,
} from '@vertex/mpc'
import { costOf, type Meter, type Room, type Seat } from './room.js'

/** A room joined from within the process: no frames, no socket, the same rules. */
export class LocalLink implements RoomLink, Seat {
  readonly #mailbox = new Mailbox()
  readonly #timer: NodeJS.Timeout
  #held = 0
  #slot = 0

  constructor(
    private readonly room: Room,
    private readonly meter: Meter,
    deadlineMs: number,
  ) {
    this.#timer = setTimeout(() => {
      this.#go('room_timeout')
    }, deadlineMs)
  }

  get slot(): number {
    return this.#slot
  }

  get size(): number {
    return this.room.size
  }

  /** @throws RoomClosed */
  join(label: Uint8Array): this {
    try {
      this.#slot = this.room.join(label, this)
    } catch (error) {
      clearTimeout(this.#timer)
      throw error
    }
    this.room.introduce(this.#slot)
    return this
  }

  send(to: number, bytes: Uint8Array): void {
    this.#refuseIfEnded()
    this.room.send(this.#slot, to, bytes)
    this.#refuseIfEnded() // the message itself may have been against the rules
  }

  async receive(): Promise<RoomEvent> {
    const event = await this.#mailbox.receive()
    if (event.type === 'message') this.#release(costOf(event.bytes))
    return event
  }

  leave(): void {
    this.#go('left')
    this.#mailbox.drop()
    this.#release(this.#held)
  }

  deliver(event: RoomEvent): void {
    if (this.#mailbox.ended !== undefined) return
    if (event.type === 'message') {
      const cost = costOf(event.bytes)
      if (!this.meter.take(cost)) {
        this.#go('buffer_full')
        return
      }
      this.#held += cost
    }
    this.#mailbox.push(event)
  }

  end(reason: RoomCloseReason): void {
    clearTimeout(this.#timer)
    this.#mailbox.end(reason)
  }

  #go(reason: RoomCloseReason): void {
    if (this.#mailbox.ended !== undefined) return
    this.end(reason)
    this.room.leave(this.#slot)
  }

  #release(bytes: number): void {
    this.#held -= bytes
    this.meter.give(bytes)
  }

  #refuseIfEnded(): void {
    const ended = this.#mailbox.ended
    if (ended !== undefined) throw new RoomClosed(ended)
  }
}
