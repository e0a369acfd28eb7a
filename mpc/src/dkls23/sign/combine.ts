import { ProtocolAbort } from '../../abort.js'
import { concatBytes } from '../../bytes.js'
import type { Point, Scalar } from '../../curve/curve.js'
import { encodeScalar, invertPublic, mod, readUint } from '../../math/scalar.js'
import { SCALAR_BYTES, type Fields } from '../wire.js'
import type { Signature } from './input.js'
import type { KeyPart, ReceiverShares, SenderShares } from './multiply.js'
import type { Nonce } from './nonce.js'
import { onlyPeer, type SignRun } from './run.js'

/** The sum of all nonce points. docs/spec/sign.md, step 3.3: it has an x that can be signed with. */
export function addNonces(run: SignRun, round: number, R_all: readonly Point[]): Point {
  const { curve } = run
  const R = curve.sum(R_all)
  // ★ 3.3  R ≠ O and r_x ≠ 0. Everyone was bound to its R_j before seeing another's, so this is no accident.
  if (curve.isIdentity(R) || xOf(run, R) === 0n)
    throw new ProtocolAbort('signature_invalid', round, onlyPeer(run))
  return R
}

/** ★ 3.7  Σ pk_j is the key that signs. @throws ProtocolAbort `public_key_mismatch` */
export function checkKeyParts(run: SignRun, round: number, pk_all: readonly Point[]): void {
  if (!run.curve.equals(run.curve.sum(pk_all), run.pk))
    throw new ProtocolAbort('public_key_mismatch', round, onlyPeer(run))
}

/** One signer's shares of u = r·φ and of w = (m + r_x·sk)·φ. */
export interface SignatureShare {
  readonly u: Scalar
  readonly w: Scalar
}

export const SIGNATURE_SHARE_BYTES = 2 * SCALAR_BYTES

export function readSignatureShare(fields: Fields): SignatureShare {
  return { u: fields.scalar(), w: fields.scalar() }
}

export function encodeSignatureShare({ u, w }: SignatureShare): Uint8Array {
  return concatBytes(encodeScalar(u), encodeScalar(w))
}

/** What the multiplications with one other signer left here. */
export interface PairShares {
  readonly psi_ji: Scalar
  readonly c: SenderShares
  readonly d: ReceiverShares
}

/** This signer's signature share. docs/spec/sign.md, steps 3.8–3.10 */
export function signatureShare(
  run: SignRun,
  R: Point,
  { r_i, phi_i }: Nonce,
  { sk_i }: KeyPart,
  pairs: readonly PairShares[],
): SignatureShare {
  const m = readUint(run.digest, 0, 32)
  const phi = pairs.reduce((sum, { psi_ji }) => sum + psi_ji, phi_i)
  // 3.8  u_i ← r_i·(φ_i + Σ_j ψ_ji) + Σ_j (c^u_ij + d^u_ij)
  const u = mod(pairs.reduce((sum, { c, d }) => sum + c[0] + d[0], r_i * phi))
  // 3.9  v_i ← sk_i·(φ_i + Σ_j ψ_ji) + Σ_j (c^v_ij + d^v_ij)
  const v = mod(pairs.reduce((sum, { c, d }) => sum + c[1] + d[1], sk_i * phi))
  // 3.10 w_i ← m·φ_i + r_x·v_i
  const w = mod(m * phi_i + xOf(run, R) * v)
  return { u, w }
}

/**
 * s from all signers' shares, not yet in its low form. docs/spec/sign.md, step 4.2
 * @throws ProtocolAbort `signature_invalid`, naming a culprit only where there are two signers
 */
export function addShares(run: SignRun, round: number, shares: readonly SignatureShare[]): Scalar {
  // 4.2  s ← Σ w_j / Σ u_j; ★ neither sum is 0. The protocol lets every signer know both sums, so the inversion may take
  // its time, also where flight 4 says less.
  const u = mod(shares.reduce((sum, share) => sum + share.u, 0n))
  const w = mod(shares.reduce((sum, share) => sum + share.w, 0n))
  if (u === 0n || w === 0n) throw new ProtocolAbort('signature_invalid', round, onlyPeer(run))
  return mod(w * invertPublic(u))
}

/**
 * The signature, verified. docs/spec/sign.md, steps 4.3–4.5
 * @throws ProtocolAbort `signature_invalid`, naming a culprit only where there are two signers
 */
export function finish(run: SignRun, round: number, R: Point, s: Scalar): Signature {
  const { curve, digest, pk } = run
  const n = curve.order
  const { x, yIsOdd } = curve.coordinates(R)
  const overflow = readUint(x, 0, 32) >= n
  // 4.3  the low-s form: s ← n - s if s > n/2, and R's y the other way; v ← (is R's y odd) + 2·(is R's x ≥ n)
  const high = s > n / 2n
  const signature: Signature = {
    r: encodeScalar(xOf(run, R)),
    s: encodeScalar(high ? n - s : s),
    v: ((yIsOdd !== high ? 1 : 0) + (overflow ? 2 : 0)) as Signature['v'],
  }
  // ★ 4.4  r⁻¹·(s·R_v − m·G) = pk: the very signature that leaves, with its v, leads back to the key that this signer
  // pinned. Plain ECDSA looks at R's x alone and takes n - s for s, which would turn v.
  const signer = curve.recover(signature, digest)
  if (signer === undefined || !curve.equals(signer, pk))
    throw new ProtocolAbort('signature_invalid', round, onlyPeer(run))
  return signature // 4.5  only now
}

/** r_x: the x coordinate of R mod n. */
function xOf({ curve }: SignRun, R: Point): Scalar {
  return mod(readUint(curve.coordinates(R).x, 0, 32))
}
