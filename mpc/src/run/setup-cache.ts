import type { AbortCode } from '../abort.js'
import type { PartyIndex } from '../party.js'
import type { PairSetup } from '../setup/pair-setup.js'

/**
 * Where the OT setups of one share live, one at a time for each peer. Whoever implements it keeps them sealed, apart
 * from the share, and out of every backup.
 */
export interface SetupCache {
  /** The setup to offer to this peer, if there is one that has not been retired. */
  load(peer: PartyIndex): Promise<PairSetup | undefined>
  /** Keeps a new setup that both sides have confirmed; it is offered to this peer from now on. */
  save(peer: PartyIndex, setup: PairSetup): Promise<void>
  /**
   * Retires a setup for ever, destroys its secrets and, if the peer is blamed, counts one failure of it, in one
   * transaction. Awaited before anything is answered: if it throws, that error leaves the run, and `alive` must say no
   * all the same. `setupId` is unknown to the cache when the failed check belongs to a setup still being made.
   * Resolves to `false` if the setup was dead before this call, decided atomically: at most one failed check of a setup
   * may ever be seen from outside, so the run then ends with `session_mismatch` instead.
   * @param blamed whether the check proves this peer guilty; if not, nothing may be counted against it
   */
  retire(setupId: Uint8Array, peer: PartyIndex, code: AbortCode, blamed: boolean): Promise<unknown>
  /**
   * Whether a setup may still be used; asked right before any work on it, and right before each message that depends on it. A setup that a newer one
   * has replaced stays alive for the runs under way: only retirement kills it.
   */
  alive(setupId: Uint8Array): Promise<boolean> | boolean
  /**
   * Told which setup, if any, an authenticated peer would use, before anything depends on one. May throw to end the
   * run: a peer that offers a setup which was retired long ago has gone back in time.
   */
  offered?(peer: PartyIndex, setupId: Uint8Array | undefined): Promise<void> | void
}
