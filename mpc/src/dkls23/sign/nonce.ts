import { u8 } from '../../bytes.js'
import type { Point, Scalar } from '../../curve/curve.js'
import type { PartyIndex } from '../../party.js'
import { randomScalar } from '../../math/scalar.js'
import { tags } from '../../tags.js'
import { Transcript } from '../../transcript.js'
import type { SignRun } from './run.js'

/** What one signer drew for one signature. r_i and φ_i are secret and die with the run. */
export interface Nonce {
  readonly r_i: Scalar
  /** The inversion mask φ_i. */
  readonly phi_i: Scalar
  readonly R_i: Point
  readonly salt: Uint8Array
}

/** Draws the nonce from the hedged randomness of the run. docs/spec/sign.md, steps 1.1–1.2 */
export function drawNonce({ curve, hedge }: SignRun): Nonce {
  const randomness = hedge.stream('nonce')
  const r_i = randomScalar(randomness) // 1.1  r_i, φ_i ← 1..n-1
  const phi_i = randomScalar(randomness)
  const R_i = curve.mulBase(r_i) // 1.2  R_i ← r_i·G
  return { r_i, phi_i, R_i, salt: randomness(32) }
}

/** com_i ← H(sid, i, R_i, salt). docs/spec/sign.md, step 1.3 */
export function nonceCommitment(
  { suite, curve, sid }: SignRun,
  i: PartyIndex,
  R_i: Point,
  salt: Uint8Array,
): Uint8Array {
  return new Transcript(tags.signCommitment, suite.kernel.hash)
    .add(sid, u8(i), curve.encode(R_i), salt)
    .digest()
}
