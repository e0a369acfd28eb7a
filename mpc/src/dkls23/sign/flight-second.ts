import { ProtocolAbort } from '../../abort.js'
import { concatBytes, equalBytes } from '../../bytes.js'
import { systemRng, type Rng } from '../../rng.js'
import { encodeScalar } from '../../math/scalar.js'
import { round, type Inbox, type Step } from '../../round.js'
import { broadcast, receive, type MessageType } from '../wire.js'
import {
  addNonces,
  addShares,
  checkKeyParts,
  finish,
  readSignatureShare,
  SIGNATURE_SHARE_BYTES,
  signatureShare,
  type SignatureShare,
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
  type KeyPart,
  type Product,
  type SenderShares,
} from './multiply.js'
import { drawNonce, nonceCommitment, type Nonce } from './nonce.js'
import { commitmentMessage } from './round2.js'
import { checkSession, signRun, twoSigners, type SignRun } from './run.js'

/**
 * Starts a signature of two signers as the one that moves second: sends nothing yet, draws nothing yet.
 * docs/spec/sign.md, section 4
 * @throws RangeError when the input is not one signer's view of a signature of two; InvalidPath, NoSuchChild
 */
export function startSignSecond(input: SignInput): Step<Signature> {
  return startSignSecondWith(input, systemRng)
}

/** As {@link startSignSecond}, with the random source given. Only for tests. */
export function startSignSecondWith(input: SignInput, rng: Rng): Step<Signature> {
  const run = signRun(input, rng) // 0.1–0.4
  twoSigners(run)
  return { outbox: new Map(), next: round(2, run.peers, { run }, flight2) }
}

function flight2({ run }: { readonly run: SignRun }, inbox: Inbox): Step<Signature> {
  const j = twoSigners(run)
  const message = receive(run.curve, 2, run.peers, inbox, commitmentMessage).get(j)!
  const { check, commitment, vole } = message
  checkSession(run, 2, check) // ★ 2.1
  // A's whole first flight goes into the randomness before anything is drawn: an A that repeats its part of a run
  // with another nonce meets another r_B, even if this side's random source was cloned (H.2).
  run.hedge.absorb(inbox.get(j)!)
  const nonce = drawNonce(run) // 1.1–1.2; no commitment: A is bound already, and has not seen R_B
  const factor = beginMultiplication(run, 4, j) // 1.4
  const key = blindKey(run) // 2.4
  const answered = answerMultiplication(run, 2, j, vole, nonce, key, factor) // ★ 2.3, 2.5–2.7
  // Flight 2: VOLE_B and the product
  return {
    outbox: broadcast(run.peers, concatBytes(factor.message, ...answered.product)),
    next: round(4, run.peers, { run, nonce, factor, key, commitment, c: answered.c }, flight4),
  }
}

/** Flight 3: the first mover's product, the salt that opens its commitment, and its signature share. */
export interface FirstMoverMessage {
  readonly product: Product
  readonly salt: Uint8Array
  readonly share: SignatureShare
}

export const firstMoverMessage: MessageType<FirstMoverMessage> = {
  length: PRODUCT_BYTES + 32 + SIGNATURE_SHARE_BYTES,
  read: (fields) => ({
    product: readProduct(fields),
    salt: fields.bytes(32),
    share: readSignatureShare(fields),
  }),
}

interface Flight4State {
  readonly run: SignRun
  readonly nonce: Nonce
  readonly factor: Factor
  readonly key: KeyPart
  /** com_A. */
  readonly commitment: Uint8Array
  readonly c: SenderShares
}

function flight4(state: Flight4State, inbox: Inbox): Step<Signature> {
  const { run, nonce, factor, key, commitment, c } = state
  const j = twoSigners(run)
  const message = receive(run.curve, 4, run.peers, inbox, firstMoverMessage).get(j)!
  const { product, salt } = message
  // ★ 3.2  com_A = H(sid, A, R_A, salt_A)
  if (!equalBytes(nonceCommitment(run, j, product.R, salt), commitment))
    throw new ProtocolAbort('commitment_invalid', 4, [j])
  const R = addNonces(run, 4, [nonce.R_i, product.R]) // ★ 3.3
  const d = finishMultiplication(run, 4, j, factor, product) // ★ 3.4–3.6
  checkKeyParts(run, 4, [key.pk_i, product.pk]) // ★ 3.7
  const own = signatureShare(run, R, nonce, key, [{ psi_ji: product.psi, c, d }]) // 3.8–3.10
  const s = addShares(run, 4, [own, message.share]) // ★ 4.2
  // The signature is verified before anything of it leaves: a cheating A gets nothing but the abort.
  const result = finish(run, 4, R, s) // ★ 4.3–4.5
  // Flight 4: s. Not (u_B, w_B), from which an A that asks two copies of this side with one random source, each with
  // a ψ and a share that fit together, could tell r_B. s is the same in both copies, and says no more than the result.
  return { outbox: broadcast(run.peers, encodeScalar(s)), result }
}
