import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { MAX_FRAME_BYTES, MAX_MESSAGE_BYTES, parseRoomUuid } from '@vertex/mpc'
import { joinRemote, relayUrl, type RelayLimits } from '../../src/relay/index.js'
import { askFor, RawClient, startRelay, until, upgradeRequest, type Relay } from './support.js'

const open: Relay[] = []
async function relayWith(limits: Partial<RelayLimits> = {}): Promise<Relay> {
  const relay = await startRelay(limits)
  open.push(relay)
  return relay
}
afterEach(async () => {
  await Promise.all(open.splice(0).map((relay) => relay.close()))
})
const label = (n: number) => Uint8Array.of(n)

describe('the relay over WebSocket', () => {
  it('introduces parties, buffers for those who come later and carries messages', async () => {
    const { rooms, address } = await relayWith()
    const { roomUuid } = rooms.create(2)
    const [a, b] = [await RawClient.connect(address), await RawClient.connect(address)]
    a.join(7, roomUuid, label(70))
    expect(await a.next()).toEqual({ type: 'joined', channel: 7, slot: 1, size: 2 })
    a.say({ type: 'send', channel: 7, to: 2, payload: label(1) })
    await until(() => rooms.usage.bufferedBytes > 0)
    b.join(9, roomUuid, label(90))
    expect(await b.next()).toEqual({ type: 'joined', channel: 9, slot: 2, size: 2 })
    expect(await b.next()).toMatchObject({ type: 'peer', channel: 9, slot: 1 })
    expect(await b.next()).toMatchObject({ type: 'message', channel: 9, from: 1 })
    expect(await a.next()).toMatchObject({ type: 'peer', channel: 7, slot: 2 })
    b.say({ type: 'send', channel: 9, to: 1, payload: new Uint8Array(MAX_MESSAGE_BYTES) })
    const large = await a.next()
    expect(large.type === 'message' && large.payload.length).toBe(MAX_MESSAGE_BYTES)
  })

  it('joins the process and a socket in one room', async () => {
    const { rooms, address } = await relayWith()
    const { roomUuid } = rooms.create(2)
    const local = rooms.join(roomUuid, label(1), 5000)
    const remote = await joinRemote(address, roomUuid, label(2), 5000)
    expect([remote.slot, remote.size]).toEqual([2, 2])
    remote.send(1, Uint8Array.of(5))
    local.send(2, Uint8Array.of(6))
    await local.receive()
    expect(await local.receive()).toMatchObject({ from: 2 })
    await remote.receive()
    expect(await remote.receive()).toMatchObject({ from: 1 })
    remote.leave()
    await until(() => rooms.usage.rooms === 0 && rooms.usage.sockets === 0)
    await expect(local.receive()).rejects.toMatchObject({ reason: 'room_abandoned' })
  })

  it('tells why a room cannot be joined', async () => {
    const { rooms, address } = await relayWith({ roomLifetimeMs: 1000 })
    const [full, used, late] = [1, 2, 3].map(() => rooms.create(2).roomUuid)
    rooms.join(full!, label(1), 5000)
    rooms.join(full!, label(2), 5000)
    rooms.join(used!, label(1), 5000).leave()
    const join = (room: string) => joinRemote(address, room, label(3), 5000)
    await expect(join(full!)).rejects.toMatchObject({ reason: 'room_full' })
    await expect(join(used!)).rejects.toMatchObject({ reason: 'room_used' })
    await sleep(1020)
    await expect(join(late!)).rejects.toMatchObject({ reason: 'room_expired' })
    const unknown = 'ffffffff-ffff-ffff-ffff-ffffffffffff'
    await expect(join(unknown)).rejects.toMatchObject({ reason: 'room_unknown' })
    await expect(join('no uuid')).rejects.toBeInstanceOf(RangeError)
    await until(() => rooms.usage.sockets === 0)
  })

  it('ends a room for the others when a socket breaks', async () => {
    const { rooms, address } = await relayWith()
    const { roomUuid } = rooms.create(2)
    const local = rooms.join(roomUuid, label(1), 5000)
    const raw = await RawClient.connect(address)
    raw.join(1, roomUuid)
    await local.receive()
    raw.ws.terminate()
    await expect(local.receive()).rejects.toMatchObject({ reason: 'room_abandoned' })
  })

  it('tells a remote party that its time is up, also while it connects', async () => {
    const { rooms, address } = await relayWith()
    const link = await joinRemote(address, rooms.create(2).roomUuid, label(1), 60)
    await expect(link.receive()).rejects.toMatchObject({ reason: 'room_timeout' })
    link.leave()
    const { createServer } = await import('node:net')
    const silent = createServer((socket) => socket.on('error', () => undefined))
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
    const { port } = silent.address() as { port: number }
    const unknown = 'ffffffff-ffff-ffff-ffff-ffffffffffff'
    await expect(joinRemote(`127.0.0.1:${port}`, unknown, label(1), 60)).rejects.toMatchObject({
      reason: 'room_timeout',
    })
    silent.close()
  })

  it('cannot be reached where nobody listens', async () => {
    const relay = await startRelay()
    await relay.close()
    const unknown = 'ffffffff-ffff-ffff-ffff-ffffffffffff'
    await expect(joinRemote(relay.address, unknown, label(1), 2000)).rejects.toMatchObject({
      reason: 'connection_lost',
    })
  })

  it('closes with 1008 on a frame that is none, and with 1003 on text', async () => {
    const { rooms, address } = await relayWith()
    const { roomUuid } = rooms.create(2)
    const local = rooms.join(roomUuid, label(1), 5000)
    const raw = await RawClient.connect(address)
    raw.join(1, roomUuid)
    await local.receive()
    raw.ws.send(Uint8Array.of(0x55))
    expect(await raw.closed).toMatchObject({ code: 1008 })
    await expect(local.receive()).rejects.toMatchObject({ reason: 'room_abandoned' })
    const text = await RawClient.connect(address)
    text.ws.send('hello')
    expect(await text.closed).toMatchObject({ code: 1003 })
    const twice = await RawClient.connect(address)
    const other = rooms.create(2).roomUuid
    twice.join(1, other)
    twice.join(1, other)
    expect(await twice.closed).toMatchObject({ code: 1008 })
  })

  it('puts out who sends too long a message, and cuts off who sends a far longer one', async () => {
    const { rooms, address } = await relayWith()
    const { roomUuid } = rooms.create(2)
    rooms.join(roomUuid, label(9), 5000)
    const raw = await RawClient.connect(address)
    raw.join(1, roomUuid)
    await raw.next()
    await raw.next()
    raw.say({ type: 'send', channel: 1, to: 1, payload: new Uint8Array(MAX_MESSAGE_BYTES + 1) })
    expect(await raw.next()).toMatchObject({ type: 'closed', reason: 'message_too_large' })
    raw.ws.send(new Uint8Array(2 * MAX_FRAME_BYTES + 1))
    expect(await raw.closed).toMatchObject({ code: 1009 })
  })

  it('takes no notice of messages and goodbyes for channels it does not know', async () => {
    const { rooms, address } = await relayWith()
    const raw = await RawClient.connect(address)
    raw.say({ type: 'send', channel: 5, to: 1, payload: label(1) })
    raw.say({ type: 'leave', channel: 5 })
    raw.join(5, rooms.create(2).roomUuid)
    expect(await raw.next()).toMatchObject({ type: 'joined', channel: 5 })
  })

  it('limits the channels of a socket and its refused joins in a row', async () => {
    const { rooms, address } = await relayWith({ channelsPerSocket: 2, refusedJoinsPerSocket: 3 })
    const raw = await RawClient.connect(address)
    for (const channel of [1, 2, 3]) raw.join(channel, rooms.create(2).roomUuid)
    expect([(await raw.next()).type, (await raw.next()).type]).toEqual(['joined', 'joined'])
    expect(await raw.next()).toEqual({ type: 'closed', channel: 3, reason: 'buffer_full' })
    for (const channel of [4, 5]) raw.join(channel, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
    expect(await raw.closed).toMatchObject({ code: 1008, reason: 'too many refused joins' })
    expect(rooms.usage.rooms).toBe(1)
  })

  it('cuts off a socket that does not read', async () => {
    const { rooms, address } = await relayWith({ socketBufferBytes: 200_000 })
    const { roomUuid } = rooms.create(2)
    const local = rooms.join(roomUuid, label(1), 5000)
    const raw = await RawClient.connect(address)
    raw.join(1, roomUuid)
    await local.receive()
    raw.ws.pause()
    for (let i = 0; i < 200 && rooms.usage.sockets > 0; i++) {
      try {
        local.send(2, new Uint8Array(MAX_MESSAGE_BYTES))
      } catch {
        break
      }
      await sleep(1)
    }
    await until(() => rooms.usage.sockets === 0)
    await expect(local.receive()).rejects.toMatchObject({ reason: 'room_abandoned' })
    raw.ws.terminate()
  })

  it('cuts off a socket that gives no sign of life', async () => {
    const { rooms, address } = await relayWith({ pingMs: 40 })
    const alive = await RawClient.connect(address)
    const dead = await RawClient.connect(address)
    dead.ws.pause()
    await until(() => rooms.usage.sockets === 1)
    await sleep(100)
    expect(alive.ws.readyState).toBe(alive.ws.OPEN)
    dead.ws.terminate()
  })

  it('limits the sockets, and answers on its own path only', async () => {
    const { rooms, address } = await relayWith({ sockets: 1 })
    const first = await RawClient.connect(address)
    first.join(1, rooms.create(2).roomUuid)
    await first.next()
    await expect(RawClient.connect(address)).rejects.toThrow('503')
    expect(await askFor(address, '/relay')).toMatchObject({
      status: 503,
      body: { err_msg: 'too many WebSockets are open', err_type: 'too_busy' },
    })
    for (const path of ['/other', '//', '/relay/x'])
      expect(await askFor(address, path)).toEqual({
        status: 404,
        type: 'application/json; charset=utf-8',
        body: { err_msg: 'there is no WebSocket here', err_type: 'not_found' },
      })
  })

  it('says goodbye to its sockets when it closes', async () => {
    const relay = await startRelay()
    const raw = await RawClient.connect(relay.address)
    raw.join(1, relay.rooms.create(2).roomUuid)
    await raw.next()
    await relay.close()
    expect(await raw.next()).toMatchObject({ type: 'closed', reason: 'connection_lost' })
    expect(await raw.closed).toMatchObject({ code: 1001 })
  })

  it('does not offer compression', async () => {
    const { address } = await relayWith()
    const raw = await RawClient.connect(address)
    expect(raw.ws.extensions).toBe('')
  })

  it('survives any bytes, on the socket and below it', async () => {
    const { rooms, address } = await relayWith({ refusedJoinsPerSocket: 1_000_000 })
    const { roomUuid } = rooms.create(2)
    const room = parseRoomUuid(roomUuid)
    const frame = fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      fc
        .tuple(fc.constantFrom(1, 2, 3), fc.uint8Array({ maxLength: 40 }))
        .map(([kind, tail]) => Uint8Array.of(kind, 0, 0, 0, 1, ...tail)),
      fc.uint8Array({ maxLength: 4 }).map((l) => Uint8Array.of(1, 0, 0, 0, 2, ...room, ...l)),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(frame, { minLength: 1, maxLength: 8 }), async (frames) => {
        const raw = await RawClient.connect(address)
        for (const bytes of frames) raw.ws.send(bytes)
        raw.ws.close()
        const { code } = await raw.closed
        expect([1005, 1008]).toContain(code)
      }),
      { seed: 1, numRuns: 40 },
    )
    const [host, port] = address.split(':')
    for (const bytes of ['GET /relay HTTP/1.1\r\nUpgrade: websocket\r\n\r\n', '\0\0\0', 'GET'])
      await new Promise<void>((resolve) => {
        const socket = connect(Number(port), host, () => {
          socket.end(bytes)
        })
        socket.on('error', () => undefined)
        socket.on('close', () => {
          resolve()
        })
        socket.resume()
      })
    const raw = await RawClient.connect(address)
    raw.join(1, rooms.create(2).roomUuid)
    expect(await raw.next()).toMatchObject({ type: 'joined' })
  })
})

describe('a WebSocket that is in no room', () => {
  it('is closed after a while when it has never been in one, whatever else it does', async () => {
    const { rooms, address } = await relayWith({ strangerMs: 250, pingMs: 100 })
    const silent = await RawClient.connect(address)
    const refused = await RawClient.connect(address)
    refused.join(1, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
    const joined = await RawClient.connect(address)
    joined.join(1, rooms.create(2).roomUuid)
    expect(await silent.closed).toEqual({ code: 1008, reason: 'in no room' })
    expect(await refused.closed).toEqual({ code: 1008, reason: 'in no room' })
    await sleep(100)
    expect(joined.ws.readyState).toBe(joined.ws.OPEN)
  })

  it('may idle between rooms, but not for ever', async () => {
    const { rooms, address } = await relayWith({ strangerMs: 300, idleMs: 900 })
    const raw = await RawClient.connect(address)
    for (const channel of [1, 2]) {
      raw.join(channel, rooms.create(2).roomUuid)
      expect(await raw.next()).toMatchObject({ type: 'joined', channel })
      raw.say({ type: 'leave', channel })
      await sleep(400)
      expect(raw.ws.readyState).toBe(raw.ws.OPEN)
    }
    expect(await raw.closed).toEqual({ code: 1008, reason: 'in no room' })
  })

  it('gives way to a newcomer when there are too many of its kind, the oldest first', async () => {
    const { rooms, address } = await relayWith({ strangers: 2, sockets: 4 })
    const party = await RawClient.connect(address)
    party.join(1, rooms.create(2).roomUuid)
    await party.next()
    const strangers = []
    for (let i = 0; i < 6; i++) strangers.push(await RawClient.connect(address))
    await Promise.all(strangers.slice(0, 4).map((stranger) => stranger.closed))
    const newcomer = await RawClient.connect(address)
    newcomer.join(1, rooms.create(2).roomUuid)
    expect(await newcomer.next()).toMatchObject({ type: 'joined' })
    expect(party.ws.readyState).toBe(party.ws.OPEN)
    expect(rooms.usage.sockets).toBe(3)
  })

  it('gives way when all places are taken', async () => {
    const { rooms, address } = await relayWith({ sockets: 2 })
    const stranger = await RawClient.connect(address)
    for (const channel of [1, 2]) {
      const raw = await RawClient.connect(address)
      raw.join(channel, rooms.create(2).roomUuid)
      expect(await raw.next()).toMatchObject({ type: 'joined' })
    }
    await stranger.closed
    await expect(RawClient.connect(address)).rejects.toThrow('503')
  })

  it('gives way first where most come from one address', async () => {
    const { rooms, address } = await relayWith({ strangers: 3 })
    const neighbour = await RawClient.connect(address, '127.0.0.2')
    const flood = []
    for (let i = 0; i < 6; i++) flood.push(await RawClient.connect(address))
    await Promise.all(flood.slice(0, 4).map((stranger) => stranger.closed))
    neighbour.join(1, rooms.create(2).roomUuid)
    expect(await neighbour.next()).toMatchObject({ type: 'joined' })
  })

  it('gives way first where most come from one network of IPv6', async () => {
    const { rooms, server, address } = await relayWith({ strangers: 3 })
    // This machine has one address of IPv6 only: where sockets come from is said for them.
    const come = ['2001:db8:9::1', ...[1, 2, 3, 4, 5, 6].map((i) => `2001:db8:0:7::${i}`)]
    server.on('connection', (socket) =>
      Object.defineProperty(socket, 'remoteAddress', { value: come.shift() }),
    )
    const neighbour = await RawClient.connect(address)
    const flood = []
    for (let i = 0; i < 6; i++) flood.push(await RawClient.connect(address))
    await Promise.all(flood.slice(0, 4).map((stranger) => stranger.closed))
    neighbour.join(1, rooms.create(2).roomUuid)
    expect(await neighbour.next()).toMatchObject({ type: 'joined' })
  })

  it('is cut off when it sends more than JOINs take, though no message is complete', async () => {
    const { rooms, address } = await relayWith({ strangerBytes: 4000 })
    const stranger = await RawClient.connect(address)
    stranger.ws.send(new Uint8Array(3000), { fin: false })
    stranger.ws.send(new Uint8Array(3000), { fin: false })
    expect(await stranger.closed).toMatchObject({ code: 1006 })
    const party = await RawClient.connect(address)
    party.join(1, rooms.create(2).roomUuid)
    party.say({ type: 'send', channel: 1, to: 2, payload: new Uint8Array(100_000) })
    await until(() => rooms.usage.bufferedBytes >= 100_000)
  })

  it('counts until it is gone, also when it does not say goodbye', async () => {
    const { rooms, address } = await relayWith()
    const [host, port] = address.split(':')
    const socket = connect(Number(port), host)
    socket.on('error', () => undefined)
    socket.write(upgradeRequest('/relay', 'websocket'))
    await until(() => rooms.usage.sockets === 1)
    const closed = new Promise((resolve) => socket.on('close', resolve))
    const broken = Buffer.from([0x82, 0x81, 0, 0, 0, 0, 0x55])
    socket.resume()
    socket.write(broken)
    await sleep(100)
    expect(rooms.usage.sockets).toBe(1)
    await closed
    await until(() => rooms.usage.sockets === 0)
  })
})

describe('a WebSocket that does not read', () => {
  it('is cut off before others when too much waits for all together', async () => {
    const { rooms, address } = await relayWith({ socketsBufferBytes: 1_000_000 })
    const silent = await RawClient.connect(address)
    const reader = await RawClient.connect(address)
    const rooms2 = [silent, reader].map((raw) => {
      const { roomUuid } = rooms.create(2)
      raw.join(1, roomUuid)
      return roomUuid
    })
    await until(() => silent.frames.length === 1 && reader.frames.length === 1)
    const [toSilent, toReader] = rooms2.map((name) => rooms.join(name, label(9), 5000))
    silent.ws.pause()
    let sent = 0
    let most = 0
    for (; sent < 400 && rooms.usage.sockets === 2; sent++) {
      try {
        toSilent!.send(1, new Uint8Array(MAX_MESSAGE_BYTES))
      } catch {
        break
      }
      most = Math.max(most, rooms.usage.unreadBytes)
      await sleep(1)
    }
    toReader!.send(1, label(7))
    await until(() => reader.frames.some((frame) => frame.type === 'message'))
    await until(() => rooms.usage.sockets === 1 && rooms.usage.unreadBytes === 0)
    expect(most).toBeGreaterThan(500_000)
    expect(most).toBeLessThanOrEqual(1_000_000)
    silent.ws.terminate()
  })

  it('is charged for every frame, however small', async () => {
    const { rooms, address } = await relayWith({ socketsBufferBytes: 1_000_000 })
    const { roomUuid } = rooms.create(2)
    const local = rooms.join(roomUuid, label(1), 5000)
    const raw = await RawClient.connect(address)
    raw.join(1, roomUuid)
    await local.receive()
    let sent = 0
    for (; sent < 10_000; sent++)
      try {
        local.send(2, label(1))
      } catch {
        break
      }
    await until(() => rooms.usage.sockets === 0)
  })
})

describe('the address of a relay', () => {
  it.each([
    ['relay.example:443', 'wss://relay.example:443/relay'],
    ['relay.example', 'wss://relay.example/relay'],
    ['127.0.0.1:8080', 'ws://127.0.0.1:8080/relay'],
    ['localhost:80', 'ws://localhost:80/relay'],
    ['[::1]:8080', 'ws://[::1]:8080/relay'],
    ['localhost:443', 'ws://localhost:443/relay'],
  ])('%s means %s', (address, url) => {
    expect(relayUrl(address)).toBe(url)
  })

  it.each([
    '',
    'ws://relay.example:80',
    'ws://127.0.0.1:8080',
    'wss://relay.example:8443',
    'http://relay.example',
    'relay.example/path',
    'relay.example?x',
    'user@relay.example',
    'user:pass@relay.example:1',
    'relay.example:99999',
    'relay .example',
    'wss://',
  ])('is refused as %j', (address) => {
    expect(() => relayUrl(address)).toThrow(RangeError)
  })
})
