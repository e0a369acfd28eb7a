import { concatBytes, u8 } from '../bytes.js'
import type { Curve, Point, Scalar } from '../curve/curve.js'
import { encodeScalar, mod, randomScalar, reduceWide } from '../math/scalar.js'
import type { PartyIndex } from '../party.js'
import type { Rng } from '../rng.js'
import type { Tag } from '../tags.js'
import { Transcript } from '../transcript.js'
import { POINT_BYTES, SCALAR_BYTES, type Fields } from './wire.js'

/** What a proof of knowledge is bound to, besides the statement itself. */
export interface ProofContext {
  readonly tag: Tag
  readonly sid: Uint8Array
  readonly prover: PartyIndex
  /** Further fixed-length items, such as the coefficient's index. */
  readonly items: readonly Uint8Array[]
}

/** A Schnorr proof of knowledge of x with X = x·G, made non-interactive by Fiat–Shamir. */
export interface Proof {
  readonly K: Point
  readonly z: Scalar
}

export const PROOF_BYTES = POINT_BYTES + SCALAR_BYTES

/** Proves knowledge of x. docs/spec/keygen.md, section 2, steps P.1–P.4 */
export function prove(curve: Curve, context: ProofContext, x: Scalar, X: Point, rng: Rng): Proof {
  const k = randomScalar(rng) // P.1  k ← 1..n-1
  const K = curve.mulBase(k) // P.2  K ← k·G
  const e = challenge(curve, context, X, K) // P.3  e ← H(tag, sid, prover, items, X, K)
  return { K, z: mod(k + e * x) } // P.4  z ← k + e·x
}

/** Whether z·G = K + e·X. docs/spec/keygen.md, section 2, step P.5 */
export function verifyProof(
  curve: Curve,
  context: ProofContext,
  X: Point,
  { K, z }: Proof,
): boolean {
  const e = challenge(curve, context, X, K)
  // z is public here; mulBase is simply the fastest way to multiply G.
  return curve.equals(curve.mulBase(z), curve.add(K, curve.mulPublic(X, e)))
}

export function encodeProof(curve: Curve, { K, z }: Proof): Uint8Array {
  return concatBytes(curve.encode(K), encodeScalar(z))
}

export function readProof(fields: Fields): Proof {
  return { K: fields.point(), z: fields.scalar() }
}

function challenge(
  curve: Curve,
  { tag, sid, prover, items }: ProofContext,
  X: Point,
  K: Point,
): Scalar {
  const hash = new Transcript(tag)
    .add(sid, u8(prover))
    .list(items)
    .add(curve.encode(X), curve.encode(K))
  return reduceWide(hash.digest(48))
}
