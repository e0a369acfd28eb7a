import type { PartyIndex, Quorum } from '../../party.js'
import type { Suite } from '../../suite.js'

/** What one party brings to a keygen. */
export interface KeygenInput {
  readonly suite: Suite
  /** The session id, 32 bytes: fresh contributions of all parties are in it. docs/spec/session.md */
  readonly sid: Uint8Array
  readonly quorum: Quorum
  /** This party's rank among the keygen_ids. */
  readonly me: PartyIndex
  /** All parties' keygen_ids, ascending, 33 bytes each. */
  readonly keygenIds: readonly Uint8Array[]
  /** The secret behind this party's keygen_id, 32 bytes. It becomes part of the share. */
  readonly identitySecret: Uint8Array
}
