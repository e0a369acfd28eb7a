import type { PartyIndex } from './party.js'

/**
 * What a failed run demands.
 * `restart`: nobody is to blame; start again in a new room.
 * `stop`: the other side misbehaved or is broken; do not retry by yourself.
 * `retire_setup`: as `stop`, and the OT setup with the culprit must be retired for ever, together with every
 * concurrent run on it, before anything is answered (one failed check may leak one bit of it).
 */
export type Reaction = 'restart' | 'stop' | 'retire_setup'

/** Every reason for which a run ends early, with the reaction it demands. A new reason must be classified here. */
const reactions = {
  /** The parties do not mean the same run: version, key, epoch, setup, digest, path or room differ. */
  session_mismatch: 'restart',
  /** The parties saw different first messages (three or more parties only). */
  view_mismatch: 'restart',
  /** A message has a wrong length, an off-curve point, a scalar out of range, or came out of turn. */
  message_invalid: 'stop',
  /** An opened value does not match its commitment. */
  commitment_invalid: 'stop',
  /** A proof of knowledge does not verify. */
  proof_invalid: 'stop',
  /** A keygen share does not lie on the committed polynomial. */
  share_invalid: 'stop',
  /** The parties finished keygen with different transcripts. */
  confirmation_invalid: 'stop',
  /** The setup transcripts differ. */
  setup_mismatch: 'stop',
  /** The all-but-one OT proof failed during an OT setup. */
  pprf_check_failed: 'retire_setup',
  /** The OT-extension consistency check failed. */
  ot_check_failed: 'retire_setup',
  /** The multiplication (VOLE) consistency check failed. */
  vole_check_failed: 'retire_setup',
  /** The Γ checks that tie a multiplication to R_j and pk_j failed. */
  gamma_check_failed: 'retire_setup',
  /** The public key shares of the signers do not add up to the key. */
  public_key_mismatch: 'stop',
  /** The finished signature does not verify under the pinned key. */
  signature_invalid: 'retire_setup',
} as const satisfies Record<string, Reaction>

export type AbortCode = keyof typeof reactions

/** What a reason demands of those who learn of it. */
export const reactionTo = (code: AbortCode): Reaction => reactions[code]

/** A run ended because of what a party sent. Names the check's round, the culprits it proves, and the reaction. */
export class ProtocolAbort extends Error {
  override readonly name = 'ProtocolAbort'
  readonly code: AbortCode
  /** 1-based round of the protocol in which the check stands; 0 for the handshake. */
  readonly round: number
  /** Only parties whom the check proves guilty; empty where it proves nobody. */
  readonly culprits: readonly PartyIndex[]
  readonly reaction: Reaction

  constructor(code: AbortCode, round: number, culprits: readonly PartyIndex[] = []) {
    const blame = culprits.length > 0 ? `, culprit: party ${culprits.join(', ')}` : ''
    super(`${code.replaceAll('_', ' ')} in round ${round}${blame}`)
    this.code = code
    this.round = round
    this.culprits = culprits
    this.reaction = reactions[code]
  }
}
