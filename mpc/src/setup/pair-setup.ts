import type { PartyIndex } from '../party.js'

/**
 * The OT setup between this party and one other: a cache that makes signing symmetric-key work. It belongs to one
 * (share, epoch, peer), is never exported with a backup, and is retired for ever after one failed check.
 */
export interface PairSetup {
  /** 32 bytes: hash of the setup's transcript, confirmed by both sides. */
  readonly id: Uint8Array
  readonly me: PartyIndex
  readonly peer: PartyIndex
}
