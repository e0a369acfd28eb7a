import { sha256 } from '@noble/hashes/sha2.js'
import { concatBytes, utf8ToBytes } from '@noble/hashes/utils.js'
import { Reader, ShareFault, Writer } from './bytes.js'
import type { ShareEvent } from './event.js'
import { encodeRequest, operations } from './message.js'

// What one server tells another about its shares. docs/spec/share-replication.md, section 3.

/** Of one event there is one number: whoever has applied it does not apply it again. */
export interface EventNumber {
  /** The server where it happened. */
  readonly origin: number
  /** A later one begins a new count. */
  readonly epoch: bigint
  readonly sequence: bigint
}

export interface NumberedEvent extends EventNumber {
  readonly event: ShareEvent
}

/** An event as it came, its sender not known yet. */
export interface ReplicationRequest extends NumberedEvent {
  readonly authentication: Uint8Array
  /** What is authenticated. */
  readonly signed: Uint8Array
}

const MAGIC = 'LBSX'
const VERSION = 1
const types = { put: 1, fetches: 2, tombstone: 3 } as const
/** So long is the hash of a delete token. */
export const TOKEN_HASH_BYTES = 16

/** An event without its number, as it is kept until it gets one. 3.2 */
export function encodeEvent(event: ShareEvent): Uint8Array {
  const out = new Writer().u16(types[event.kind]).text(event.code)
  if (event.kind === 'fetches') out.u16(event.fetches)
  if (event.kind === 'put') {
    const { deleteTokenHash, payload, expiresAt, maxFetches, fetches, email } = event
    out.bytes(deleteTokenHash).bytes(payload).u64(expiresAt).u16(maxFetches).u16(fetches)
    if (email !== undefined) out.text(email)
  }
  return out.done()
}

/** A whole request for /v1/replicate. 3.1 to 3.3 @param event as {@link encodeEvent} gives it */
export function encodeReplication(
  token: string,
  { origin, epoch, sequence }: EventNumber,
  event: Uint8Array,
): Uint8Array {
  const signed = new Writer().u8(origin).u64(epoch).u64(sequence).raw(event).done()
  const body = new Writer()
    .raw(utf8ToBytes(MAGIC))
    .u16(VERSION)
    .bytes(authenticate(token, signed))
    .raw(signed)
    .done()
  return encodeRequest({ operation: operations.replicate, body })
}

/** 3.3 SHA-256 with the token before the event. It is no HMAC: see section 6. */
export const authenticate = (token: string, signed: Uint8Array): Uint8Array =>
  sha256(concatBytes(utf8ToBytes('LBSX-auth-v1'), utf8ToBytes(token), signed))

/** 3.1, 3.2 @param body of the request, its header taken off @throws ShareFault */
export function decodeReplication(body: Uint8Array): ReplicationRequest {
  const outer = new Reader(body)
  outer.magic(MAGIC)
  if (outer.u16() !== VERSION) throw new ShareFault('UnsupportedVersion')
  const [authentication, signed] = [outer.bytes(), outer.rest()]
  const reader = new Reader(signed)
  const [origin, epoch, sequence] = [reader.u8(), reader.u64(), reader.u64()]
  const event = eventOf(reader)
  // The original lets be what follows, and does not authenticate it.
  if (!reader.isDone) throw new ShareFault('TrailingBytes')
  return { authentication, signed, origin, epoch, sequence, event }
}

function eventOf(reader: Reader): ShareEvent {
  const [type, code] = [reader.u16(), reader.text()]
  switch (type) {
    case types.fetches:
      return { kind: 'fetches', code, fetches: reader.u16() }
    case types.tombstone:
      return { kind: 'tombstone', code }
    case types.put: {
      const [deleteTokenHash, payload] = [reader.bytes(), reader.bytes()]
      if (deleteTokenHash.length !== TOKEN_HASH_BYTES) throw new ShareFault('InvalidField')
      const [expiresAt, maxFetches, fetches] = [reader.wide(), reader.u16(), reader.u16()]
      const email = reader.isDone ? undefined : reader.text()
      const kind = 'put'
      return { kind, code, deleteTokenHash, payload, expiresAt, maxFetches, fetches, email }
    }
    default:
      throw new ShareFault('UnknownType')
  }
}
