import { ProtocolAbort } from '../abort.js'
import { concatBytes } from '../bytes.js'
import type { Established } from '../channel/noise.js'
import type { PartyIndex } from '../party.js'
import { RoomClosed } from '../room/link.js'
import { RunFailed, type MissingParty } from './failures.js'
import {
  decodeAbort,
  decodeMessage,
  inParts,
  messageHead,
  PART_BYTES,
  partCount,
  pieceOf,
  protocols,
  type Protocol,
  type RunMessage,
} from './wire.js'

/** More than any honest party can be ahead of us: a message in parts counts each of them. */
const MOST_WAITING = 16

/**
 * Bytes of waiting messages, and of one that comes in parts: more than an honest party is ahead of us in a run of so
 * many signatures, each of which has less than 47 kB in any two messages that follow each other. A keygen counts as one.
 */
export const bytesAhead = (signatures: number): number => (signatures + 1) * 64 * 1024

const nothing = new Uint8Array(0)

/** The other end of an established channel. Messages come out in the order in which the peer sent them. */
export class Peer {
  readonly #channel: Established
  readonly #transmit: (bytes: Uint8Array) => void
  readonly #waiting: Uint8Array[] = []
  #waitingBytes = 0
  #waiter: { resolve(bytes: Uint8Array): void; reject(error: unknown): void } | undefined
  #end: { error: unknown } | undefined
  #offer: Uint8Array
  /** The id of the setup that the peer would use, if it has one. */
  offeredSetup: Uint8Array | undefined

  /**
   * @param offer what goes in front of the first message to this peer: the own offer, if the peer has not seen it
   * @param setupAgreed whether both sides offered the same setup
   * @param mostBytes {@link bytesAhead} of the run
   */
  constructor(
    readonly party: MissingParty,
    /** Whether this side sent the first handshake message; it also moves first. */
    readonly iMoveFirst: boolean,
    readonly setupAgreed: boolean,
    channel: Established,
    offer: Uint8Array,
    private readonly mostBytes: number,
    transmit: (bytes: Uint8Array) => void,
  ) {
    this.#channel = channel
    this.#offer = offer
    this.#transmit = transmit
  }

  get index(): PartyIndex {
    return this.party.index
  }

  get handshakeHash(): Uint8Array {
    return this.#channel.handshakeHash
  }

  /** What the two sides contributed freshly to this channel, 32 bytes each. */
  get contributions(): { readonly mine: Uint8Array; readonly theirs: Uint8Array } {
    const { initiator, responder } = this.#channel.contributions
    return this.iMoveFirst
      ? { mine: initiator, theirs: responder }
      : { mine: responder, theirs: initiator }
  }

  /** Whether the run is waiting for this peer now. */
  get awaited(): boolean {
    return this.#waiter !== undefined
  }

  /** Sends a message, in parts if it is long. @throws RunFailed when the room has ended */
  send(protocol: Protocol, number: number, payload: Uint8Array): void {
    const head = messageHead(protocol, number)
    if (head.length + payload.length <= PART_BYTES) this.sendRaw(head, payload)
    else for (const part of inParts(concatBytes(head, payload))) this.sendRaw(part)
  }

  /** Sends the offer by itself, if it has not gone out yet. */
  sendOffer(): void {
    if (this.#offer.length > 0) this.sendRaw(nothing)
  }

  /** Sends a message as it is. What is long stands in `rest`, which is not copied before it is sealed. */
  sendRaw(message: Uint8Array, rest: Uint8Array = nothing): void {
    const offer = this.#offer
    this.#offer = nothing
    const first = offer.length === 0 ? message : concatBytes(offer, message)
    try {
      this.#transmit(this.#channel.transport.seal(first, rest))
    } catch (error) {
      if (error instanceof RoomClosed) throw new RunFailed(error.reason)
      throw error
    }
  }

  /**
   * The payload of this peer's next message, which must be number `number` of `protocol`.
   * @param round named in an abort
   * @throws ProtocolAbort `message_invalid` for any other message
   * @throws RunFailed when the peer gave up or the room ended
   */
  async receive(protocol: Protocol, number: number, round: number): Promise<Uint8Array> {
    const message = await this.#nextWhole()
    if (message?.protocol === protocols.abort) {
      const abort = { by: this.index, ...decodeAbort(message.payload) }
      throw new RunFailed('peer_aborted', { abort })
    }
    if (message?.protocol !== protocols[protocol] || message.number !== number)
      throw new ProtocolAbort('message_invalid', round, [this.index])
    return message.payload
  }

  /** Decrypts and queues what came from this peer's slot. @throws ChannelError when it does not decrypt */
  deliver(bytes: Uint8Array): void {
    this.queue(this.#channel.transport.open(bytes))
  }

  /** Queues a decrypted message. */
  queue(message: Uint8Array): void {
    const waiter = this.#waiter
    this.#waiter = undefined
    if (waiter !== undefined) {
      waiter.resolve(message)
      return
    }
    const bytes = this.#waitingBytes + message.length
    if (this.#waiting.length < MOST_WAITING && bytes <= this.mostBytes) {
      this.#waiting.push(message)
      this.#waitingBytes = bytes
    } else this.end(new ProtocolAbort('message_invalid', 0, [this.index]))
  }

  /** No more messages will come, for this reason; what has come is still read. */
  end(error: unknown): void {
    this.#end ??= { error }
    this.#waiter?.reject(error)
    this.#waiter = undefined
  }

  /** Destroys the channel's keys. */
  close(): void {
    this.#channel.transport.close()
  }

  /** The next message, put together if it comes in parts; undefined if it is none. A notice may come between parts. */
  async #nextWhole(): Promise<RunMessage | undefined> {
    const first = decodeMessage(await this.#next())
    if (first?.protocol !== protocols.part) return first
    const count = partCount(first)
    if (count === undefined || (count - 1) * PART_BYTES > this.mostBytes) return undefined
    const pieces: Uint8Array[] = []
    for (let part: RunMessage | undefined = first; ; part = decodeMessage(await this.#next())) {
      if (part?.protocol === protocols.abort) return part
      const piece = pieceOf(part, pieces.length + 1, count)
      if (piece === undefined) return undefined
      pieces.push(piece)
      if (pieces.length === count) return decodeMessage(concatBytes(...pieces))
    }
  }

  #next(): Promise<Uint8Array> {
    const message = this.#waiting.shift()
    if (message !== undefined) {
      this.#waitingBytes -= message.length
      return Promise.resolve(message)
    }
    if (this.#end !== undefined) return Promise.reject(this.#failure(this.#end.error))
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject }
    })
  }

  /** Nobody was being waited for when the room ended; now it is this peer. */
  #failure(error: unknown): Error {
    if (error instanceof RunFailed && error.missing.length === 0)
      return new RunFailed(error.reason, { missing: [this.party] })
    return error instanceof Error ? error : new Error(String(error))
  }
}
