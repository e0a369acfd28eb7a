import {
  bytesToHex,
  NoSuchChild,
  ProtocolAbort,
  RoomClosed,
  RunFailed,
  SessionMismatch,
} from '@vertex/mpc'
import { VaultError, type VaultErrorType } from './errors.js'

/** What a run's end says to the caller. Anything unknown is a bug of ours and stays what it is. */
export function asRunError(e: unknown): unknown {
  if (e instanceof ProtocolAbort) return fromAbort(e)
  if (e instanceof RunFailed) return fromFailure(e)
  if (e instanceof RoomClosed) return fromClosed(e)
  if (e instanceof NoSuchChild) return new VaultError('bad_request_params', e.message)
  return e
}

/** What the end of a room says, where no run had begun in it. */
export function fromClosed({ reason, message }: RoomClosed): VaultError {
  return reason === 'connection_lost'
    ? new VaultError(
        'relay_unavailable',
        'the relay cannot be reached now; try again in a new room',
      )
    : new VaultError(roomTypes[reason], message)
}

function fromAbort(abort: ProtocolAbort): VaultError {
  const { code, round, culprits, reaction, message } = abort
  const details = { code, round, culprits: [...culprits], reaction }
  if (abort instanceof SessionMismatch)
    return new VaultError('session_mismatch', message, { ...details, field: abort.field })
  const errType = code === 'session_mismatch' ? 'session_mismatch' : 'protocol_abort'
  return new VaultError(errType, message, details)
}

function fromFailure(failure: RunFailed): VaultError {
  const { reason, missing, abort, message } = failure
  if (abort !== undefined) {
    const { code, round, by } = abort
    const errType = code === 'session_mismatch' ? 'session_mismatch' : 'protocol_abort'
    return new VaultError(errType, message, {
      code: code ?? 'peer_aborted',
      round,
      // It says so; that proves nothing against anybody.
      culprits: [],
      reaction: code === undefined ? 'restart' : new ProtocolAbort(code, round).reaction,
      reported_by: by,
    })
  }
  return new VaultError(roomTypes[reason], message, {
    missing: missing.map(({ index, keygenId }) => ({ index, keygen_id: bytesToHex(keygenId) })),
  })
}

const roomTypes: Record<RunFailed['reason'], VaultErrorType> = {
  room_unknown: 'room_not_found',
  room_full: 'room_used',
  room_used: 'room_used',
  room_expired: 'room_timeout',
  room_timeout: 'room_timeout',
  room_abandoned: 'room_problem',
  message_too_large: 'room_problem',
  buffer_full: 'room_problem',
  bad_frame: 'room_problem',
  left: 'room_problem',
  connection_lost: 'relay_unavailable',
  link_broken: 'room_problem',
  peer_aborted: 'room_problem',
}
