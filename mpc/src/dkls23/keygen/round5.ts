import { ProtocolAbort } from '../../abort.js'
import { equalBytes } from '../../bytes.js'
import type { Point, Scalar } from '../../curve/curve.js'
import type { PartyIndex } from '../../party.js'
import { round, type Inbox, type Step } from '../../round.js'
import { tags } from '../../tags.js'
import { Transcript } from '../../transcript.js'
import { keyFingerprint, type KeyShare } from '../key-share.js'
import { PROOF_BYTES, readProof, verifyProof, type Proof, type ProofContext } from '../schnorr.js'
import { Secret } from '../secret.js'
import { broadcast, HASH_BYTES, POINT_BYTES, receive, type MessageType } from '../wire.js'
import type { Round4State } from './round4.js'
import { confirmation, round6 } from './round6.js'
import { onlyPeer, ranked } from './run.js'

/** Sent in round 4: the view of rounds 1 and 2, the public share, and the proof of knowledge of the share. */
export interface ProofMessage {
  readonly view: Uint8Array
  readonly S: Point
  readonly proof: Proof
}

export const proofMessage: MessageType<ProofMessage> = {
  length: HASH_BYTES + POINT_BYTES + PROOF_BYTES,
  read: (fields) => ({
    view: fields.bytes(HASH_BYTES),
    S: fields.point(),
    proof: readProof(fields),
  }),
}

export interface Round5State extends Round4State {
  /** This party's share: secret. */
  readonly s_i: Scalar
  /** The sum of all polynomials in the exponent. */
  readonly F: readonly Point[]
  /** All public shares in rank order. */
  readonly S: readonly Point[]
  readonly view: Uint8Array
  /** What this party sent in round 4. */
  readonly message: Uint8Array
}

/**
 * Round 5: the key is agreed; confirm everything that was said. The step carries `keep`, the share, which must be
 * durable before the confirmation leaves. docs/spec/keygen.md, steps 5.1–5.6
 */
export function round5(state: Round5State, inbox: Inbox): Step<KeyShare, KeyShare> {
  const { run, s_i, F, S, chainCode, view } = state
  const { curve, sid, quorum, me, peers, keygenIds } = run

  const messages = receive(curve, 5, peers, inbox, proofMessage)
  // ★ 5.1  all saw the same commitments and openings: for all parties first, since a difference makes later checks meaningless
  for (const m_j of messages.values())
    if (!equalBytes(m_j.view, view))
      throw new ProtocolAbort('confirmation_invalid', 5, onlyPeer(run))
  for (const [j, m_j] of messages) {
    // ★ 5.2  S_j lies on the agreed polynomial. This is the paper's check that any t public shares interpolate to
    //        the same key; against the coefficients it costs less and names the culprit.
    if (!curve.equals(m_j.S, S[j - 1]!)) throw new ProtocolAbort('share_invalid', 5, [j])
    // ★ 5.3  π_j proves knowledge of s_j under this sid and chain code
    if (!verifyProof(curve, shareProof(sid, j, chainCode, view), m_j.S, m_j.proof))
      throw new ProtocolAbort('proof_invalid', 5, [j])
  }

  // 5.4  T ← H(everything all parties must have heard alike, the key, the chain code)
  const publicKey = curve.encode(F[0]!)
  const publicShares = S.map((S_j) => curve.encode(S_j))
  const proofs = ranked(run, inbox, state.message)
  const transcript = new Transcript(tags.keygenTranscript)
    .add(sid)
    .list(state.commitments)
    .list(state.openings.map((opened) => opened.bytes))
    .list(proofs)
    .add(publicKey, chainCode)
    .list(publicShares)
    .digest()
  const share: KeyShare = {
    quorum,
    index: me,
    epoch: 0,
    secret: new Secret(s_i),
    publicKey,
    chainCode,
    keygenIds,
    publicShares,
    identitySecret: new Secret(run.identitySecret),
    fingerprint: keyFingerprint(publicKey, chainCode, quorum, keygenIds),
  }

  // 5.5  conf_i ← H(sid, i, T);  5.6  keep the share, then send conf_i to all
  return {
    outbox: broadcast(peers, confirmation(run, me, transcript)),
    keep: share,
    next: round(6, peers, { run, transcript, share }, round6),
  }
}

/** What the final proof of party i is bound to. */
export function shareProof(
  sid: Uint8Array,
  i: PartyIndex,
  chainCode: Uint8Array,
  view: Uint8Array,
): ProofContext {
  return { tag: tags.keygenShareProof, sid, prover: i, items: [chainCode, view] }
}
