import { ProtocolAbort } from '../../abort.js'
import { equalBytes } from '../../bytes.js'
import type { PartyIndex } from '../../party.js'
import { round, type Inbox, type Step } from '../../round.js'
import { broadcast, HASH_BYTES, receive, type MessageType } from '../wire.js'
import {
  addNonces,
  checkKeyParts,
  encodeSignatureShare,
  signatureShare,
  type PairShares,
} from './combine.js'
import type { Signature } from './input.js'
import {
  finishMultiplication,
  PRODUCT_BYTES,
  readProduct,
  type Factor,
  type KeyPart,
  type Product,
  type SenderShares,
} from './multiply.js'
import { nonceCommitment, type Nonce } from './nonce.js'
import { output } from './output.js'
import type { SignRun } from './run.js'

/** Sent in round 2: the view of round 1, the product, and the salt that opens the commitment. */
export interface ProductMessage {
  readonly view: Uint8Array
  readonly product: Product
  readonly salt: Uint8Array
}

export const productMessage: MessageType<ProductMessage> = {
  length: HASH_BYTES + PRODUCT_BYTES + 32,
  read: (fields) => ({
    view: fields.bytes(HASH_BYTES),
    product: readProduct(fields),
    salt: fields.bytes(32),
  }),
}

export interface Round3State {
  readonly run: SignRun
  readonly nonce: Nonce
  readonly factors: ReadonlyMap<PartyIndex, Factor>
  /** com_j of all signers, ascending. */
  readonly commitments: ReadonlyMap<PartyIndex, Uint8Array>
  readonly view: Uint8Array
  readonly key: KeyPart
  readonly answers: ReadonlyMap<PartyIndex, { readonly c: SenderShares }>
}

/** Round 3: check everything, then send the signature share. docs/spec/sign.md, steps 3.1–3.11 */
export function round3(state: Round3State, inbox: Inbox): Step<Signature> {
  const { run, nonce, factors, commitments, view, key, answers } = state
  const { curve, peers } = run
  const messages = receive(curve, 3, peers, inbox, productMessage)

  // ★ 3.1  everyone saw the same round 1: for all first, so that no secret has been used when the views differ
  for (const m_j of messages.values())
    if (!equalBytes(m_j.view, view)) throw new ProtocolAbort('view_mismatch', 3)
  // ★ 3.2  com_j = H(sid, j, R_j, salt_j)
  for (const [j, { product, salt }] of messages)
    if (!equalBytes(nonceCommitment(run, j, product.R, salt), commitments.get(j)!))
      throw new ProtocolAbort('commitment_invalid', 3, [j])
  const products = [...messages.values()].map(({ product }) => product)
  const R = addNonces(run, 3, [nonce.R_i, ...products.map((product) => product.R)]) // ★ 3.3

  const pairs: PairShares[] = []
  for (const [j, { product }] of messages)
    pairs.push({
      psi_ji: product.psi,
      c: answers.get(j)!.c,
      d: finishMultiplication(run, 3, j, factors.get(j)!, product), // ★ 3.4–3.6
    })
  checkKeyParts(run, 3, [key.pk_i, ...products.map(({ pk }) => pk)]) // ★ 3.7

  const own = signatureShare(run, R, nonce, key, pairs) // 3.8–3.10
  // 3.11 send (u_i, w_i) to all
  return {
    outbox: broadcast(peers, encodeSignatureShare(own)),
    next: round(4, peers, { run, R, own }, output),
  }
}
