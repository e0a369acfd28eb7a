import { ProtocolAbort } from '../../abort.js'
import type { Point, Scalar } from '../../curve/curve.js'
import type { PartyIndex } from '../../party.js'
import { VOLE_ANSWER_BYTES, voleReceive, voleSend } from '../../vole/index.js'
import { zeroShare } from '../../zero-share.js'
import { encodeScalar, mod } from '../../math/scalar.js'
import { POINT_BYTES, SCALAR_BYTES, type Fields } from '../wire.js'
import type { Nonce } from './nonce.js'
import type { SignRun } from './run.js'

/** This signer's half of the multiplication with j in which it is the receiver (the paper's Bob). */
export interface Factor {
  /** For j: the receiver's message. */
  readonly message: Uint8Array
  /** χ_ij, random: secret. */
  readonly chi_ij: Scalar
  /** Takes j's answer; gives (d^u_ij, d^v_ij). Single use. */
  readonly finish: (answer: Uint8Array) => [Scalar, Scalar]
}

/** Begins the multiplication towards j. `round` is where j's answer will be checked. docs/spec/sign.md, step 1.4 */
export function beginMultiplication(run: SignRun, round: number, j: PartyIndex): Factor {
  const receiver = voleReceive({
    suite: run.suite,
    sid: run.sid,
    setup: run.setups.get(j)!,
    rng: run.hedge.stream('vole receiver', j),
    round,
  })
  return {
    message: receiver.message,
    chi_ij: receiver.chi,
    finish: (answer) => receiver.finish(answer),
  }
}

/** The blinded additive share of the key, and its public part. */
export interface KeyPart {
  readonly sk_i: Scalar
  readonly pk_i: Point
}

/** Blinds this signer's share of the key with a fresh share of zero. docs/spec/sign.md, step 2.4 */
export function blindKey(run: SignRun): KeyPart {
  const zeta_i = zeroShare(run.suite.kernel, run.me, [...run.setups.values()], run.sid)
  const sk_i = mod(run.x_i + zeta_i)
  return { sk_i, pk_i: run.curve.mulBase(sk_i) }
}

/** What one signer tells another in the multiplication round. */
export interface Product {
  /** The VOLE sender's answer, as it stands in the message: not to be kept. */
  readonly answer: Uint8Array
  readonly Gamma_u: Point
  readonly Gamma_v: Point
  readonly psi: Scalar
  readonly pk: Point
  readonly R: Point
}

export const PRODUCT_BYTES = VOLE_ANSWER_BYTES + 4 * POINT_BYTES + SCALAR_BYTES

export function readProduct(fields: Fields): Product {
  return {
    answer: fields.view(VOLE_ANSWER_BYTES),
    Gamma_u: fields.point(),
    Gamma_v: fields.point(),
    psi: fields.scalar(),
    pk: fields.point(),
    R: fields.point(),
  }
}

/** What stays with the signer that answered: (c^u_ij, c^v_ij). Secret. */
export type SenderShares = readonly [c_u: Scalar, c_v: Scalar]

/**
 * Answers j's half of the other multiplication with the inputs (r_i, sk_i); gives the product in parts, since it is long.
 * docs/spec/sign.md, steps 2.3, 2.5–2.7
 * @throws ProtocolAbort `ot_check_failed` naming j
 */
export function answerMultiplication(
  run: SignRun,
  round: number,
  j: PartyIndex,
  message: Uint8Array,
  { r_i, phi_i, R_i }: Nonce,
  { sk_i, pk_i }: KeyPart,
  { chi_ij }: Factor,
): { product: readonly Uint8Array[]; c: SenderShares } {
  const { suite, curve, sid } = run
  const rng = run.hedge.stream('vole sender', j)
  // ★ 2.3  the OT-extension check, inside; 2.5  (c^u_ij, c^v_ij) ← the sender's shares of r_i·χ_ji, sk_i·χ_ji
  const { answer, c } = voleSend({ suite, sid, setup: run.setups.get(j)!, rng, round }, message, [
    r_i,
    sk_i,
  ])
  const [Gamma_u, Gamma_v] = curve.mulBaseMany(c) as [Point, Point] // 2.6  Γ^u_ij ← c^u_ij·G, Γ^v_ij ← c^v_ij·G
  // 2.7  ψ_ij ← φ_i - χ_ij
  const product = [
    answer,
    curve.encode(Gamma_u),
    curve.encode(Gamma_v),
    encodeScalar(mod(phi_i - chi_ij)),
    curve.encode(pk_i),
    curve.encode(R_i),
  ]
  return { product, c }
}

/** What stays with the signer that checked: (d^u_ij, d^v_ij). Secret. */
export type ReceiverShares = readonly [d_u: Scalar, d_v: Scalar]

/**
 * Finishes the multiplication towards j and ties it to R_j and pk_j. docs/spec/sign.md, steps 3.4–3.6
 * @throws ProtocolAbort `vole_check_failed` or `gamma_check_failed` naming j: the setup with j must be retired
 */
export function finishMultiplication(
  { curve }: SignRun,
  round: number,
  j: PartyIndex,
  { chi_ij, finish }: Factor,
  { answer, Gamma_u, Gamma_v, pk, R }: Product,
): ReceiverShares {
  const d = finish(answer) // ★ 3.4  the multiplication check, inside
  // ★ 3.5  χ_ij·R_j = d^u_ij·G + Γ^u_ji
  // ★ 3.6  χ_ij·pk_j = d^v_ij·G + Γ^v_ji
  const right = curve.addMulBaseMany([Gamma_u, Gamma_v], d)
  if (!curve.mulMany([R, pk], chi_ij).every((left, at) => curve.equals(left, right[at]!)))
    throw new ProtocolAbort('gamma_check_failed', round, [j])
  return d
}
