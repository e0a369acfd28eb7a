import {
  Mailbox,
  RoomClosed,
  type RoomCloseReason,
  type RoomEvent,
  type RoomLink,
} from '@vertex/mpc'
import type { Place } from './entrance.js'
import { costOf, type Seat } from './room.js'

/** A room joined from within the process: no frames, no socket, the same rules. */
export class LocalLink implements RoomLink, Seat {
  readonly #mailbox = new Mailbox()
  readonly #timer: NodeJS.Timeout
  #held = 0
  #place: Place | undefined

  constructor(deadlineMs: number) {
    this.#timer = setTimeout(() => {
      this.#go('room_timeout')
    }, deadlineMs)
  }

  get slot(): number {
    return this.#place?.slot ?? 0
  }

  get size(): number {
    return this.#place?.size ?? 0
  }

  /** Uses a place that was taken for it. @throws RoomClosed when it came too late */
  sit(place: Place): this {
    this.#place = place
    if (this.#mailbox.ended !== undefined) place.leave()
    this.#refuseIfEnded()
    place.introduce()
    return this
  }

  send(to: number, bytes: Uint8Array): void {
    this.#refuseIfEnded()
    this.#place?.send(to, bytes)
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
      if (this.#place?.meter.take(cost) !== true) {
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
    this.#place?.leave()
  }

  #release(bytes: number): void {
    this.#held -= bytes
    this.#place?.meter.give(bytes)
  }

  #refuseIfEnded(): void {
    const ended = this.#mailbox.ended
    if (ended !== undefined) throw new RoomClosed(ended)
  }
}
