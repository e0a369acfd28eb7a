import {
  decodeRelayFrame,
  encodeClientFrame,
  MAX_MESSAGE_BYTES,
  type RelayFrame,
} from './frames.js'
import {
  RoomClosed,
  type Deadline,
  type RoomCloseReason,
  type RoomEvent,
  type RoomLink,
} from './link.js'
import { Mailbox } from './mailbox.js'

/**
 * A connected, ordered, message-keeping pipe to the relay: a WebSocket in practice. The handlers are set once, before
 * the first frame is sent. `send` must not throw after `close`.
 */
export interface FrameSocket {
  send(frame: Uint8Array): void
  close(): void
  onFrame(handler: (frame: Uint8Array) => void): void
  onClose(handler: () => void): void
}

/** One pipe to the relay that carries many rooms at once. */
export class RelayConnection {
  readonly #socket: FrameSocket
  readonly #links = new Map<number, RemoteLink>()
  #nextChannel = 1
  #closed = false

  constructor(socket: FrameSocket) {
    this.#socket = socket
    socket.onFrame((frame) => {
      this.#receive(frame)
    })
    socket.onClose(() => {
      this.#end('connection_lost')
    })
  }

  /** Whether the pipe is gone; a closed connection stays closed. */
  get closed(): boolean {
    return this.#closed
  }

  /** How many rooms it carries now. */
  get rooms(): number {
    return this.#links.size
  }

  /**
   * Joins a room under a label (in a run: the own keygen_id).
   * @param deadline calls the link off with `room_timeout`, while joining and afterwards
   * @throws RoomClosed with the relay's reason when it does not let us in
   */
  join(room: Uint8Array, label: Uint8Array, deadline?: Deadline): Promise<RoomLink> {
    if (this.#closed) return Promise.reject(new RoomClosed('connection_lost'))
    const channel = this.#nextChannel++
    const frame = encodeClientFrame({ type: 'join', channel, room, label })
    return new Promise((resolve, reject) => {
      const link = new RemoteLink(
        (to, payload) => {
          this.#socket.send(encodeClientFrame({ type: 'send', channel, to, payload }))
        },
        (tell) => {
          this.#links.delete(channel)
          if (tell && !this.#closed)
            this.#socket.send(encodeClientFrame({ type: 'leave', channel }))
        },
        { resolve, reject },
      )
      this.#links.set(channel, link)
      link.arm(deadline)
      this.#socket.send(frame)
    })
  }

  /** Closes the pipe; every room it carries ends with `connection_lost`. Idempotent. */
  close(): void {
    this.#end('connection_lost')
  }

  #receive(bytes: Uint8Array): void {
    if (this.#closed) return
    let frame: RelayFrame
    try {
      frame = decodeRelayFrame(bytes)
    } catch {
      // A relay that does not speak the protocol cannot be understood any further either.
      this.#end('bad_frame')
      return
    }
    // Frames for a room we have left may still be under way.
    this.#links.get(frame.channel)?.take(frame)
  }

  #end(reason: RoomCloseReason): void {
    if (this.#closed) return
    this.#closed = true
    for (const link of [...this.#links.values()]) link.end(reason, false)
    this.#links.clear()
    this.#socket.close()
  }
}

/** Bytes of messages that may wait to be read in one room: whoever reads slowly is not made to hold any number. */
export const MOST_UNREAD_BYTES = 8 * 1024 * 1024

class RemoteLink implements RoomLink {
  readonly #mailbox = new Mailbox()
  #unreadBytes = 0
  #place: { slot: number; size: number } | undefined
  #disarm: (() => void) | undefined

  constructor(
    private readonly transmit: (to: number, payload: Uint8Array) => void,
    private readonly forget: (tell: boolean) => void,
    private readonly joining: { resolve(link: RoomLink): void; reject(error: RoomClosed): void },
  ) {}

  get slot(): number {
    return this.#joined().slot
  }

  get size(): number {
    return this.#joined().size
  }

  arm(deadline: Deadline | undefined): void {
    this.#disarm = deadline?.(() => {
      this.end('room_timeout', true)
    })
  }

  send(to: number, bytes: Uint8Array): void {
    const ended = this.#mailbox.ended
    if (ended !== undefined) throw new RoomClosed(ended)
    if (bytes.length > MAX_MESSAGE_BYTES) {
      this.end('message_too_large', true)
      throw new RoomClosed('message_too_large')
    }
    this.transmit(to, bytes)
  }

  async receive(): Promise<RoomEvent> {
    const event = await this.#mailbox.receive()
    if (event.type === 'message') this.#unreadBytes -= event.bytes.length
    return event
  }

  leave(): void {
    this.end('left', true)
    this.#mailbox.drop()
  }

  take(frame: RelayFrame): void {
    if (frame.type === 'closed') {
      this.end(frame.reason, false)
      return
    }
    if (frame.type === 'joined') {
      if (this.#place !== undefined) {
        this.end('bad_frame', true)
        return
      }
      this.#place = { slot: frame.slot, size: frame.size }
      this.joining.resolve(this)
      return
    }
    if (this.#place === undefined) this.end('bad_frame', true)
    else if (frame.type === 'peer')
      this.#mailbox.push({ type: 'peer', slot: frame.slot, label: frame.label })
    else {
      this.#unreadBytes += frame.payload.length
      if (this.#unreadBytes > MOST_UNREAD_BYTES) this.end('buffer_full', true)
      this.#mailbox.push({ type: 'message', from: frame.from, bytes: frame.payload })
    }
  }

  end(reason: RoomCloseReason, tell: boolean): void {
    if (this.#mailbox.ended !== undefined) return
    this.#disarm?.()
    this.#mailbox.end(reason)
    this.forget(tell)
    if (this.#place === undefined) this.joining.reject(new RoomClosed(reason))
  }

  #joined(): { slot: number; size: number } {
    if (this.#place === undefined) throw new Error('the room has not been joined yet')
    return this.#place
  }
}
