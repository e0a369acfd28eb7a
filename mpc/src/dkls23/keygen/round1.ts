import { concatBytes } from '../../bytes.js'
import type { Rng } from '../../rng.js'
import { systemRng } from '../../rng.js'
import { randomScalar } from '../../math/scalar.js'
import { round, type Step } from '../../round.js'
import { sessionCheck } from '../../session.js'
import type { KeyShare } from '../key-share.js'
import { prove } from '../schnorr.js'
import { broadcast } from '../wire.js'
import type { KeygenInput } from './input.js'
import { coefficientProof, commitmentTo, encodeOpening, type Opening } from './opening.js'
import { round2 } from './round2.js'
import { keygenRun } from './run.js'

/**
 * Starts a keygen: commits to a polynomial. Five more rounds follow; the step that carries `keep` must not let its
 * outbox out before that share is durable. docs/spec/keygen.md
 * @throws RangeError, InvalidKeyShare when the input is not one party's view of a keygen
 */
export function startKeygen(input: KeygenInput): Step<KeyShare, KeyShare> {
  return startKeygenWith(input, systemRng)
}

/** As {@link startKeygen}, with the random source given. Only for tests. */
export function startKeygenWith(input: KeygenInput, rng: Rng): Step<KeyShare, KeyShare> {
  const run = keygenRun(input, rng) // 1.1  sid ← H(sid, t, n, keygen_ids)
  const { curve, sid, me, hedge } = run
  const randomness = hedge.stream('polynomial')

  // 1.2  a_0, …, a_{t-1} ← 1..n-1
  const a = Array.from({ length: run.quorum.threshold }, () => randomScalar(randomness))
  // 1.3  F_k ← a_k·G
  const F = a.map((a_k) => curve.mulBase(a_k))
  // 1.4  π_k ← a proof of knowledge of a_k, for every k
  const proofs = a.map((a_k, k) =>
    prove(curve, coefficientProof(sid, me, k), a_k, F[k]!, randomness),
  )
  // 1.5  cc_i, salt ← 32 random bytes each; com_i ← H(sid, i, F, π, cc_i, salt)
  const opening: Opening = { F, proofs, chainCodeShare: randomness(32), salt: randomness(32) }
  const opened = encodeOpening(curve, opening)
  const commitment = commitmentTo(sid, me, opened)

  // 1.6  send H(sid) and com_i to all
  const state = { run, a, opening, opened, commitment }
  return {
    outbox: broadcast(run.peers, concatBytes(sessionCheck(sid), commitment)),
    next: round(2, run.peers, state, round2),
  }
}
