import { ProtocolAbort } from '../../abort.js'
import { equalBytes } from '../../bytes.js'
import type { PartyIndex } from '../../party.js'
import { round, type Inbox, type Step } from '../../round.js'
import { tags } from '../../tags.js'
import { Transcript } from '../../transcript.js'
import type { KeyShare } from '../key-share.js'
import { encodeScalar } from '../../math/scalar.js'
import { verifyProof } from '../schnorr.js'
import { evaluate } from '../shamir.js'
import { receive } from '../wire.js'
import { coefficientProof, commitmentTo, openingOf, type Opened } from './opening.js'
import type { Round2State } from './round2.js'
import { round4 } from './round4.js'
import { ranked } from './run.js'

export interface Round3State extends Round2State {
  /** com_j of all parties in rank order. */
  readonly commitments: readonly Uint8Array[]
}

/** Round 3: check what was opened, then hand each party its value. docs/spec/keygen.md, steps 3.1–3.5 */
export function round3(state: Round3State, inbox: Inbox): Step<KeyShare, KeyShare> {
  const { run, a, commitments } = state
  const { curve, sid, quorum, me, peers } = run

  // 3.1  read F_{j,0}..F_{j,t-1}, π_{j,0}..π_{j,t-1}, cc_j, salt_j; exactly t of each, no F_{j,k} is O
  const messages = receive(curve, 3, peers, inbox, openingOf(quorum.threshold))
  const received = new Map<PartyIndex, Opened>()
  for (const [j, opening] of messages) {
    const bytes = inbox.get(j)!.slice()
    // ★ 3.2  com_j = H(sid, j, opening)
    if (!equalBytes(commitmentTo(sid, j, bytes), commitments[j - 1]!))
      throw new ProtocolAbort('commitment_invalid', 3, [j])
    // ★ 3.3  every π_{j,k} proves knowledge of a_{j,k}
    opening.F.forEach((F_k, k) => {
      if (!verifyProof(curve, coefficientProof(sid, j, k), F_k, opening.proofs[k]!))
        throw new ProtocolAbort('proof_invalid', 3, [j])
    })
    received.set(j, { ...opening, bytes })
  }
  const openings = ranked(run, received, { ...state.opening, bytes: state.opened })

  // 3.4  the chain code is a hash of all shares of it: nobody could choose it, all had committed
  const chainCode = new Transcript(tags.keygenChainCode)
    .add(sid)
    .list(openings.map(({ chainCodeShare }) => chainCodeShare))
    .digest()

  // 3.5  s_ij ← f_i(j), to each party its own, privately
  const outbox = new Map(peers.map((j) => [j, encodeScalar(evaluate(a, j))]))
  const s_ii = evaluate(a, me)
  return {
    outbox,
    next: round(4, peers, { run, commitments, openings, chainCode, s_ii }, round4),
  }
}
