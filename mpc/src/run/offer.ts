import { ProtocolAbort } from '../abort.js'
import { concatBytes, equalBytes, u32, u8 } from '../bytes.js'
import type { PartyIndex, Quorum } from '../party.js'
import { PROTOCOL_VERSION } from '../session.js'
import { tags } from '../tags.js'
import { Transcript, type KeyedHash } from '../transcript.js'
import { SessionMismatch, type OfferField } from './failures.js'

/** What this party thinks the run is about, and the setup it would use. */
export interface Offer {
  readonly operation: 'keygen' | 'sign' | 'batch'
  /** 32 bytes; zeros where there is no key yet. */
  readonly fingerprint: Uint8Array
  readonly epoch: number
  readonly quorum: Quorum
  readonly roomSize: number
  /** Empty for a batch. */
  readonly path: readonly number[]
  /** 32 bytes; zeros where nothing is signed, for a batch the hash of its list. */
  readonly digest: Uint8Array
  /** 32 bytes; zeros where there is none. */
  readonly setupId: Uint8Array
}

const operations = { keygen: 1, sign: 2, batch: 3 } as const

/** The offer's fields in order, each with its length in bytes. docs/spec/run.md */
const layout: readonly (readonly [OfferField, number])[] = [
  ['version', 1],
  ['operation', 1],
  ['key', 32],
  ['epoch', 4],
  ['threshold', 1],
  ['parties', 1],
  ['room size', 1],
  ['derivation path', 32],
  ['digest', 32],
  ['setup', 32],
]

export const OFFER_BYTES = layout.reduce((sum, [, length]) => sum + length, 0)
export const noSetup = new Uint8Array(32)

export function encodeOffer(offer: Offer, hash?: KeyedHash): Uint8Array {
  return concatBytes(
    u8(PROTOCOL_VERSION),
    u8(operations[offer.operation]),
    offer.fingerprint,
    u32(offer.epoch),
    u8(offer.quorum.threshold),
    u8(offer.quorum.parties),
    u8(offer.roomSize),
    new Transcript(tags.offerPath, hash).list(offer.path.map(u32)).digest(),
    offer.digest,
    offer.setupId,
  )
}

/**
 * Compares two encoded offers field by field, before anything else of the run.
 * @returns whether both name the same setup
 * @throws SessionMismatch naming the first field that differs
 * @throws ProtocolAbort `message_invalid` when the peer's offer has the right version but not its length
 */
export function compareOffers(mine: Uint8Array, theirs: Uint8Array, peer: PartyIndex): boolean {
  if (theirs[0] !== mine[0]) throw new SessionMismatch('version')
  if (theirs.length !== OFFER_BYTES) throw new ProtocolAbort('message_invalid', 0, [peer])
  let at = 0
  for (const [field, length] of layout) {
    const same = equalBytes(mine.subarray(at, at + length), theirs.subarray(at, at + length))
    if (field === 'setup') return same && !equalBytes(mine.subarray(at), noSetup)
    if (!same)
      throw new SessionMismatch(
        field === 'digest' && mine[1] === operations.batch ? 'batch' : field,
      )
    at += length
  }
  return false
}
