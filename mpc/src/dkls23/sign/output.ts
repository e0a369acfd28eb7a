import type { Point } from '../../curve/curve.js'
import type { Inbox, Step } from '../../round.js'
import { receive, type MessageType } from '../wire.js'
import {
  combine,
  readSignatureShare,
  SIGNATURE_SHARE_BYTES,
  type SignatureShare,
} from './combine.js'
import type { Signature } from './input.js'
import type { SignRun } from './run.js'

/** Sent in round 3, and by the second mover in flight 4: (u_i, w_i). */
export const signatureShareMessage: MessageType<SignatureShare> = {
  length: SIGNATURE_SHARE_BYTES,
  read: readSignatureShare,
}

export interface OutputState {
  readonly run: SignRun
  readonly R: Point
  readonly own: SignatureShare
}

/** Output of the rounds: docs/spec/sign.md, steps 4.1–4.6 */
export function output({ run, R, own }: OutputState, inbox: Inbox): Step<Signature> {
  const shares = receive(run.curve, 4, run.peers, inbox, signatureShareMessage) // 4.1
  return { outbox: new Map(), result: combine(run, 4, R, [own, ...shares.values()]) }
}
