import { bytesToHex, ProtocolAbort, RoomClosed, RunFailed } from '@vertex/mpc'
import { asError } from './deadline.js'
import { RoomTimeoutError, UnavailableError, VertexError } from './errors.js'
import { abortError } from './wire-error.js'

/** The SDK's error for whatever ended this side of a run. Check failures and transport trouble stay apart. */
export function runError(error: unknown): Error {
  if (error instanceof ProtocolAbort) return abortError(error)
  if (error instanceof RunFailed) {
    if (error.reason === 'room_timeout' || error.reason === 'room_expired')
      return new RoomTimeoutError(error.message, {
        cause: error,
        missing: error.missing.map(({ index, keygenId }) => ({
          index,
          keygenId: bytesToHex(keygenId),
        })),
      })
    if (error.reason === 'connection_lost') return connectionLost(error)
    return new VertexError('room_closed', error.message, { cause: error })
  }
  if (error instanceof RoomClosed) {
    if (error.reason === 'connection_lost') return connectionLost(error)
    if (error.reason === 'room_timeout' || error.reason === 'room_expired')
      return new RoomTimeoutError(error.message, { cause: error })
    return new VertexError('room_closed', error.message, { cause: error })
  }
  return asError(error)
}

const connectionLost = (cause: Error) =>
  new UnavailableError('connection_failed', 'the connection to the relay was lost', { cause })
