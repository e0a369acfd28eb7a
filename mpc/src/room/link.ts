/** What a room tells a party. */
export type RoomEvent =
  /** Another party joined; `label` is what it announced of itself (unauthenticated). */
  | { readonly type: 'peer'; readonly slot: number; readonly label: Uint8Array }
  | { readonly type: 'message'; readonly from: number; readonly bytes: Uint8Array }

/** Why a room ended for this party. A closed set; the relay's close codes map one to one (docs/spec/relay.md). */
export type RoomCloseReason =
  | 'room_unknown'
  | 'room_full'
  | 'room_used'
  | 'room_expired'
  | 'room_timeout'
  | 'room_abandoned'
  | 'message_too_large'
  | 'buffer_full'
  | 'bad_frame'
  | 'left'
  | 'connection_lost'

export class RoomClosed extends Error {
  override readonly name = 'RoomClosed'
  constructor(readonly reason: RoomCloseReason) {
    super(`the room closed: ${reason.replaceAll('_', ' ')}`)
  }
}

/**
 * A joined room as one party sees it. The relay below is untrusted: it may drop, delay, replay, reorder between
 * parties and forge everything here; only the channel above tells what is true.
 */
export interface RoomLink {
  /** This party's slot, 1..size, in order of joining. */
  readonly slot: number
  /** How many parties the room takes. */
  readonly size: number
  /** @throws RoomClosed when the room has ended for this party */
  send(to: number, bytes: Uint8Array): void
  /** The next event, in order of arrival. @throws RoomClosed, also when this party's deadline has passed */
  receive(): Promise<RoomEvent>
  /** Leaves the room; a pending `receive` is rejected with `left`. Idempotent. */
  leave(): void
}

/**
 * A clock, injected: calls `expire` once when the party's time is up, and returns what calls it off.
 * Nothing in this package knows the time.
 */
export type Deadline = (expire: () => void) => () => void
