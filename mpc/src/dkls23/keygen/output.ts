import { ProtocolAbort } from '../../abort.js'
import { equalBytes, u8 } from '../../bytes.js'
import type { PartyIndex } from '../../party.js'
import type { Inbox, Step } from '../../round.js'
import { tags } from '../../tags.js'
import { Transcript } from '../../transcript.js'
import type { KeyShare } from '../key-share.js'
import { HASH_BYTES, receive, type MessageType } from '../wire.js'
import { onlyPeer, type KeygenRun } from './run.js'

/** Sent in round 6: echo_i. */
export const echoMessage: MessageType<Uint8Array> = {
  length: HASH_BYTES,
  read: (fields) => fields.bytes(HASH_BYTES),
}

export interface OutputState {
  readonly run: KeygenRun
  /** conf_j of all parties in rank order. */
  readonly confirmations: readonly Uint8Array[]
  readonly share: KeyShare
}

/** echo_j: party j says that it has seen exactly these confirmations. docs/spec/keygen.md, step 6.2 */
export function echo(
  { sid }: KeygenRun,
  j: PartyIndex,
  confirmations: readonly Uint8Array[],
): Uint8Array {
  return new Transcript(tags.keygenEcho).add(sid, u8(j)).list(confirmations).digest()
}

/** Output: everyone has seen everyone's confirmation. docs/spec/keygen.md, steps 7.1–7.2 */
export function output(
  { run, confirmations, share }: OutputState,
  inbox: Inbox,
): Step<KeyShare, KeyShare> {
  // ★ 7.1  echo_j = H(sid, j, conf_1, …, conf_n) for every j
  const echoes = receive(run.curve, 7, run.peers, inbox, echoMessage)
  for (const [j, echo_j] of echoes)
    if (!equalBytes(echo_j, echo(run, j, confirmations)))
      throw new ProtocolAbort('confirmation_invalid', 7, onlyPeer(run))

  // 7.2  the share is final
  return { outbox: new Map(), result: share }
}
