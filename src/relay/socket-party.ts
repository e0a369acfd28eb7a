import {
  BadFrame,
  decodeClientFrame,
  encodeRelayFrame,
  RoomClosed,
  roomUuid,
  type ClientFrame,
  type RelayFrame,
} from '@vertex/mpc'
import type { RawData, WebSocket } from 'ws'
import type { RelayLimits } from './limits.js'
import type { Entrance, Place } from './entrance.js'
import { costOf, type Seat } from './room.js'

// RFC 6455, section 7.4.1
const UNSUPPORTED = 1003
const POLICY = 1008

/** How long a WebSocket may take to say goodbye. */
const GOODBYE_MS = 1000

/** What a gate wants to know of its parties. */
export interface Host {
  /** It has got into a room, for the first time. */
  onFirstRoom(): void
  /** So many bytes more, or less, wait for it to read. */
  onUnread(bytes: number): void
  onGone(): void
}

/** A channel whose room has not answered yet. */
class Joining {
  /** The channel was left meanwhile. */
  isLeft = false
}

/** One WebSocket of the relay, in as many rooms as it has open channels. */
export class SocketParty {
  readonly #ws: WebSocket
  readonly #channels = new Map<number, Place | Joining>()
  /** Channels that were left before their room had answered, and whose rooms still have not. */
  #leftEarly = 0
  #refused = 0
  #alive = true
  #isStranger = true
  #isGone = false
  #unreadBytes = 0
  #inNoRoom: NodeJS.Timeout | undefined

  constructor(
    ws: WebSocket,
    private readonly rooms: Entrance,
    private readonly limits: RelayLimits,
    private readonly host: Host,
  ) {
    this.#ws = ws
    ws.on('message', (data, isBinary) => {
      this.#receive(data, isBinary)
    })
    ws.on('pong', () => {
      this.#alive = true
    })
    ws.on('close', () => {
      this.#gone()
    })
    ws.on('error', () => undefined) // 'close' follows
    this.#watch(limits.strangerMs)
  }

  /** Bytes that wait for it to read. */
  get unreadBytes(): number {
    return this.#unreadBytes
  }

  /** Ends the connection without a word, and gives back what waited for it. */
  cutOff(): void {
    this.#ws.terminate()
    this.#settle()
  }

  /** Asks for a sign of life; cuts off who gave none since the last time. */
  ping(): void {
    if (!this.#alive) {
      this.#ws.terminate()
      return
    }
    this.#alive = false
    this.#ws.ping()
  }

  /** Says goodbye, and cuts off who does not answer in time. */
  close(code: number, reason: string): Promise<void> {
    return new Promise((resolve) => {
      if (this.#ws.readyState === this.#ws.CLOSED) {
        resolve()
        return
      }
      const timer = setTimeout(() => {
        this.#ws.terminate()
      }, GOODBYE_MS)
      this.#ws.once('close', () => {
        clearTimeout(timer)
        resolve()
      })
      this.#ws.close(code, reason)
    })
  }

  #receive(data: RawData, isBinary: boolean): void {
    if (this.#ws.readyState !== this.#ws.OPEN) return
    if (!isBinary || !(data instanceof Uint8Array)) {
      void this.close(UNSUPPORTED, 'binary frames only')
      return
    }
    this.#guarded(() => {
      this.#act(decodeClientFrame(data))
    })
  }

  /** Who sends what it must not is closed. */
  #guarded(act: () => void): void {
    try {
      act()
    } catch (error) {
      if (!(error instanceof BadFrame)) throw error
      void this.close(POLICY, error.message)
      this.#leaveAll()
    }
  }

  #act(frame: ClientFrame): void {
    const open = this.#channels.get(frame.channel)
    switch (frame.type) {
      case 'join':
        if (open !== undefined) throw new BadFrame('a channel that is open already')
        this.#join(frame.channel, frame.room, frame.label)
        return
      case 'send':
        if (open instanceof Joining) throw new BadFrame('a message before the room was entered')
        // A room may have ended while this was under way: that is no fault.
        open?.send(frame.to, frame.payload)
        return
      case 'leave':
        if (open === undefined) return
        this.#left(frame.channel)
        this.#leave(open)
    }
  }

  #join(channel: number, id: Uint8Array, label: Uint8Array): void {
    try {
      if (this.#channels.size + this.#leftEarly >= this.limits.channelsPerSocket)
        throw new RoomClosed('buffer_full')
      const place = this.rooms.enter(roomUuid(id), label, this.#seat(channel))
      if (!(place instanceof Promise)) this.#enter(channel, place)
      else void this.#enterLater(channel, place)
    } catch (error) {
      this.#refuse(channel, error)
    }
  }

  async #enterLater(channel: number, entering: Promise<Place>): Promise<void> {
    const joining = new Joining()
    this.#channels.set(channel, joining)
    try {
      const place = await entering
      if (joining.isLeft) place.leave()
      else this.#enter(channel, place)
    } catch (error) {
      if (!joining.isLeft) this.#left(channel)
      this.#guarded(() => {
        this.#refuse(joining.isLeft ? undefined : channel, error)
      })
    } finally {
      if (joining.isLeft) this.#leftEarly--
    }
  }

  #seat(channel: number): Seat {
    return {
      deliver: (event) => {
        if (event.type === 'peer') this.#send({ ...event, channel })
        else this.#send({ type: 'message', channel, from: event.from, payload: event.bytes })
      },
      end: (reason) => {
        this.#left(channel)
        this.#send({ type: 'closed', channel, reason })
      },
    }
  }

  #enter(channel: number, place: Place): void {
    this.#entered()
    this.#channels.set(channel, place)
    this.#send({ type: 'joined', channel, slot: place.slot, size: place.size })
    place.introduce()
  }

  /** @param channel none where nobody waits for the answer any more */
  #refuse(channel: number | undefined, error: unknown): void {
    if (!(error instanceof RoomClosed)) throw error
    if (channel !== undefined) this.#send({ type: 'closed', channel, reason: error.reason })
    if (++this.#refused >= this.limits.refusedJoinsPerSocket)
      throw new BadFrame('too many refused joins')
  }

  #entered(): void {
    clearTimeout(this.#inNoRoom)
    this.#refused = 0
    if (this.#isStranger) this.host.onFirstRoom()
    this.#isStranger = false
  }

  #left(channel: number): void {
    this.#channels.delete(channel)
    if (this.#channels.size === 0 && !this.#isStranger) this.#watch(this.limits.idleMs)
  }

  /** Closes the WebSocket unless it gets into a room in time. */
  #watch(patienceMs: number): void {
    clearTimeout(this.#inNoRoom)
    if (this.#isGone) return
    this.#inNoRoom = setTimeout(() => void this.close(POLICY, 'in no room'), patienceMs)
    this.#inNoRoom.unref()
  }

  #send(frame: RelayFrame): void {
    if (this.#ws.readyState !== this.#ws.OPEN) return
    if (this.#unreadBytes > this.limits.socketBufferBytes) {
      this.cutOff()
      return
    }
    const bytes = encodeRelayFrame(frame)
    const cost = costOf(bytes)
    this.#count(cost)
    this.#ws.send(bytes, () => {
      this.#count(-cost)
    })
  }

  #count(bytes: number): void {
    if (this.#isGone) return
    this.#unreadBytes += bytes
    this.host.onUnread(bytes)
  }

  #settle(): void {
    this.#count(-this.#unreadBytes)
    this.#isGone = true
    clearTimeout(this.#inNoRoom)
  }

  #gone(): void {
    this.#settle()
    this.#leaveAll()
    this.host.onGone()
  }

  #leaveAll(): void {
    const open = [...this.#channels.values()]
    this.#channels.clear()
    for (const each of open) this.#leave(each)
  }

  #leave(open: Place | Joining): void {
    if (open instanceof Joining) {
      open.isLeft = true
      this.#leftEarly++
    } else open.leave()
  }
}
