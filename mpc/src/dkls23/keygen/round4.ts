import { ProtocolAbort } from '../../abort.js'
import { concatBytes } from '../../bytes.js'
import type { Scalar } from '../../curve/curve.js'
import { round, type Inbox, type Step } from '../../round.js'
import { tags } from '../../tags.js'
import { Transcript } from '../../transcript.js'
import type { KeyShare } from '../key-share.js'
import { mod } from '../../math/scalar.js'
import { encodeProof, prove } from '../schnorr.js'
import { evaluateInExponent } from '../shamir.js'
import { broadcast, receive, SCALAR_BYTES, type MessageType } from '../wire.js'
import type { Opened } from './opening.js'
import { round5, shareProof } from './round5.js'
import type { KeygenRun } from './run.js'

/** Sent privately in round 3: s_ij = f_i(j). */
export const shareMessage: MessageType<Scalar> = {
  length: SCALAR_BYTES,
  read: (fields) => fields.scalar(),
}

export interface Round4State {
  readonly run: KeygenRun
  readonly commitments: readonly Uint8Array[]
  /** What each party opened, in rank order. */
  readonly openings: readonly Opened[]
  readonly chainCode: Uint8Array
  /** f_i(i): secret. */
  readonly s_ii: Scalar
}

/** Round 4: add the shares up and prove knowledge of the sum. docs/spec/keygen.md, steps 4.1–4.7 */
export function round4(state: Round4State, inbox: Inbox): Step<KeyShare, KeyShare> {
  const { run, openings, chainCode, s_ii } = state
  const { curve, sid, quorum, me, parties, peers, hedge } = run

  // 4.1  read s_ji; ★ 4.2  s_ji·G = Σ_k i^k·F_{j,k}
  const shares = receive(curve, 4, peers, inbox, shareMessage)
  for (const [j, s_ji] of shares)
    if (!curve.equals(curve.mulBase(s_ji), evaluateInExponent(curve, openings[j - 1]!.F, me)))
      throw new ProtocolAbort('share_invalid', 4, [j])

  // 4.3  s_i ← Σ_j s_ji
  const s_i = [...shares.values()].reduce((sum, s) => mod(sum + s), s_ii)

  // 4.4  F_k ← Σ_j F_{j,k}, S_j ← Σ_k j^k·F_k for every party; ★ none is O: the key exists, its polynomial has
  //      degree t-1, and no share is 0
  const F = Array.from({ length: quorum.threshold }, (_, k) =>
    curve.sum(openings.map((o) => o.F[k]!)),
  )
  const S = parties.map((j) => evaluateInExponent(curve, F, j))
  if ([...F, ...S].some((P) => curve.isIdentity(P))) throw new ProtocolAbort('share_invalid', 4)

  // 4.5  view_i ← H(sid, all commitments, all openings): F and chain code follow from it
  const view = new Transcript(tags.keygenView)
    .add(sid)
    .list(state.commitments)
    .list(openings.map((opened) => opened.bytes))
    .digest()
  // 4.6  π_i ← a proof of knowledge of s_i, bound to sid, chain code and view_i
  const S_i = S[me - 1]!
  const proof = prove(curve, shareProof(sid, me, chainCode, view), s_i, S_i, hedge.stream('proof'))

  // 4.7  send (view_i, S_i, π_i) to all
  const message = concatBytes(view, curve.encode(S_i), encodeProof(curve, proof))
  return {
    outbox: broadcast(peers, message),
    next: round(5, peers, { ...state, s_i, F, S, view, message }, round5),
  }
}
