import { concatBytes } from '../../bytes.js'
import type { PartyIndex } from '../../party.js'
import { round, type Inbox, type Step } from '../../round.js'
import { tags } from '../../tags.js'
import { Transcript } from '../../transcript.js'
import { VOLE_MESSAGE_BYTES } from '../../vole/index.js'
import { HASH_BYTES, receive, type MessageType } from '../wire.js'
import type { Signature } from './input.js'
import { answerMultiplication, blindKey, type Factor } from './multiply.js'
import type { Nonce } from './nonce.js'
import { round3 } from './round3.js'
import { checkSession, type SignRun } from './run.js'

/** Sent in round 1, and by the first mover in flight 1. The VOLE receiver's message differs for each receiver. */
export interface CommitmentMessage {
  readonly check: Uint8Array
  readonly commitment: Uint8Array
  readonly vole: Uint8Array
}

export const commitmentMessage: MessageType<CommitmentMessage> = {
  length: 2 * HASH_BYTES + VOLE_MESSAGE_BYTES,
  read: (fields) => ({
    check: fields.bytes(HASH_BYTES),
    commitment: fields.bytes(HASH_BYTES),
    vole: fields.view(VOLE_MESSAGE_BYTES),
  }),
}

export interface Round2State {
  readonly run: SignRun
  readonly nonce: Nonce
  readonly commitment: Uint8Array
  readonly factors: ReadonlyMap<PartyIndex, Factor>
}

/** Round 2: answer the multiplications and open the nonce. docs/spec/sign.md, steps 2.1–2.8 */
export function round2(state: Round2State, inbox: Inbox): Step<Signature> {
  const { run, nonce, factors } = state
  const messages = receive(run.curve, 2, run.peers, inbox, commitmentMessage)
  for (const { check } of messages.values()) checkSession(run, 2, check) // ★ 2.1
  run.hedge.absorb(...run.peers.map((j) => inbox.get(j)!))
  // 2.2  view_i ← H(sid, com_j of all signers): what everyone was told in round 1 (the hellos are in sid)
  const commitments = new Map(
    run.signers.map((j) => [j, j === run.me ? state.commitment : messages.get(j)!.commitment]),
  )
  const view = viewHash(run, commitments)

  const key = blindKey(run) // 2.4
  const answers = new Map(
    [...messages].map(([j, { vole }]) => [
      j,
      answerMultiplication(run, 2, j, vole, nonce, key, factors.get(j)!), // ★ 2.3, 2.5–2.7
    ]),
  )
  // 2.8  send to each j: view_i, the product, and the salt that opens com_i
  const outbox = new Map(
    [...answers].map(([j, { product }]) => [j, concatBytes(view, ...product, nonce.salt)]),
  )
  return {
    outbox,
    next: round(3, run.peers, { run, nonce, factors, commitments, view, key, answers }, round3),
  }
}

function viewHash(run: SignRun, commitments: ReadonlyMap<PartyIndex, Uint8Array>): Uint8Array {
  return new Transcript(tags.signView, run.suite.kernel.hash)
    .add(run.sid)
    .list([...commitments.values()])
    .digest()
}
