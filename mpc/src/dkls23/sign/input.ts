import type { PartyIndex } from '../../party.js'
import type { PairSetup } from '../../setup/pair-setup.js'
import type { Suite } from '../../suite.js'
import type { KeyShare } from '../key-share.js'

/** What one signer brings to a signature. */
export interface SignInput {
  readonly suite: Suite
  /** The session id, 32 bytes: fresh contributions of all signers are in it. docs/spec/session.md */
  readonly sid: Uint8Array
  readonly share: KeyShare
  /** All signers including this one, ascending; at least the threshold. */
  readonly signers: readonly PartyIndex[]
  /** A live OT setup with each other signer. The caller asks that it is alive before every message it sends. */
  readonly setups: ReadonlyMap<PartyIndex, PairSetup>
  /** The 32 bytes to be signed. */
  readonly digest: Uint8Array
  /** Non-hardened BIP-32 path of the key that signs; empty for the key itself. */
  readonly path: readonly number[]
}

/** An ECDSA signature in the low-s form. `v` is the recovery id: bit 0 is R's odd y, bit 1 says R's x was ≥ n. */
export interface Signature {
  readonly r: Uint8Array
  readonly s: Uint8Array
  readonly v: 0 | 1 | 2 | 3
}
