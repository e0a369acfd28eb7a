import { hexToBytes } from '@noble/hashes/utils.js'
import { decodeBase64 } from '../base64.js'
import { verifyStrict, type Equation } from '../ed25519.js'
import { readLamport } from './payload.js'

/** What somebody wants to be kept: opaque bytes, signed by the key under whose name they are to be found. */
export interface Submission {
  /** As it was sent, in hex of either case: the name is this text, not the key that it means. */
  readonly id: string
  /** Base64. */
  readonly payload: string
  /** Base64 of 64 bytes. */
  readonly signature: string
}

/** A submission whose signature is the key's own. */
export interface Bundle {
  readonly id: string
  readonly payload: Uint8Array
  readonly signature: Uint8Array
}

export interface AccountBundle extends Bundle {
  readonly lamport: bigint
}

/** What an account is called in a submission: the older name and the newer one. */
export type AccountField = 'account_id' | 'account_pub'

/** A submission is not kept; the message is what its sender is told. */
export class SubmissionRefused extends Error {
  override readonly name = 'SubmissionRefused'
}

/** @throws SubmissionRefused */
export function checkKeyPackage(submission: Submission, equation?: Equation): Bundle {
  return check(submission, 'device_id', equation)
}

/** @throws SubmissionRefused */
export function checkAccount(
  submission: Submission,
  field: AccountField,
  equation?: Equation,
): AccountBundle {
  const bundle = check(submission, field, equation)
  const lamport = readLamport(bundle.payload)
  if (lamport === undefined)
    throw new SubmissionRefused('payload: too short to contain a lamport header')
  return { ...bundle, lamport }
}

/** In the order of the original, which decides what somebody is told who did several things wrong. */
function check(
  submission: Submission,
  field: 'device_id' | AccountField,
  equation: Equation | undefined,
): Bundle {
  const { id } = submission
  if (!isKeyId(id)) throw new SubmissionRefused(`${field}: must be hex of a 32-byte key`)
  const payload = decodeBase64(submission.payload)
  if (payload === undefined) throw new SubmissionRefused('payload: not valid base64')
  const signature = decodeBase64(submission.signature)
  if (signature?.length !== 64) throw new SubmissionRefused('signature: must be base64 of 64 bytes')
  const verdict = verifyStrict(hexToBytes(id), payload, signature, equation)
  if (verdict === 'not a key') throw new SubmissionRefused(`${field}: not a valid ed25519 key`)
  if (verdict === 'not a signature') throw new SubmissionRefused('signature: verification failed')
  return { id, payload, signature }
}

/** Whether this is hex of 32 bytes, in either case or in both. */
export function isKeyId(id: string): boolean {
  return /^[0-9A-Fa-f]{64}$/.test(id)
}
