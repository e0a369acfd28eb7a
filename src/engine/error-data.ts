import {
  NoSuchChild,
  ProtocolAbort,
  RoomClosed,
  RunFailed,
  SessionMismatch,
  type AbortCode,
  type MissingParty,
  type PartyIndex,
  type PeerAbort,
  type RoomCloseReason,
  type RunFailure,
} from '@vertex/mpc'

/** An error as it crosses threads. */
export type ErrorData =
  | {
      readonly kind: 'abort'
      readonly code: AbortCode
      readonly round: number
      readonly culprits: readonly PartyIndex[]
    }
  | { readonly kind: 'mismatch'; readonly field: SessionMismatch['field'] }
  | {
      readonly kind: 'failed'
      readonly reason: RunFailure
      readonly missing: readonly MissingParty[]
      readonly abort: PeerAbort | undefined
    }
  | { readonly kind: 'closed'; readonly reason: RoomCloseReason }
  | { readonly kind: 'no_child'; readonly message: string }
  /** Thrown by a call of the run, in the main thread, which still has it. */
  | { readonly kind: 'call'; readonly call: number }
  | {
      readonly kind: 'bug'
      readonly name: string
      readonly message: string
      readonly stack: string | undefined
    }

/** In a worker: a call failed. Why is for the main thread to know. */
export class CallFailed extends Error {
  override readonly name = 'CallFailed'
  constructor(readonly call: number) {
    super('a call to the main thread failed')
  }
}

export function errorData(error: unknown): ErrorData {
  if (error instanceof SessionMismatch) return { kind: 'mismatch', field: error.field }
  if (error instanceof ProtocolAbort) {
    const { code, round, culprits } = error
    return { kind: 'abort', code, round, culprits }
  }
  if (error instanceof RunFailed) {
    const { reason, missing, abort } = error
    return { kind: 'failed', reason, missing, abort }
  }
  if (error instanceof RoomClosed) return { kind: 'closed', reason: error.reason }
  if (error instanceof NoSuchChild) return { kind: 'no_child', message: error.message }
  if (error instanceof CallFailed) return { kind: 'call', call: error.call }
  const { name, message, stack } = error instanceof Error ? error : new Error('not an error')
  return { kind: 'bug', name, message, stack }
}

/** The same error again. @param failed the errors of the run's failed calls */
export function errorFrom(data: ErrorData, failed: ReadonlyMap<number, unknown>): unknown {
  switch (data.kind) {
    case 'abort':
      return new ProtocolAbort(data.code, data.round, data.culprits)
    case 'mismatch':
      return new SessionMismatch(data.field)
    case 'failed': {
      const { reason, missing, abort } = data
      return new RunFailed(reason, { missing, ...(abort && { abort }) })
    }
    case 'closed':
      return new RoomClosed(data.reason)
    case 'no_child':
      return new NoSuchChild(data.message)
    case 'call':
      return failed.get(data.call)
    case 'bug': {
      const error = new Error(data.message)
      error.name = data.name
      if (data.stack !== undefined) error.stack = data.stack
      return error
    }
  }
}
