import {
  parseRoomUuid,
  RelayConnection,
  RoomClosed,
  type FrameSocket,
  type RoomLink,
} from '@vertex/mpc'
import { asError, withSignal } from './deadline.js'
import { UnavailableError } from './errors.js'

/** The part of a WebSocket that is used: the browser's, Node's from 22 on, and `ws`. */
export interface WebSocketLike {
  binaryType: string
  readonly readyState: number
  send(data: Uint8Array): void
  close(): void
  addEventListener(type: 'open' | 'close' | 'error', listener: () => void): void
  addEventListener(type: 'message', listener: (event: { data: unknown }) => void): void
}
export type WebSocketConstructor = new (url: string) => WebSocketLike

/** Lets a process end, or keeps it, while a connection is open. Only Node needs it. */
export type KeepAlive = (socket: WebSocketLike, alive: boolean) => void

const OPEN = 1
const IDLE_MS = 30_000
/** A relay that says nothing at all for so long, although it was asked, is gone. */
const SILENT_MS = 8_000

/** One persistent WebSocket to a relay that carries all rooms; opened when the first room needs it. */
export class Relay {
  readonly #url: string
  readonly #WebSocket: WebSocketConstructor
  readonly #keepAlive: KeepAlive
  readonly #silentMs: number
  #current: Promise<Pipe> | undefined
  /** The current one, once it is open. */
  #open: Pipe | undefined
  #closed = false

  constructor(
    url: string,
    WebSocket: WebSocketConstructor,
    keepAlive: KeepAlive = () => undefined,
    silentMs = SILENT_MS,
  ) {
    this.#url = url
    this.#WebSocket = WebSocket
    this.#keepAlive = keepAlive
    this.#silentMs = silentMs
  }

  /**
   * Joins a room. The link must be left; the signal's abort leaves it too, with `room_timeout`.
   * @throws RoomClosed with the relay's reason
   * @throws UnavailableError when the relay cannot be reached
   */
  async join(roomUuid: string, label: Uint8Array, signal: AbortSignal): Promise<RoomLink> {
    const reused = this.#current !== undefined
    try {
      return await this.#joinOnce(roomUuid, label, signal)
    } catch (error) {
      // A connection may have died unnoticed while it was idle; nothing has been sent in the room yet.
      const died = error instanceof RoomClosed && error.reason === 'connection_lost'
      if (!died || !reused) throw error
      return this.#joinOnce(roomUuid, label, signal)
    }
  }

  async #joinOnce(roomUuid: string, label: Uint8Array, signal: AbortSignal): Promise<RoomLink> {
    const open = this.#closed || this.#open?.connection.closed === true ? undefined : this.#open
    const pipe = open ?? (await withSignal(this.#pipe(), signal))
    if (signal.aborted) throw asError(signal.reason)
    pipe.hold()
    const unwatch = pipe.watch(this.#silentMs)
    try {
      const link = await pipe.connection.join(parseRoomUuid(roomUuid), label, (expire) => {
        signal.addEventListener('abort', expire, { once: true })
        return () => signal.removeEventListener('abort', expire)
      })
      return new HeldLink(link, () => pipe.release())
    } catch (error) {
      pipe.release()
      throw error
    } finally {
      unwatch()
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    const pipe = await this.#current?.catch(() => undefined)
    this.#current = undefined
    this.#open = undefined
    pipe?.connection.close()
  }

  async #pipe(): Promise<Pipe> {
    if (this.#closed) throw new UnavailableError('connection_failed', 'this client is closed')
    const current = this.#current
    if (current !== undefined) {
      const pipe = await current
      if (!pipe.connection.closed) return pipe
      if (this.#current === current) {
        this.#current = undefined
        this.#open = undefined
      }
      return this.#pipe()
    }
    const opening = openSocket(this.#url, this.#WebSocket, this.#silentMs).then(
      (socket) => (this.#open = new Pipe(socket, this.#keepAlive)),
    )
    this.#current = opening
    opening.catch(() => {
      if (this.#current === opening) this.#current = undefined
    })
    return opening
  }
}

/** A connection with a count of its users, closed after being idle for a while. */
class Pipe {
  readonly connection: RelayConnection
  #users = 0
  #heard = false
  #idle: ReturnType<typeof setTimeout> | undefined

  constructor(
    private readonly socket: WebSocketLike,
    private readonly keepAlive: KeepAlive,
  ) {
    this.connection = new RelayConnection(frameSocket(socket))
    socket.addEventListener('message', () => (this.#heard = true))
    keepAlive(socket, false)
  }

  /**
   * Closes the connection when nothing at all arrives on it within this time: its other end may have gone without a
   * word, which TCP notices only after many minutes. The returned function ends the watch.
   */
  watch(silentMs: number): () => void {
    this.#heard = false
    const timer = setTimeout(() => {
      if (!this.#heard) this.connection.close()
    }, silentMs)
    return () => clearTimeout(timer)
  }

  hold(): void {
    if (this.#users++ === 0) this.keepAlive(this.socket, true)
    clearTimeout(this.#idle)
  }

  release(): void {
    if (--this.#users > 0) return
    this.keepAlive(this.socket, false)
    this.#idle = setTimeout(() => this.connection.close(), IDLE_MS)
    // In Node a timer is an object that can let the process end; in a browser it is a number.
    const timer: unknown = this.#idle
    if (typeof timer === 'object') (timer as { unref?: () => void }).unref?.()
  }
}

class HeldLink implements RoomLink {
  #left = false

  constructor(
    private readonly link: RoomLink,
    private readonly release: () => void,
  ) {}

  get slot(): number {
    return this.link.slot
  }

  get size(): number {
    return this.link.size
  }

  send(to: number, bytes: Uint8Array): void {
    this.link.send(to, bytes)
  }

  receive() {
    return this.link.receive()
  }

  leave(): void {
    this.link.leave()
    if (!this.#left) this.release()
    this.#left = true
  }
}

function openSocket(
  url: string,
  WebSocket: WebSocketConstructor,
  timeoutMs: number,
): Promise<WebSocketLike> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url)
    const fail = () => {
      clearTimeout(timer)
      reject(new UnavailableError('connection_failed', 'the relay cannot be reached'))
    }
    const timer = setTimeout(() => {
      fail()
      socket.close()
    }, timeoutMs)
    // The Buffers of `ws` are not copied out of what arrived, as an ArrayBuffer of its would be.
    if (socket.binaryType !== 'nodebuffer') socket.binaryType = 'arraybuffer'
    socket.addEventListener('open', () => {
      clearTimeout(timer)
      resolve(socket)
    })
    socket.addEventListener('error', fail)
    socket.addEventListener('close', fail)
  })
}

function frameSocket(socket: WebSocketLike): FrameSocket {
  return {
    send(frame) {
      if (socket.readyState === OPEN) socket.send(frame)
    },
    close() {
      socket.close()
    },
    onFrame(handler) {
      socket.addEventListener('message', ({ data }) => {
        if (data instanceof ArrayBuffer) handler(new Uint8Array(data))
        // As a plain array: a Buffer's slices would share their memory with it.
        else if (data instanceof Uint8Array)
          handler(new Uint8Array(data.buffer, data.byteOffset, data.length))
        // The relay sends binary frames only; whatever else arrives does not come from one.
        else socket.close()
      })
    },
    onClose(handler) {
      socket.addEventListener('close', handler)
    },
  }
}
