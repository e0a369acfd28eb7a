import { ProtocolAbort } from '../../abort.js'
import { concatBytes } from '../../bytes.js'
import type { Point, Scalar } from '../../curve/curve.js'
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

  // 4.3  s_i ← Σ_j s_ji; ★ it is not 0
  const s_i = [...shares.values()].reduce((sum, s) => mod(sum + s), s_ii)
  if (s_i === 0n) throw new ProtocolAbort('share_invalid', 4)

  // 4.4  F_k ← Σ_j F_{j,k}; ★ none is O: the key exists and its polynomial has degree t-1
  const F = Array.from({ length: quorum.threshold }, (_, k) =>
    curve.sum(openings.map((o) => o.F[k]!)),
  )
  if (F.some((F_k) => curve.isIdentity(F_k))) throw new ProtocolAbort('share_invalid', 4)
  //      S_j ← Σ_k j^k·F_k for every party
  const S = parties.map((j) => evaluateInExponent(curve, F, j))
  if (S.some((S_j) => curve.isIdentity(S_j))) throw new ProtocolAbort('share_invalid', 4)

  // 4.5  agg ← H(sid, F)
  const aggregate = aggregateHash(run, F)
  // 4.6  π_i ← a proof of knowledge of s_i, bound to sid, chain code and agg
  const S_i = S[me - 1]!
  const proof = prove(
    curve,
    shareProof(sid, me, chainCode, aggregate),
    s_i,
    S_i,
    hedge.stream('proof'),
  )

  // 4.7  send (agg, S_i, π_i) to all
  const message = concatBytes(aggregate, curve.encode(S_i), encodeProof(curve, proof))
  return {
    outbox: broadcast(peers, message),
    next: round(5, peers, { ...state, s_i, F, S, aggregate, message }, round5),
  }
}

/** The aggregate polynomial, hashed for comparison among all parties. */
function aggregateHash({ curve, sid }: KeygenRun, F: readonly Point[]): Uint8Array {
  return new Transcript(tags.keygenAggregate)
    .add(sid)
    .list(F.map((F_k) => curve.encode(F_k)))
    .digest()
}
