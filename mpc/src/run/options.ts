import type { Identity } from '../channel/identity.js'
import type { IdentityKey } from '../channel/identity-key.js'
import type { KeyShare } from '../dkls23/key-share.js'
import type { Quorum } from '../party.js'
import type { RoomLink } from '../room/link.js'
import type { Suite } from '../suite.js'
import type { SetupCache } from './setup-cache.js'
import type { Protocol } from './wire.js'

/** Called when a protocol begins; what it returns is called at the end of each of its rounds. For measuring only. */
export type Watch = (protocol: Protocol) => (round: number) => void

/** What every run is given. */
export interface RunOptions {
  readonly suite: Suite
  /** The joined room, under the own keygen_id as the label. The run leaves it at its end. */
  readonly link: RoomLink
  /** The room's 16 bytes. */
  readonly room: Uint8Array
  readonly setups: SetupCache
  readonly watch?: Watch | undefined
}

export interface KeygenRun extends RunOptions {
  readonly quorum: Quorum
  /** Drawn for this key alone. */
  readonly identity: Identity
  /** Of all n parties, the own one included, in any order; 33 bytes each. */
  readonly keygenIds: readonly Uint8Array[]
  /** Makes the share durable; nothing that depends on it leaves before this resolves. */
  keep(share: KeyShare): Promise<void>
}

/** One thing to be signed. */
export interface Signable {
  /** The 32 bytes to be signed. */
  readonly digest: Uint8Array
  /** Non-hardened BIP-32 path; empty for the key itself. */
  readonly path: readonly number[]
}

/** Whose share signs. */
export interface SigningParty {
  readonly share: KeyShare
  /**
   * The share's identity, from who keeps it for many runs: reading its secret takes as long as an agreement. If absent,
   * it is read for this run and forgotten with it.
   */
  readonly identity?: IdentityKey | undefined
}

export interface SignRun extends RunOptions, SigningParty, Signable {}

export interface SignBatchRun extends RunOptions, SigningParty {
  /** What is signed: the same, in the same order, on every side. 1 to {@link MAX_BATCH}. */
  readonly batch: readonly Signable[]
}

/** The most signatures of one batch. */
export const MAX_BATCH = 32
