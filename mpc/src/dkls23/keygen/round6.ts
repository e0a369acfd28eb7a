import { ProtocolAbort } from '../../abort.js'
import { equalBytes, u8 } from '../../bytes.js'
import type { PartyIndex } from '../../party.js'
import { round, type Inbox, type Step } from '../../round.js'
import { tags } from '../../tags.js'
import { Transcript } from '../../transcript.js'
import type { KeyShare } from '../key-share.js'
import { broadcast, HASH_BYTES, receive, type MessageType } from '../wire.js'
import { echo, output } from './output.js'
import { onlyPeer, ranked, type KeygenRun } from './run.js'

/** Sent in round 5: conf_i. */
export const confirmationMessage: MessageType<Uint8Array> = {
  length: HASH_BYTES,
  read: (fields) => fields.bytes(HASH_BYTES),
}

export interface Round6State {
  readonly run: KeygenRun
  readonly transcript: Uint8Array
  readonly share: KeyShare
}

/** Round 6: echo all confirmations. docs/spec/keygen.md, steps 6.1–6.2 */
export function round6(
  { run, transcript, share }: Round6State,
  inbox: Inbox,
): Step<KeyShare, KeyShare> {
  const { curve, me, peers } = run
  // ★ 6.1  conf_j = H(sid, j, T) for every j
  const received = receive(curve, 6, peers, inbox, confirmationMessage)
  for (const [j, conf_j] of received)
    if (!equalBytes(conf_j, confirmation(run, j, transcript)))
      throw new ProtocolAbort('confirmation_invalid', 6, onlyPeer(run))

  // 6.2  echo_i ← H(sid, i, conf_1, …, conf_n); send it to all
  const confirmations = ranked(run, received, confirmation(run, me, transcript))
  return {
    outbox: broadcast(peers, echo(run, me, confirmations)),
    next: round(7, peers, { run, confirmations, share }, output),
  }
}

/** conf_j: each party's confirmation differs from the others', so that one cannot be reflected as another's. */
export function confirmation(
  { sid }: KeygenRun,
  j: PartyIndex,
  transcript: Uint8Array,
): Uint8Array {
  return new Transcript(tags.keygenConfirmation).add(sid, u8(j), transcript).digest()
}
