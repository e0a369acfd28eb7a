import type { AbortCode } from '../abort.js'
import { concatBytes, u8 } from '../bytes.js'

/** What a message inside a channel belongs to. docs/spec/run.md */
export const protocols = { hello: 1, keygen: 2, setup: 3, sign: 4, abort: 255 } as const
export type Protocol = keyof typeof protocols

/** Numbers of the abort codes on the wire. Never reused; 0 is "no check failed". */
const abortNumbers = {
  session_mismatch: 1,
  view_mismatch: 2,
  message_invalid: 3,
  commitment_invalid: 4,
  proof_invalid: 5,
  share_invalid: 6,
  confirmation_invalid: 7,
  setup_mismatch: 8,
  pprf_check_failed: 9,
  ot_check_failed: 10,
  vole_check_failed: 11,
  gamma_check_failed: 12,
  public_key_mismatch: 13,
  signature_invalid: 14,
} as const satisfies Record<AbortCode, number>

const abortCodes = new Map<number, AbortCode>(
  Object.entries(abortNumbers).map(([code, number]) => [number, code as AbortCode]),
)

/** A message inside a channel: protocol, the sender's count of messages in it (from 1), payload. */
export interface RunMessage {
  readonly protocol: number
  readonly number: number
  readonly payload: Uint8Array
}

export function encodeMessage(protocol: Protocol, number: number, payload: Uint8Array): Uint8Array {
  return concatBytes(u8(protocols[protocol]), u8(number), payload)
}

/** Undefined for fewer bytes than a head has. */
export function decodeMessage(bytes: Uint8Array): RunMessage | undefined {
  if (bytes.length < 2) return undefined
  return { protocol: bytes[0]!, number: bytes[1]!, payload: bytes.subarray(2) }
}

/** The notice that this party gives up: the code of the check that failed and its round, and nothing more. */
export function encodeAbort(abort: { code: AbortCode; round: number } | undefined): Uint8Array {
  if (abort === undefined) return encodeMessage('abort', 1, concatBytes(u8(0), u8(0)))
  const round = Math.min(abort.round, 255)
  return encodeMessage('abort', 1, concatBytes(u8(abortNumbers[abort.code]), u8(round)))
}

/** Reads a notice. An unknown code counts as none: a later version may know more of them. */
export function decodeAbort(payload: Uint8Array): { code: AbortCode | undefined; round: number } {
  return { code: abortCodes.get(payload[0] ?? 0), round: payload[1] ?? 0 }
}
