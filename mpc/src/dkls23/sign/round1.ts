import { concatBytes } from '../../bytes.js'
import { systemRng, type Rng } from '../../rng.js'
import { round, type Step } from '../../round.js'
import { sessionCheck } from '../../session.js'
import type { SignInput, Signature } from './input.js'
import { beginMultiplication } from './multiply.js'
import { drawNonce, nonceCommitment } from './nonce.js'
import { round2 } from './round2.js'
import { signRun } from './run.js'

/**
 * Starts a signature of three or more signers: three rounds. Two signers may use it too, but have a shorter way with
 * the flights. docs/spec/sign.md
 * @throws RangeError when the input is not one signer's view of a signature; InvalidPath, NoSuchChild for the path
 */
export function startSignMany(input: SignInput): Step<Signature> {
  return startSignManyWith(input, systemRng)
}

/** As {@link startSignMany}, with the random source given. Only for tests. */
export function startSignManyWith(input: SignInput, rng: Rng): Step<Signature> {
  const run = signRun(input, rng) // 0.1–0.4
  const nonce = drawNonce(run) // 1.1–1.2
  const commitment = nonceCommitment(run, run.me, nonce.R_i, nonce.salt) // 1.3
  const factors = new Map(run.peers.map((j) => [j, beginMultiplication(run, 3, j)])) // 1.4
  // 1.5  send H(sid) and com_i to all, and to each its own VOLE message
  const common = concatBytes(sessionCheck(run.sid, run.suite.kernel.hash), commitment)
  const outbox = new Map(run.peers.map((j) => [j, concatBytes(common, factors.get(j)!.message)]))
  return { outbox, next: round(2, run.peers, { run, nonce, commitment, factors }, round2) }
}
