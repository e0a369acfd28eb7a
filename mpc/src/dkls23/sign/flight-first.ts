import { concatBytes } from '../../bytes.js'
import type { Point, Scalar } from '../../curve/curve.js'
import { SCALAR_BYTES } from '../../math/scalar.js'
import { systemRng, type Rng } from '../../rng.js'
import { round, type Inbox, type Step } from '../../round.js'
import { sessionCheck } from '../../session.js'
import { VOLE_MESSAGE_BYTES } from '../../vole/index.js'
import { broadcast, receive, type MessageType } from '../wire.js'
import {
  addNonces,
  checkKeyParts,
  encodeSignatureShare,
  finish,
  signatureShare,
} from './combine.js'
import type { SignInput, Signature } from './input.js'
import {
  answerMultiplication,
  beginMultiplication,
  blindKey,
  finishMultiplication,
  PRODUCT_BYTES,
  readProduct,
  type Factor,
  type Product,
} from './multiply.js'
import { drawNonce, nonceCommitment, type Nonce } from './nonce.js'
import { signRun, twoSigners, type SignRun } from './run.js'

/**
 * Starts a signature of two signers as the one that moves first. docs/spec/sign.md, section 4
 * @throws RangeError when the input is not one signer's view of a signature of two; InvalidPath, NoSuchChild
 */
export function startSignFirst(input: SignInput): Step<Signature> {
  return startSignFirstWith(input, systemRng)
}

/** As {@link startSignFirst}, with the random source given. Only for tests. */
export function startSignFirstWith(input: SignInput, rng: Rng): Step<Signature> {
  const run = signRun(input, rng) // 0.1–0.4
  const j = twoSigners(run)
  const nonce = drawNonce(run) // 1.1–1.2
  const commitment = nonceCommitment(run, run.me, nonce.R_i, nonce.salt) // 1.3
  const factor = beginMultiplication(run, 3, j) // 1.4
  // Flight 1: H(sid), com_A, VOLE_A
  const message = concatBytes(
    sessionCheck(run.sid, run.suite.kernel.hash),
    commitment,
    factor.message,
  )
  return {
    outbox: broadcast(run.peers, message),
    next: round(3, run.peers, { run, nonce, factor }, flight3),
  }
}

/** Flight 2: the second mover's VOLE message and its product. R_B stands open: A has committed already. */
export interface SecondMoverMessage {
  readonly vole: Uint8Array
  readonly product: Product
}

export const secondMoverMessage: MessageType<SecondMoverMessage> = {
  length: VOLE_MESSAGE_BYTES + PRODUCT_BYTES,
  read: (fields) => ({ vole: fields.view(VOLE_MESSAGE_BYTES), product: readProduct(fields) }),
}

interface Flight3State {
  readonly run: SignRun
  readonly nonce: Nonce
  readonly factor: Factor
}

function flight3({ run, nonce, factor }: Flight3State, inbox: Inbox): Step<Signature> {
  const j = twoSigners(run)
  const { vole, product } = receive(run.curve, 3, run.peers, inbox, secondMoverMessage).get(j)!
  run.hedge.absorb(inbox.get(j)!)
  const R = addNonces(run, 3, [nonce.R_i, product.R]) // ★ 3.3
  const key = blindKey(run) // 2.4
  const answered = answerMultiplication(run, 3, j, vole, nonce, key, factor) // ★ 2.3, 2.5–2.7
  const d = finishMultiplication(run, 3, j, factor, product) // ★ 3.4–3.6
  checkKeyParts(run, 3, [key.pk_i, product.pk]) // ★ 3.7
  const own = signatureShare(run, R, nonce, key, [{ psi_ji: product.psi, c: answered.c, d }]) // 3.8–3.10
  // Flight 3: the product, the salt that opens com_A, (u_A, w_A)
  const message = concatBytes(...answered.product, nonce.salt, encodeSignatureShare(own))
  return {
    outbox: broadcast(run.peers, message),
    next: round(5, run.peers, { run, R }, finishFirst),
  }
}

/** Flight 4: s, before it is brought into its low form. */
const finalMessage: MessageType<Scalar> = {
  length: SCALAR_BYTES,
  read: (fields) => fields.scalar(),
}

interface FinishState {
  readonly run: SignRun
  readonly R: Point
}

function finishFirst({ run, R }: FinishState, inbox: Inbox): Step<Signature> {
  const s = receive(run.curve, 5, run.peers, inbox, finalMessage).get(twoSigners(run))! // 4.1
  return { outbox: new Map(), result: finish(run, 5, R, s) } // ★ 4.3–4.5
}
