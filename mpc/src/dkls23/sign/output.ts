import type { Point } from '../../curve/curve.js'
import type { Inbox, Step } from '../../round.js'
import { receive, type MessageType } from '../wire.js'
import {
  addShares,
  finish,
  readSignatureShare,
  SIGNATURE_SHARE_BYTES,
  type SignatureShare,
} from './combine.js'
import type { Signature } from './input.js'
import type { SignRun } from './run.js'

/** Sent in round 3: (u_i, w_i). */
export const signatureShareMessage: MessageType<SignatureShare> = {
  length: SIGNATURE_SHARE_BYTES,
  read: readSignatureShare,
}

export interface OutputState {
  readonly run: SignRun
  readonly R: Point
  readonly own: SignatureShare
}

/** Output of the rounds: docs/spec/sign.md, steps 4.1–4.5 */
export function output({ run, R, own }: OutputState, inbox: Inbox): Step<Signature> {
  const shares = receive(run.curve, 4, run.peers, inbox, signatureShareMessage) // 4.1
  const s = addShares(run, 4, [own, ...shares.values()]) // ★ 4.2
  return { outbox: new Map(), result: finish(run, 4, R, s) } // ★ 4.3–4.5
}
