import {
  bytesAhead,
  type AbortCode,
  type PartyIndex,
  type Quorum,
  type RoomCloseReason,
  type RoomEvent,
  type Signable,
  type Signature,
} from '@vertex/mpc'
import type { MadeKey, MadeShare, RoundTime } from '../vault/index.js'
import type { ErrorData } from './error-data.js'

/** What the main thread tells a worker. `run` names the run among those of this worker. */
export type ToWorker = { readonly run: number } & (
  | (BeginSign & { readonly type: 'sign' })
  | (BeginKeygen & { readonly type: 'keygen' })
  | { readonly type: 'event'; readonly event: RoomEvent }
  | { readonly type: 'closed'; readonly reason: RoomCloseReason }
  /** To a call; without a value the call failed, and the error stays where it was thrown. */
  | { readonly type: 'answer'; readonly call: number; readonly value?: { readonly is: unknown } }
)

interface Begin {
  readonly slot: number
  readonly size: number
  readonly room: Uint8Array
  /** The memory of the run's lifeline. */
  readonly life: SharedArrayBuffer
  /** Whether somebody wants to know how long the rounds took. */
  readonly timed: boolean
}

export interface BeginSign extends Begin {
  readonly record: Uint8Array
  readonly known: ReadonlyMap<PartyIndex, Uint8Array>
  readonly batch: readonly Signable[]
}

export interface BeginKeygen extends Begin {
  readonly quorum: Quorum
  readonly identity: { readonly secret: Uint8Array; readonly keygenId: Uint8Array }
  readonly keygenIds: readonly Uint8Array[]
}

/** What a run needs from the main thread, and waits for. */
export type Call =
  | { readonly name: 'keep'; readonly made: MadeShare }
  | {
      readonly name: 'save'
      readonly peer: PartyIndex
      readonly setupId: Uint8Array
      readonly record: Uint8Array
    }
  | {
      readonly name: 'retire'
      readonly setupId: Uint8Array
      readonly peer: PartyIndex
      readonly code: AbortCode
      readonly blamed: boolean
    }

/** What a worker tells the main thread about a run. */
export type RunMessage = { readonly run: number } & (
  | { readonly type: 'send'; readonly to: number; readonly bytes: Uint8Array }
  /** So many events have been read, with so many bytes in them. */
  | { readonly type: 'taken'; readonly count: number; readonly bytes: number }
  | { readonly type: 'leave' }
  | { readonly type: 'unreadable'; readonly peer: PartyIndex }
  | { readonly type: 'call'; readonly call: number; readonly is: Call }
  | (Measured & { readonly type: 'signed'; readonly signatures: readonly Signature[] })
  | (Measured & { readonly type: 'made'; readonly key: MadeKey })
  | { readonly type: 'failed'; readonly error: ErrorData }
)

interface Measured {
  /** Empty unless they were asked for. */
  readonly rounds: readonly RoundTime[]
}

export type FromWorker = RunMessage | { readonly type: 'ready' }

const MOST_BYTES = 8 * 1024 * 1024

/**
 * A worker says so each time it has read so many events of a run, or bytes in them; the main thread keeps back what is
 * more than twice. The bytes are all that the other parties of a room of this size may be ahead of the worker: what is
 * kept back waits in the room, which takes no more than one large message of each of a few.
 */
export const atOnce = (size: number, signatures: number) => ({
  events: 32,
  bytes: Math.min((size - 1) * bytesAhead(signatures), MOST_BYTES),
})

export const bytesIn = (event: RoomEvent): number =>
  event.type === 'message' ? event.bytes.length : 0
