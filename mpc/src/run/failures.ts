import { ProtocolAbort, type AbortCode } from '../abort.js'
import { bytesToHex } from '../bytes.js'
import type { PartyIndex } from '../party.js'
import type { RoomCloseReason } from '../room/link.js'

/** A party that a run waited for in vain. */
export interface MissingParty {
  readonly index: PartyIndex
  /** 33 bytes. */
  readonly keygenId: Uint8Array
}

/** Why a run ended although no check failed: the room's reasons, and two of the run's own. */
export type RunFailure =
  | RoomCloseReason
  /** Bytes on an authenticated channel did not decrypt: somebody between the parties disturbed them. */
  | 'link_broken'
  /** An authenticated party told us that it gave up; `abort` says why. */
  | 'peer_aborted'

/** What a party that gave up told the others. `code` is absent when its reason was no check of the protocol. */
export interface PeerAbort {
  readonly by: PartyIndex
  readonly code: AbortCode | undefined
  readonly round: number
}

/** A run ended without anybody being proved guilty. It may be started again, in a new room. */
export class RunFailed extends Error {
  override readonly name = 'RunFailed'
  readonly reason: RunFailure
  /** Who had not authenticated, or, once all had, whose message was being waited for. */
  readonly missing: readonly MissingParty[]
  readonly abort: PeerAbort | undefined

  constructor(
    reason: RunFailure,
    details: { missing?: readonly MissingParty[]; abort?: PeerAbort } = {},
  ) {
    super(describe(reason, details))
    this.reason = reason
    this.missing = details.missing ?? []
    this.abort = details.abort
  }
}

/** What the two sides of a run may disagree about; compared before anything else happens. */
export type OfferField =
  | 'version'
  | 'operation'
  | 'key'
  | 'epoch'
  | 'threshold'
  | 'parties'
  | 'room size'
  | 'derivation path'
  | 'digest'
  /** What a batch signs, or in which order. */
  | 'batch'
  | 'setup'

/** The parties do not mean the same run, and `field` says where they differ. Nobody is to blame. */
export class SessionMismatch extends ProtocolAbort {
  constructor(readonly field: OfferField) {
    super('session_mismatch', 0)
    this.message = `the parties do not mean the same run: they differ in the ${field}`
  }
}

function describe(
  reason: RunFailure,
  details: { missing?: readonly MissingParty[]; abort?: PeerAbort },
): string {
  const words = reason.replaceAll('_', ' ')
  if (details.abort !== undefined) {
    const { by, code, round } = details.abort
    const why = code === undefined ? '' : `: ${code.replaceAll('_', ' ')} in round ${round}`
    return `party ${by} ended the run${why}`
  }
  if (details.missing === undefined || details.missing.length === 0) return words
  const names = details.missing.map((p) => `party ${p.index} (${bytesToHex(p.keygenId)})`)
  return `${words}; missing: ${names.join(', ')}`
}
