/** What the relay allows. Every number bounds what a stranger can make it hold. */
export interface RelayLimits {
  /** How long a room lives, used or not. */
  readonly roomLifetimeMs: number
  /** Rooms open at once. */
  readonly rooms: number
  /** Bytes that wait in one room: for a party that has not joined yet, or that does not read. */
  readonly roomBufferBytes: number
  /** The same over all rooms. */
  readonly bufferBytes: number
  /** Ended rooms that are remembered as used, and for how long. */
  readonly tombstones: number
  readonly tombstoneMs: number
  /** WebSockets open at once. */
  readonly sockets: number
  /** Those of them that have been in no room yet; one more, and the oldest is pushed out. */
  readonly strangers: number
  /** How long a WebSocket may be in no room: before its first one, and after. */
  readonly strangerMs: number
  readonly idleMs: number
  /** Bytes a WebSocket may send before it is in a room. */
  readonly strangerBytes: number
  /** Rooms one WebSocket is in at once. */
  readonly channelsPerSocket: number
  /** Refused joins in a row after which a WebSocket is closed: nobody is to try out room ids. */
  readonly refusedJoinsPerSocket: number
  /** Bytes that wait for a slow WebSocket before it is cut off. */
  readonly socketBufferBytes: number
  /** The same over all WebSockets; beyond it the slowest is cut off. */
  readonly socketsBufferBytes: number
  /** How often a WebSocket must show that it lives. */
  readonly pingMs: number
}

export const defaultRelayLimits: RelayLimits = {
  roomLifetimeMs: 60_000,
  rooms: 16_384,
  roomBufferBytes: 2 * 1024 * 1024,
  bufferBytes: 128 * 1024 * 1024,
  tombstones: 16_384,
  tombstoneMs: 10 * 60_000,
  sockets: 2048,
  strangers: 256,
  strangerMs: 10_000,
  idleMs: 5 * 60_000,
  strangerBytes: 32 * 1024,
  channelsPerSocket: 256,
  refusedJoinsPerSocket: 64,
  socketBufferBytes: 8 * 1024 * 1024,
  socketsBufferBytes: 64 * 1024 * 1024,
  pingMs: 30_000,
}
