import { InvalidPoint, type Curve, type Point, type Scalar } from '../curve/curve.js'
import { decodeNonZeroScalar, InvalidScalar } from '../math/scalar.js'
import { ProtocolAbort } from '../abort.js'
import type { PartyIndex } from '../party.js'
import type { Inbox, Outbox } from '../round.js'

/** Sizes on the wire, in bytes. */
export const POINT_BYTES = 33
export const SCALAR_BYTES = 32
export const HASH_BYTES = 32

/** The fields of one message, taken in order. Every failure is `message_invalid` and names the sender. */
export interface Fields {
  /** A copy, so that nothing kept from a message changes when the caller reuses its buffer. */
  bytes(length: number): Uint8Array
  /** No copy: for long parts that are used up before the round ends. */
  view(length: number): Uint8Array
  /** 33 bytes, 02 or 03, on the curve, never the identity. */
  point(): Point
  /** 32 bytes, big-endian, 1..n-1. */
  scalar(): Scalar
}

/** A message type: its exact length, and how its fields are read. */
export interface MessageType<M> {
  readonly length: number
  read(fields: Fields): M
}

/**
 * Reads one message from each expected party, ascending. The length is compared before anything is read (N.5), and
 * who sent it is the inbox's key, that is the channel's word, never the message's own.
 * @throws ProtocolAbort `message_invalid` naming the sender
 * @throws Error when the inbox is not exactly the expected parties': the caller's bug
 */
export function receive<M>(
  curve: Curve,
  round: number,
  expects: readonly PartyIndex[],
  inbox: Inbox,
  type: MessageType<M>,
): Map<PartyIndex, M> {
  if (inbox.size !== expects.length)
    throw new Error(`round ${round} needs one message of each party`)
  const messages = new Map<PartyIndex, M>()
  for (const from of expects) {
    const bytes = inbox.get(from)
    if (bytes === undefined) throw new Error(`round ${round} lacks the message of party ${from}`)
    messages.set(from, read(curve, round, from, bytes, type))
  }
  return messages
}

function read<M>(
  curve: Curve,
  round: number,
  from: PartyIndex,
  message: Uint8Array,
  type: MessageType<M>,
): M {
  const invalid = () => new ProtocolAbort('message_invalid', round, [from])
  if (message.length !== type.length) throw invalid()
  const orInvalid = <T>(decode: () => T): T => {
    try {
      return decode()
    } catch (e) {
      if (e instanceof InvalidPoint || e instanceof InvalidScalar) throw invalid()
      throw e
    }
  }
  let at = 0
  const bytes = (length: number) => message.slice(at, (at += length))
  const view = (length: number) => message.subarray(at, (at += length))
  const result = type.read({
    bytes,
    view,
    point: () => orInvalid(() => curve.decode(view(POINT_BYTES))),
    scalar: () => orInvalid(() => decodeNonZeroScalar(view(SCALAR_BYTES))),
  })
  if (at !== message.length) throw new Error('a message type reads fewer bytes than its length')
  return result
}

/** The same message to every party of `to`. */
export function broadcast(to: readonly PartyIndex[], message: Uint8Array): Outbox {
  return new Map(to.map((j) => [j, message]))
}
