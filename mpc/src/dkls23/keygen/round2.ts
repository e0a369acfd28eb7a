import type { Scalar } from '../../curve/curve.js'
import { round, type Inbox, type Step } from '../../round.js'
import type { KeyShare } from '../key-share.js'
import { broadcast, HASH_BYTES, receive, type MessageType } from '../wire.js'
import type { Opening } from './opening.js'
import { round3 } from './round3.js'
import { ranked, type KeygenRun } from './run.js'

/** Sent in round 1: com_i. */
export const commitmentMessage: MessageType<Uint8Array> = {
  length: HASH_BYTES,
  read: (fields) => fields.bytes(HASH_BYTES),
}

export interface Round2State {
  readonly run: KeygenRun
  /** The own coefficients a_0..a_{t-1}: secret. */
  readonly a: readonly Scalar[]
  readonly opening: Opening
  readonly opened: Uint8Array
  readonly commitment: Uint8Array
}

/** Round 2: all have committed, so open. docs/spec/keygen.md, steps 2.1–2.2 */
export function round2(state: Round2State, inbox: Inbox): Step<KeyShare, KeyShare> {
  const { run, opened } = state
  // 2.1  keep com_j of every party
  const received = receive(run.curve, 2, run.peers, inbox, commitmentMessage)
  const commitments = ranked(run, received, state.commitment)

  // 2.2  send (F, π, cc_i, salt) to all
  return {
    outbox: broadcast(run.peers, opened),
    next: round(3, run.peers, { ...state, commitments }, round3),
  }
}
