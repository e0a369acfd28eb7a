import { u32, u64, u8 } from './bytes.js'
import type { PartyIndex, Quorum } from './party.js'
import { tags } from './tags.js'
import { Transcript, type KeyedHash } from './transcript.js'
import { utf8ToBytes } from '@noble/hashes/utils.js'

/** The version of all protocols in this package. Parties of different versions never start a run together. */
export const PROTOCOL_VERSION = 1

/** What every run is about, whatever the operation. */
export interface SessionCommon {
  /** The room's 16 random bytes. */
  readonly room: Uint8Array
  readonly quorum: Quorum
  /** All n parties' keygen_ids in rank order, 33 bytes each. */
  readonly keygenIds: readonly Uint8Array[]
  /** The parties of this run, ascending: all n for a keygen, two for an OT setup, the signers for a signature. */
  readonly present: readonly PartyIndex[]
  /** What each present party contributed freshly, in the order of `present`, 32 bytes each. */
  readonly contributions: readonly Uint8Array[]
  /** The hashes of the channel handshakes that all present parties know, 32 bytes each (one, with two parties). */
  readonly handshakes: readonly Uint8Array[]
}

/** The run's operation with what only that operation has. */
export type SessionParts = SessionCommon &
  (
    | { readonly operation: 'keygen' }
    | {
        readonly operation: 'setup'
        /** Of the key whose parties set up. 32 bytes; zeros while that key is still being made. */
        readonly fingerprint: Uint8Array
        readonly epoch: number
      }
    | {
        /** `batch`: several signatures in one run; the path is then empty and the digest that of the batch's list. */
        readonly operation: 'sign' | 'batch'
        readonly fingerprint: Uint8Array
        readonly epoch: number
        /** Ids of the OT setups that the run uses, in an order all present parties agree on. 32 bytes each. */
        readonly setupIds: readonly Uint8Array[]
        /** Non-hardened BIP-32 path. */
        readonly path: readonly number[]
        /** The 32 bytes to be signed. */
        readonly digest: Uint8Array
      }
  )

/**
 * The 32-byte session id: a hash of everything the run is about. Two parties get the same id only if they mean the
 * same run. docs/spec/session.md
 * @throws RangeError when a part has a wrong length or count
 */
export function sessionId(parts: SessionParts, hash?: KeyedHash): Uint8Array {
  const { operation, room, quorum, keygenIds, present, contributions, handshakes } = parts
  sized('room', room, 16)
  counted('keygen_ids', keygenIds, quorum.parties, 33)
  counted('contributions', contributions, present.length, 32)
  counted('handshakes', handshakes, handshakes.length, 32)
  const about = new Transcript(tags.sessionId, hash)
    .add(u32(PROTOCOL_VERSION), utf8ToBytes(operation), room)
    .add(u8(quorum.threshold), u8(quorum.parties))
    .list(keygenIds)
    .list(present.map(u8))
    .list(contributions)
    .list(handshakes)
  if (parts.operation === 'keygen') return about.digest()

  about.add(sized('fingerprint', parts.fingerprint, 32), u64(parts.epoch))
  if (parts.operation === 'setup') return about.digest()

  counted('setup ids', parts.setupIds, parts.setupIds.length, 32)
  return about
    .list(parts.setupIds)
    .list(parts.path.map(u32))
    .add(sized('digest', parts.digest, 32))
    .digest()
}

/**
 * What a party's first message carries so that the others can tell a run of another session id from a cheater: without
 * it, one who tells two parties different things could make each of them blame the other. docs/spec/session.md
 */
export function sessionCheck(sid: Uint8Array, hash?: KeyedHash): Uint8Array {
  return new Transcript(tags.sessionCheck, hash).add(sid).digest()
}

function sized(what: string, bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.length !== length) throw new RangeError(`${what}: ${length} bytes, not ${bytes.length}`)
  return bytes
}

function counted(what: string, list: readonly Uint8Array[], count: number, length: number): void {
  if (list.length !== count) throw new RangeError(`${what}: ${count} expected, not ${list.length}`)
  for (const item of list) sized(what, item, length)
}
