import { MAX_LABEL_BYTES, MAX_MESSAGE_BYTES, MAX_ROOM_SIZE } from '@vertex/mpc'
import { RedisUnavailable, type Reply } from '../../redis/index.js'

/**
 * What stands in the log of a room that replicas share, in Redis: who came, what was sent, who went, in one order for
 * everybody. docs/spec/relay.md, "Between replicas".
 */
export type Entry = {
  /** 8 bytes, of this entry alone: tells it from another one that took its place after Redis lost some. */
  readonly id: string
} & (
  | {
      readonly type: 'join'
      readonly slot: number
      readonly replica: string
      readonly label: Uint8Array
    }
  | {
      readonly type: 'message'
      readonly from: number
      readonly to: number
      readonly bytes: Uint8Array
    }
  /** `lost`: not of its own accord, its replica lost Redis or closes. */
  | { readonly type: 'leave'; readonly slot: number; readonly lost: boolean }
  | { readonly type: 'end' }
)

/** Bytes of an entry's id and of a replica's name, as text. */
export const ID_BYTES = 8
export const REPLICA_BYTES = 32

/** The scripts write the same numbers. */
const JOIN = 1
const MESSAGE = 2
const LEAVE = 3
const END = 4

/** Why a party left. */
export const BY_ITSELF = 0
export const LOST = 1

/** Copies what it hands on. @throws RedisUnavailable for what is no entry: whoever holds Redis can put there what they like */
export function decodeEntry(bytes: Reply): Entry {
  if (!(bytes instanceof Buffer)) throw foreign()
  const [type, slot] = [bytes.at(ID_BYTES), bytes.at(ID_BYTES + 1)]
  const id = bytes.toString('hex', 0, ID_BYTES)
  const rest = bytes.subarray(ID_BYTES + 2)
  if (type === undefined || slot === undefined) throw foreign()
  if (type !== END && (slot < 1 || slot > MAX_ROOM_SIZE)) throw foreign()
  switch (type) {
    case JOIN:
      if (rest.length < REPLICA_BYTES || rest.length > REPLICA_BYTES + MAX_LABEL_BYTES)
        throw foreign()
      return {
        id,
        type: 'join',
        slot,
        replica: rest.toString('latin1', 0, REPLICA_BYTES),
        label: new Uint8Array(rest.subarray(REPLICA_BYTES)),
      }
    case MESSAGE:
      if (rest.length < 1 || rest.length > 1 + MAX_MESSAGE_BYTES) throw foreign()
      return {
        id,
        type: 'message',
        from: slot,
        to: rest[0]!,
        bytes: new Uint8Array(rest.subarray(1)),
      }
    case LEAVE:
      if (rest.length !== 1 || (rest[0] !== BY_ITSELF && rest[0] !== LOST)) throw foreign()
      return { id, type: 'leave', slot, lost: rest[0] === LOST }
    case END:
      return { id, type: 'end' }
    default:
      throw foreign()
  }
}

export const foreign = () => new RedisUnavailable({ cause: new Error('not written by a Vertex') })
