import type { Meter, Seat } from './room.js'

/** A slot that somebody has taken in a room. */
export interface Place {
  readonly slot: number
  /** How many parties the room takes. */
  readonly size: number
  readonly meter: Meter
  /** Tells the newcomer who is there and what waits for it, and the others of the newcomer. Once, before `send`. */
  introduce(): void
  /** Carries a message. A sender that breaks a rule is put out; nobody else notices. */
  send(to: number, bytes: Uint8Array): void
  /** Idempotent. */
  leave(): void
}

/** The way into rooms by their names. */
export interface Entrance {
  /**
   * Takes the next slot of a room. At once where the room is in this process, later where replicas share it.
   * @throws RoomClosed with the reason why it cannot be joined
   */
  enter(name: string, label: Uint8Array, seat: Seat): Place | Promise<Place>
}
