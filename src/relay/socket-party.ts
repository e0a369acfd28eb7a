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
import type { Room } from './room.js'
import type { Rooms } from './rooms.js'

// RFC 6455, section 7.4.1
const UNSUPPORTED = 1003
const POLICY = 1008

/** One WebSocket of the relay, in as many rooms as it has open channels. */
export class SocketParty {
  readonly #ws: WebSocket
  readonly #channels = new Map<number, { room: Room; slot: number }>()
  #refused = 0
  #alive = true

  constructor(
    ws: WebSocket,
    private readonly rooms: Rooms,
    private readonly limits: RelayLimits,
    private readonly onGone: () => void,
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
  close(code: number, reason: string, patienceMs: number): Promise<void> {
    return new Promise((resolve) => {
      if (this.#ws.readyState === this.#ws.CLOSED) {
        resolve()
        return
      }
      const timer = setTimeout(() => {
        this.#ws.terminate()
      }, patienceMs)
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
      this.#ws.close(UNSUPPORTED, 'binary frames only')
      return
    }
    try {
      this.#act(decodeClientFrame(data))
    } catch (error) {
      if (!(error instanceof BadFrame)) throw error
      this.#ws.close(POLICY, error.message)
      this.#gone()
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
        // A room may have ended while this was under way: that is no fault.
        open?.room.send(open.slot, frame.to, frame.payload)
        return
      case 'leave':
        this.#channels.delete(frame.channel)
        open?.room.leave(open.slot)
    }
  }

  #join(channel: number, id: Uint8Array, label: Uint8Array): void {
    try {
      if (this.#channels.size >= this.limits.channelsPerSocket) throw new RoomClosed('buffer_full')
      const { room } = this.rooms.find(roomUuid(id))
      const slot = room.join(label, {
        deliver: (event) => {
          if (event.type === 'peer') this.#send({ ...event, channel })
          else this.#send({ type: 'message', channel, from: event.from, payload: event.bytes })
        },
        end: (reason) => {
          this.#channels.delete(channel)
          this.#send({ type: 'closed', channel, reason })
        },
      })
      this.#refused = 0
      this.#channels.set(channel, { room, slot })
      this.#send({ type: 'joined', channel, slot, size: room.size })
      room.introduce(slot)
    } catch (error) {
      if (!(error instanceof RoomClosed)) throw error
      this.#send({ type: 'closed', channel, reason: error.reason })
      if (++this.#refused >= this.limits.refusedJoinsPerSocket)
        throw new BadFrame('too many refused joins')
    }
  }

  #send(frame: RelayFrame): void {
    if (this.#ws.readyState !== this.#ws.OPEN) return
    if (this.#ws.bufferedAmount > this.limits.socketBufferBytes) {
      this.#ws.terminate()
      return
    }
    this.#ws.send(encodeRelayFrame(frame))
  }

  #gone(): void {
    const open = [...this.#channels.values()]
    this.#channels.clear()
    for (const { room, slot } of open) room.leave(slot)
    this.onGone()
  }
}
