import { ProtocolAbort } from '../../abort.js'
import { equalBytes } from '../../bytes.js'
import type { Scalar } from '../../curve/curve.js'
import { round, type Inbox, type Step } from '../../round.js'
import { sessionCheck } from '../../session.js'
import type { KeyShare } from '../key-share.js'
import { broadcast, HASH_BYTES, receive, type MessageType } from '../wire.js'
import type { Opening } from './opening.js'
import { round3 } from './round3.js'
import { ranked, type KeygenRun } from './run.js'

/** Sent in round 1: H(sid), com_i. */
export interface CommitmentMessage {
  readonly check: Uint8Array
  readonly commitment: Uint8Array
}

export const commitmentMessage: MessageType<CommitmentMessage> = {
  length: 2 * HASH_BYTES,
  read: (fields) => ({ check: fields.bytes(HASH_BYTES), commitment: fields.bytes(HASH_BYTES) }),
}

export interface Round2State {
  readonly run: KeygenRun
  /** The own coefficients a_0..a_{t-1}: secret. */
  readonly a: readonly Scalar[]
  readonly opening: Opening
  readonly opened: Uint8Array
  readonly commitment: Uint8Array
}

/** Round 2: all have committed, so open. docs/spec/keygen.md, steps 2.1–2.3 */
export function round2(state: Round2State, inbox: Inbox): Step<KeyShare, KeyShare> {
  const { run, opened } = state
  const messages = receive(run.curve, 2, run.peers, inbox, commitmentMessage)
  // ★ 2.1  every j has the same session id; a difference blames nobody, and comes before anything that does
  for (const { check } of messages.values())
    if (!equalBytes(check, sessionCheck(run.sid))) throw new ProtocolAbort('session_mismatch', 2)
  // 2.2  keep com_j of every party
  const received = new Map([...messages].map(([j, { commitment }]) => [j, commitment]))
  const commitments = ranked(run, received, state.commitment)

  // 2.3  send (F, π, cc_i, salt) to all
  return {
    outbox: broadcast(run.peers, opened),
    next: round(3, run.peers, { ...state, commitments }, round3),
  }
}
