import { decodeClientFrame, encodeRelayFrame, roomUuid } from '@vertex/mpc'
import { beforeEach, describe, expect, it } from 'vitest'
import { Relay, type WebSocketLike } from '../../sdk/src/relay.js'

const room = roomUuid(new Uint8Array(16).fill(1))
const label = new Uint8Array(34)
const silentMs = 60
const never = new AbortController().signal
let made: FakeSocket[]
let connects: 'at once' | 'never'

/** A WebSocket with a relay at its other end that lets everybody in, until it falls silent. */
class FakeSocket implements WebSocketLike {
  binaryType = 'blob'
  readyState = 0
  silent = false
  readonly #listeners = new Map<string, ((event: { data: unknown }) => void)[]>()

  constructor(readonly url: string) {
    made.push(this)
    if (connects === 'at once') setTimeout(() => this.#opened())
  }

  addEventListener(type: string, listener: (event: { data: unknown }) => void): void {
    this.#listeners.set(type, [...(this.#listeners.get(type) ?? []), listener])
  }

  send(bytes: Uint8Array): void {
    const frame = decodeClientFrame(bytes)
    if (this.silent || frame.type !== 'join') return
    const joined = encodeRelayFrame({ type: 'joined', channel: frame.channel, slot: 1, size: 2 })
    setTimeout(() => this.tell(joined))
  }

  tell(frame: Uint8Array): void {
    const data =
      this.binaryType === 'arraybuffer'
        ? frame.slice().buffer
        : Buffer.concat([Buffer.of(0), frame]).subarray(1)
    this.#tell('message', { data })
  }

  close(): void {
    if (this.readyState === 3) return
    this.readyState = 3
    setTimeout(() => this.#tell('close', { data: undefined }))
  }

  #opened(): void {
    this.readyState = 1
    this.#tell('open', { data: undefined })
  }

  #tell(type: string, event: { data: unknown }): void {
    for (const listener of this.#listeners.get(type) ?? []) listener(event)
  }
}

beforeEach(() => {
  made = []
  connects = 'at once'
})

describe('the connection to the relay', () => {
  it('is opened once and carries all rooms', async () => {
    const relay = new Relay('ws://relay', FakeSocket, undefined, silentMs)
    const links = await Promise.all([1, 2, 3].map(() => relay.join(room, label, never)))
    expect(made).toHaveLength(1)
    for (const link of links) link.leave()
    await relay.close()
    await expect(relay.join(room, label, never)).rejects.toMatchObject({
      errType: 'connection_failed',
    })
  })

  it.each(['blob', 'nodebuffer'])('takes its frames as bytes where they are a %s', async (type) => {
    class Socket extends FakeSocket {
      override binaryType = type
    }
    const relay = new Relay('ws://relay', Socket, undefined, silentMs)
    const link = await relay.join(room, label, never)
    made[0]!.tell(encodeRelayFrame({ type: 'peer', channel: 1, slot: 2, label }))
    const event = await link.receive()
    expect(event).toEqual({ type: 'peer', slot: 2, label })
    if (event.type === 'peer') expect(Buffer.isBuffer(event.label)).toBe(false)
    link.leave()
    await relay.close()
  })

  it('is replaced when it was closed, and when its other end has gone without a word', async () => {
    const relay = new Relay('ws://relay', FakeSocket, undefined, silentMs)
    ;(await relay.join(room, label, never)).leave()
    made[0]!.close()
    ;(await relay.join(room, label, never)).leave()
    expect(made).toHaveLength(2)
    made[1]!.silent = true
    ;(await relay.join(room, label, never)).leave()
    expect(made).toHaveLength(3)
    expect(made[1]!.readyState).toBe(3)
    await relay.close()
  })

  it('is given up when it never opens, and tried again by the next call', async () => {
    connects = 'never'
    const relay = new Relay('ws://relay', FakeSocket, undefined, silentMs)
    await expect(relay.join(room, label, never)).rejects.toMatchObject({
      errType: 'connection_failed',
    })
    connects = 'at once'
    ;(await relay.join(room, label, never)).leave()
    expect(made).toHaveLength(2)
    await relay.close()
  })

  it('ends a room with the signal, before it is joined and after', async () => {
    const relay = new Relay('ws://relay', FakeSocket, undefined, silentMs)
    const given = new AbortController()
    const link = await relay.join(room, label, given.signal)
    given.abort(new Error('enough'))
    await expect(link.receive()).rejects.toMatchObject({ reason: 'room_timeout' })
    await expect(relay.join(room, label, given.signal)).rejects.toThrow('enough')
    link.leave()
    await relay.close()
  })
})
