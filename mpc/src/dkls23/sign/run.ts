import { ProtocolAbort } from '../../abort.js'
import { equalBytes, u32, u64, u8 } from '../../bytes.js'
import type { Curve, Point, Scalar } from '../../curve/curve.js'
import { Hedge } from '../../hedge.js'
import { partyIndex, type PartyIndex } from '../../party.js'
import type { Rng } from '../../rng.js'
import type { PairSetup } from '../../setup/pair-setup.js'
import { sessionCheck } from '../../session.js'
import type { Suite } from '../../suite.js'
import { tags } from '../../tags.js'
import { Transcript } from '../../transcript.js'
import { derivePublicKey } from '../derive.js'
import { encodeScalar, mod } from '../../math/scalar.js'
import { lagrange } from '../shamir.js'
import type { SignInput } from './input.js'

/** What all rounds and flights of one signature know. */
export interface SignRun {
  readonly suite: Suite
  readonly curve: Curve
  /** The session id, narrowed to this signature. */
  readonly sid: Uint8Array
  readonly me: PartyIndex
  /** All signers, ascending. */
  readonly signers: readonly PartyIndex[]
  /** All but this one, ascending. */
  readonly peers: readonly PartyIndex[]
  readonly setups: ReadonlyMap<PartyIndex, PairSetup>
  readonly digest: Uint8Array
  /** The key that signs: the derived one. Every signature is verified under it. */
  readonly pk: Point
  /** λ_i·(s_i + δ): this signer's additive share of the derived key. Secret. */
  readonly x_i: Scalar
  readonly hedge: Hedge
}

/**
 * Checks the input and fixes what the run is about. docs/spec/sign.md, steps 0.1–0.4
 * @throws RangeError when the input is not one signer's view of a signature; InvalidPath, NoSuchChild for the path
 */
export function signRun(input: SignInput, rng: Rng): SignRun {
  const { suite, share, digest, path } = input
  const { curve } = suite
  const me = share.index
  const signers = input.signers.map((j) => partyIndex(j))
  // 0.1  the signers: t ≤ m ≤ n of them, ascending, this party among them
  if (signers.length < share.quorum.threshold) throw new RangeError('too few signers for this key')
  if (signers.some((j, at) => j > share.quorum.parties || (at > 0 && j <= signers[at - 1]!)))
    throw new RangeError('signers are distinct parties of the key, ascending')
  if (!signers.includes(me)) throw new RangeError('this party is not among the signers')
  if (input.sid.length !== 32) throw new RangeError('a session id has 32 bytes')
  if (digest.length !== 32) throw new RangeError('a digest has 32 bytes')
  const peers = signers.filter((j) => j !== me)
  const setups = new Map(peers.map((j) => [j, setupWith(input, j)]))

  // 0.2  derive the key that signs
  const derived = derivePublicKey(curve, share.publicKey, share.chainCode, path)
  // 0.3  sid ← H(sid, fingerprint, epoch, t, n, signers, path, digest): whatever the caller's session id left out
  const sid = new Transcript(tags.signRun, suite.kernel.hash)
    .add(input.sid, share.fingerprint, u64(share.epoch))
    .add(u8(share.quorum.threshold), u8(share.quorum.parties))
    .list(signers.map(u8))
    .list(path.map(u32))
    .add(digest)
    .digest()
  // 0.4  x_i ← λ_i·(s_i + δ): the coefficients λ add up to 1, so each share moves by the whole tweak
  const lambda_i = lagrange(signers, me, 0)
  const s_i = share.secret.reveal()
  return {
    suite,
    curve,
    sid,
    me,
    signers,
    peers,
    setups,
    digest: digest.slice(),
    pk: derived.point,
    x_i: mod(lambda_i * (s_i + derived.tweak)),
    hedge: new Hedge(rng, suite.kernel.hash, encodeScalar(s_i), sid, digest),
  }
}

function setupWith({ setups, share }: SignInput, j: PartyIndex): PairSetup {
  const setup = setups.get(j)
  if (setup === undefined) throw new RangeError(`there is no OT setup with party ${j}`)
  if (setup.me !== share.index || setup.peer !== j)
    throw new RangeError(`the OT setup given for party ${j} is of another pair`)
  return setup
}

/** ★ 2.1  j has the same session id. @throws ProtocolAbort `session_mismatch`, which blames nobody */
export function checkSession({ sid, suite }: SignRun, round: number, check: Uint8Array): void {
  if (!equalBytes(check, sessionCheck(sid, suite.kernel.hash)))
    throw new ProtocolAbort('session_mismatch', round)
}

/** With two signers a wrong sum is the other's doing; with more it proves nobody guilty. */
export function onlyPeer({ peers }: SignRun): readonly PartyIndex[] {
  return peers.length === 1 ? peers : []
}

/** The other of two signers. @throws RangeError when there are more */
export function twoSigners({ peers }: SignRun): PartyIndex {
  if (peers.length !== 1) throw new RangeError('the flights are for exactly two signers')
  return peers[0]!
}
