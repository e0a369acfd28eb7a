import type { AbortCode } from '../abort.js'
import { concatBytes, u8 } from '../bytes.js'

/** What a message inside a channel belongs to. docs/spec/run.md */
export const protocols = { hello: 1, keygen: 2, setup: 3, sign: 4, part: 5, abort: 255 } as const
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
  return concatBytes(messageHead(protocol, number), payload)
}

/** What stands in front of a payload. */
export function messageHead(protocol: Protocol, number: number): Uint8Array {
  return concatBytes(u8(protocols[protocol]), u8(number))
}

/** Undefined for fewer bytes than a head has. */
export function decodeMessage(bytes: Uint8Array): RunMessage | undefined {
  if (bytes.length < 2) return undefined
  return { protocol: bytes[0]!, number: bytes[1]!, payload: bytes.subarray(2) }
}

/** The longest message that travels as it is: one frame of the relay less what the channel and an offer add. */
export const PART_BYTES = 255 * 1024
/** The longest message of all, the second flight of a full batch, takes six. */
export const MOST_PARTS = 8

/** A message as it travels: whole, or in numbered parts if it is too long for one frame. docs/spec/run.md, section Parts */
export function inParts(message: Uint8Array): Uint8Array[] {
  if (message.length <= PART_BYTES) return [message]
  const count = Math.ceil(message.length / PART_BYTES)
  if (count > MOST_PARTS) throw new RangeError(`a message takes at most ${MOST_PARTS} parts`)
  return Array.from({ length: count }, (_, at) => {
    const piece = message.subarray(at * PART_BYTES, (at + 1) * PART_BYTES)
    return concatBytes(u8(protocols.part), u8(at + 1), u8(count), piece)
  })
}

/** Of how many parts a message's first part says that it is the first; undefined if that cannot be. */
export function partCount({ number, payload }: RunMessage): number | undefined {
  const count = payload[0] ?? 0
  return number === 1 && count >= 2 && count <= MOST_PARTS ? count : undefined
}

/** The bytes of part `number` of `count`; undefined for anything else. All but the last are full. */
export function pieceOf(
  message: RunMessage | undefined,
  number: number,
  count: number,
): Uint8Array | undefined {
  if (message?.protocol !== protocols.part || message.number !== number) return undefined
  if (message.payload[0] !== count) return undefined
  const piece = message.payload.subarray(1)
  const fits = number < count ? piece.length === PART_BYTES : piece.length > 0
  return fits && piece.length <= PART_BYTES ? piece : undefined
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
