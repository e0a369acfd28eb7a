import { concatBytes, u16, u8 } from '../bytes.js'
import type { RoomCloseReason } from './link.js'

/** Bytes of a room's identifier, all of them random. */
export const ROOM_ID_BYTES = 16
/** The longest label a party may announce of itself. */
export const MAX_LABEL_BYTES = 255
/** The longest message one party may send to another through a room. */
export const MAX_MESSAGE_BYTES = 256 * 1024
/** The sizes a room may have. */
export const MIN_ROOM_SIZE = 2
export const MAX_ROOM_SIZE = 32
/** The longest frame of either direction. */
export const MAX_FRAME_BYTES = MAX_MESSAGE_BYTES + 6

/** What a party says to the relay. docs/spec/relay.md */
export type ClientFrame =
  | {
      readonly type: 'join'
      readonly channel: number
      readonly room: Uint8Array
      readonly label: Uint8Array
    }
  | {
      readonly type: 'send'
      readonly channel: number
      readonly to: number
      readonly payload: Uint8Array
    }
  | { readonly type: 'leave'; readonly channel: number }

/** What the relay says to a party. docs/spec/relay.md */
export type RelayFrame =
  | {
      readonly type: 'joined'
      readonly channel: number
      readonly slot: number
      readonly size: number
    }
  | {
      readonly type: 'peer'
      readonly channel: number
      readonly slot: number
      readonly label: Uint8Array
    }
  | {
      readonly type: 'message'
      readonly channel: number
      readonly from: number
      readonly payload: Uint8Array
    }
  | { readonly type: 'closed'; readonly channel: number; readonly reason: RoomCloseReason }

/** Bytes that are no frame of the protocol. */
export class BadFrame extends Error {
  override readonly name = 'BadFrame'
}

const kinds = { join: 0x01, send: 0x02, leave: 0x03 } as const
const answers = { joined: 0x81, peer: 0x82, message: 0x83, closed: 0x84 } as const

/** The number of each reason in a CLOSED frame. Never reused, never changed. */
export const closeCodes = {
  left: 4000,
  bad_frame: 4400,
  room_unknown: 4404,
  room_expired: 4408,
  room_full: 4409,
  room_used: 4410,
  room_abandoned: 4411,
  message_too_large: 4413,
  buffer_full: 4429,
  connection_lost: 4503,
  room_timeout: 4504,
} as const satisfies Record<RoomCloseReason, number>

const reasonOf = new Map<number, RoomCloseReason>(
  Object.entries(closeCodes).map(([reason, code]) => [code, reason as RoomCloseReason]),
)

export function encodeClientFrame(frame: ClientFrame): Uint8Array {
  switch (frame.type) {
    case 'join':
      if (frame.room.length !== ROOM_ID_BYTES) throw new RangeError('a room id has 16 bytes')
      return concatBytes(
        begin(kinds.join, frame.channel),
        frame.room,
        u8(frame.label.length),
        frame.label,
      )
    case 'send':
      return carrying(kinds.send, frame.channel, frame.to, frame.payload)
    case 'leave':
      return begin(kinds.leave, frame.channel)
  }
}

/** kind ‖ channel */
function begin(kind: number, channel: number): Uint8Array {
  if (channel >>> 0 !== channel) throw new RangeError('a channel has 32 bits')
  return Uint8Array.of(kind, channel >>> 24, channel >>> 16, channel >>> 8, channel)
}

/** The two frames that carry a message: kind ‖ channel ‖ slot ‖ payload, copied once. */
function carrying(kind: number, channel: number, slot: number, payload: Uint8Array): Uint8Array {
  if (channel >>> 0 !== channel || slot >>> 0 !== slot || slot > 255)
    throw new RangeError('a channel has 32 bits, a slot 8')
  const frame = new Uint8Array(6 + payload.length)
  frame[0] = kind
  new DataView(frame.buffer).setUint32(1, channel)
  frame[5] = slot
  frame.set(payload, 6)
  return frame
}

/**
 * Reads a frame of a party. Payloads are views into `bytes`.
 * @throws BadFrame for anything that `encodeClientFrame` would not have written
 */
export function decodeClientFrame(bytes: Uint8Array): ClientFrame {
  const at = new Reader(bytes)
  const kind = at.u8()
  const channel = at.u32()
  switch (kind) {
    case kinds.join: {
      const room = at.take(ROOM_ID_BYTES)
      const label = at.take(at.u8())
      at.end()
      return { type: 'join', channel, room, label }
    }
    case kinds.send:
      return { type: 'send', channel, to: at.slot(), payload: at.rest() }
    case kinds.leave:
      at.end()
      return { type: 'leave', channel }
    default:
      throw new BadFrame('a frame of an unknown kind')
  }
}

export function encodeRelayFrame(frame: RelayFrame): Uint8Array {
  switch (frame.type) {
    case 'joined':
      return concatBytes(begin(answers.joined, frame.channel), u8(frame.slot), u8(frame.size))
    case 'peer':
      return concatBytes(begin(answers.peer, frame.channel), u8(frame.slot), frame.label)
    case 'message':
      return carrying(answers.message, frame.channel, frame.from, frame.payload)
    case 'closed':
      return concatBytes(
        begin(answers.closed, frame.channel),
        u16(closeCodes[frame.reason]),
        ascii(frame.reason),
      )
  }
}

/**
 * Reads a frame of the relay. Payloads are views into `bytes`.
 * @throws BadFrame for anything that `encodeRelayFrame` would not have written
 */
export function decodeRelayFrame(bytes: Uint8Array): RelayFrame {
  const at = new Reader(bytes)
  const kind = at.u8()
  const channel = at.u32()
  switch (kind) {
    case answers.joined: {
      const slot = at.slot()
      const size = at.slot()
      at.end()
      if (size < MIN_ROOM_SIZE || slot > size) throw new BadFrame('a slot outside its room')
      return { type: 'joined', channel, slot, size }
    }
    case answers.peer: {
      const slot = at.slot()
      const label = at.rest()
      if (label.length > MAX_LABEL_BYTES) throw new BadFrame('a label that is too long')
      return { type: 'peer', channel, slot, label }
    }
    case answers.message:
      return { type: 'message', channel, from: at.slot(), payload: at.rest() }
    case answers.closed: {
      const reason = reasonOf.get(at.u16())
      // The number decides. The words are for people who read the wire, and a later relay may word it differently.
      at.rest()
      if (reason === undefined) throw new BadFrame('an unknown close code')
      return { type: 'closed', channel, reason }
    }
    default:
      throw new BadFrame('a frame of an unknown kind')
  }
}

class Reader {
  #at = 0
  constructor(private readonly bytes: Uint8Array) {}

  take(length: number): Uint8Array {
    const end = this.#at + length
    if (end > this.bytes.length) throw new BadFrame('a frame that ends too early')
    const part = this.bytes.subarray(this.#at, end)
    this.#at = end
    return part
  }

  u8(): number {
    const byte = this.bytes[this.#at++]
    if (byte === undefined) throw new BadFrame('a frame that ends too early')
    return byte
  }

  u16(): number {
    return this.u8() * 256 + this.u8()
  }

  u32(): number {
    return this.u16() * 65536 + this.u16()
  }

  slot(): number {
    const slot = this.u8()
    if (slot < 1 || slot > MAX_ROOM_SIZE) throw new BadFrame('a slot outside every room')
    return slot
  }

  rest(): Uint8Array {
    return this.take(this.bytes.length - this.#at)
  }

  end(): void {
    if (this.#at !== this.bytes.length) throw new BadFrame('a frame with bytes after its end')
  }
}

const ascii = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0))
