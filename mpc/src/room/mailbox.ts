import { RoomClosed, type RoomCloseReason, type RoomEvent } from './link.js'

/** Every run ends by leaving while it listens, so for this one reason no stack is taken each time. */
const left = new RoomClosed('left')

const closed = (reason: RoomCloseReason): RoomClosed =>
  reason === 'left' ? left : new RoomClosed(reason)

interface Waiter {
  resolve(event: RoomEvent): void
  reject(error: RoomClosed): void
}

/**
 * The receiving end of a link: events in order of arrival, then the reason for which the room ended. What arrived
 * before the end is still handed out after it, so that the last message of a run is never lost to a closing room.
 */
export class Mailbox {
  readonly #events: RoomEvent[] = []
  readonly #waiters: Waiter[] = []
  #ended: RoomCloseReason | undefined

  get ended(): RoomCloseReason | undefined {
    return this.#ended
  }

  /** Adds an event; ignored once the room has ended. */
  push(event: RoomEvent): void {
    if (this.#ended !== undefined) return
    const waiter = this.#waiters.shift()
    if (waiter === undefined) this.#events.push(event)
    else waiter.resolve(event)
  }

  /** Ends it for a reason; only the first counts. */
  end(reason: RoomCloseReason): void {
    if (this.#ended !== undefined) return
    this.#ended = reason
    if (this.#waiters.length === 0) return
    const error = closed(reason)
    for (const waiter of this.#waiters.splice(0)) waiter.reject(error)
  }

  /** Forgets what is still waiting to be read. */
  drop(): void {
    this.#events.length = 0
  }

  /** The next event. @throws RoomClosed when all have been read and the room has ended */
  receive(): Promise<RoomEvent> {
    const event = this.#events.shift()
    if (event !== undefined) return Promise.resolve(event)
    if (this.#ended !== undefined) return Promise.reject(closed(this.#ended))
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }))
  }
}
