import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  BadFrame,
  bytesToHex,
  closeCodes,
  decodeClientFrame,
  decodeRelayFrame,
  encodeClientFrame,
  encodeRelayFrame,
  hexToBytes,
  Mailbox,
  MAX_MESSAGE_BYTES,
  parseRoomUuid,
  RelayConnection,
  roomUuid,
  type ClientFrame,
  type FrameSocket,
  type RelayFrame,
  type RoomCloseReason,
} from '@vertex/mpc'
import { MOST_UNREAD_BYTES } from '../src/room/connection.js'

const u32 = fc.nat({ max: 0xffffffff })
const slot = fc.integer({ min: 1, max: 32 })
const bytes = (maxLength: number, minLength = 0) => fc.uint8Array({ minLength, maxLength })
const reasons = Object.keys(closeCodes) as RoomCloseReason[]

const clientFrame: fc.Arbitrary<ClientFrame> = fc.oneof(
  fc.record({
    type: fc.constant('join' as const),
    channel: u32,
    room: bytes(16, 16),
    label: bytes(255),
  }),
  fc.record({ type: fc.constant('send' as const), channel: u32, to: slot, payload: bytes(300) }),
  fc.record({ type: fc.constant('leave' as const), channel: u32 }),
)
const relayFrame: fc.Arbitrary<RelayFrame> = fc.oneof(
  fc
    .record({ type: fc.constant('joined' as const), channel: u32, slot, size: slot })
    .filter((frame) => frame.size >= 2 && frame.slot <= frame.size),
  fc.record({ type: fc.constant('peer' as const), channel: u32, slot, label: bytes(255) }),
  fc.record({
    type: fc.constant('message' as const),
    channel: u32,
    from: slot,
    payload: bytes(300),
  }),
  fc.record({
    type: fc.constant('closed' as const),
    channel: u32,
    reason: fc.constantFrom(...reasons),
  }),
)

describe('frames', () => {
  it('are what the specification shows in hex', () => {
    const room = hexToBytes('000102030405060708090a0b0c0d0e0f')
    const label = hexToBytes('aabb')
    expect(bytesToHex(encodeClientFrame({ type: 'join', channel: 7, room, label }))).toBe(
      '0100000007000102030405060708090a0b0c0d0e0f02aabb',
    )
    const sent = { type: 'send', channel: 7, to: 2, payload: label } as const
    expect(bytesToHex(encodeClientFrame(sent))).toBe('020000000702aabb')
    expect(bytesToHex(encodeClientFrame({ type: 'leave', channel: 7 }))).toBe('0300000007')
    const closed = { type: 'closed', channel: 7, reason: 'room_used' } as const
    expect(bytesToHex(encodeRelayFrame(closed))).toBe('8400000007113a726f6f6d5f75736564')
    const joined = { type: 'joined', channel: 7, slot: 1, size: 2 } as const
    expect(bytesToHex(encodeRelayFrame(joined))).toBe('81000000070102')
  })

  it('are read back as they were written', () => {
    fc.assert(
      fc.property(clientFrame, (frame) => {
        expect(decodeClientFrame(encodeClientFrame(frame))).toEqual(frame)
      }),
      { seed: 1 },
    )
    fc.assert(
      fc.property(relayFrame, (frame) => {
        expect(decodeRelayFrame(encodeRelayFrame(frame))).toEqual(frame)
      }),
      { seed: 2 },
    )
  })

  it('have exactly one form', () => {
    fc.assert(
      fc.property(bytes(60), fc.constantFrom(1, 2, 3), (tail, kind) => {
        const raw = Uint8Array.of(kind, ...tail)
        let frame
        try {
          frame = decodeClientFrame(raw)
        } catch (error) {
          expect(error).toBeInstanceOf(BadFrame)
          return
        }
        expect(encodeClientFrame(frame)).toEqual(raw)
      }),
      { seed: 3, numRuns: 500 },
    )
  })

  it('never fail in another way than as a bad frame, whatever the bytes', () => {
    fc.assert(
      fc.property(bytes(80), (raw) => {
        for (const decode of [decodeClientFrame, decodeRelayFrame])
          try {
            decode(raw)
          } catch (error) {
            expect(error).toBeInstanceOf(BadFrame)
          }
      }),
      { seed: 4, numRuns: 2000 },
    )
  })

  it.each([
    ['nothing', ''],
    ['an unknown kind', '0400000007'],
    ['a cut channel', '0300'],
    ['bytes after a leave', '030000000700'],
    ['slot 0', '020000000700aa'],
    ['slot 33', '020000000721aa'],
    ['a cut room', '0100000007' + '00'.repeat(15)],
    ['a label shorter than it says', '0100000007' + '00'.repeat(16) + '03aabb'],
    ['bytes after the label', '0100000007' + '00'.repeat(16) + '01aabb'],
  ])('of a party are refused with %s', (_, hex) => {
    expect(() => decodeClientFrame(hexToBytes(hex))).toThrow(BadFrame)
  })

  it.each([
    ['an unknown kind', '8500000007'],
    ['a slot beyond the size', '81000000070302'],
    ['a room of one', '81000000070101'],
    ['an unknown close code', '84000000070001'],
    ['a label that is too long', '820000000701' + '00'.repeat(256)],
    ['bytes after joined', '8100000007010200'],
  ])('of the relay are refused with %s', (_, hex) => {
    expect(() => decodeRelayFrame(hexToBytes(hex))).toThrow(BadFrame)
  })

  it('have a close code of its own for every reason', () => {
    expect(new Set(Object.values(closeCodes)).size).toBe(reasons.length)
  })
})

describe('a room_uuid', () => {
  it('carries all 16 bytes there and back', () => {
    fc.assert(
      fc.property(bytes(16, 16), (room) => {
        expect(parseRoomUuid(roomUuid(room))).toEqual(room)
      }),
      { seed: 5 },
    )
    expect(roomUuid(hexToBytes('ff'.repeat(16)))).toBe('ffffffff-ffff-ffff-ffff-ffffffffffff')
  })

  it.each(['', 'x', 'ff'.repeat(16), 'ffffffff-ffff-ffff-ffff-fffffffffffff', ' '.repeat(36)])(
    'is refused as %j',
    (text) => {
      expect(() => parseRoomUuid(text)).toThrow(RangeError)
    },
  )
})

describe('a mailbox', () => {
  it('hands out what came before the end, then the reason', async () => {
    const box = new Mailbox()
    box.push({ type: 'message', from: 1, bytes: Uint8Array.of(1) })
    box.end('room_expired')
    box.end('left')
    box.push({ type: 'message', from: 1, bytes: Uint8Array.of(2) })
    expect(await box.receive()).toMatchObject({ bytes: Uint8Array.of(1) })
    await expect(box.receive()).rejects.toMatchObject({ reason: 'room_expired' })
  })
})

/** A socket whose other end is the test. */
class TestSocket implements FrameSocket {
  readonly sent: ClientFrame[] = []
  closed = 0
  frame: (bytes: Uint8Array) => void = () => undefined
  gone: () => void = () => undefined
  send(bytes: Uint8Array) {
    this.sent.push(decodeClientFrame(bytes))
  }
  close() {
    this.closed++
  }
  onFrame(handler: (bytes: Uint8Array) => void) {
    this.frame = handler
  }
  onClose(handler: () => void) {
    this.gone = handler
  }
  say(frame: RelayFrame) {
    this.frame(encodeRelayFrame(frame))
  }
}

const label = Uint8Array.of(1)
function connect() {
  const socket = new TestSocket()
  return { socket, connection: new RelayConnection(socket) }
}
async function joined(channel = 1) {
  const { socket, connection } = connect()
  const joining = connection.join(randomBytes(16), label)
  socket.say({ type: 'joined', channel, slot: 1, size: 2 })
  return { socket, connection, link: await joining }
}

describe('a connection to a relay', () => {
  it('ends a room in which more waits than anybody should hold, and no other', async () => {
    const { socket, connection, link } = await joined()
    const joining = connection.join(randomBytes(16), label)
    socket.say({ type: 'joined', channel: 2, slot: 1, size: 2 })
    const other = await joining
    const payload = new Uint8Array(MAX_MESSAGE_BYTES)
    const most = MOST_UNREAD_BYTES / payload.length
    const say = () => {
      socket.say({ type: 'message', channel: 1, from: 2, payload })
    }
    for (let i = 0; i < most; i++) say()
    // What has been read makes place.
    for (let i = 0; i < 2; i++) expect(await link.receive()).toMatchObject({ type: 'message' })
    for (let i = 0; i < 3; i++) say()
    for (let i = 0; i < most; i++) expect(await link.receive()).toMatchObject({ type: 'message' })
    await expect(link.receive()).rejects.toMatchObject({ reason: 'buffer_full' })
    expect(socket.sent.at(-1)).toEqual({ type: 'leave', channel: 1 })
    socket.say({ type: 'message', channel: 2, from: 2, payload: Uint8Array.of(7) })
    expect(await other.receive()).toMatchObject({ bytes: Uint8Array.of(7) })
  })

  it('carries several rooms and keeps them apart', async () => {
    const { socket, connection } = connect()
    const rooms = [randomBytes(16), randomBytes(16)]
    const joining = rooms.map((room) => connection.join(room, label))
    expect(socket.sent).toEqual(
      rooms.map((room, at) => ({
        type: 'join',
        channel: at + 1,
        room: new Uint8Array(room),
        label,
      })),
    )
    socket.say({ type: 'joined', channel: 2, slot: 2, size: 3 })
    socket.say({ type: 'joined', channel: 1, slot: 1, size: 2 })
    const [a, b] = await Promise.all(joining)
    expect([a!.slot, a!.size, b!.slot, b!.size]).toEqual([1, 2, 2, 3])
    socket.say({ type: 'message', channel: 2, from: 1, payload: Uint8Array.of(2) })
    socket.say({ type: 'peer', channel: 1, slot: 2, label })
    expect(await a!.receive()).toEqual({ type: 'peer', slot: 2, label })
    expect(await b!.receive()).toEqual({ type: 'message', from: 1, bytes: Uint8Array.of(2) })
    a!.send(2, Uint8Array.of(9))
    expect(socket.sent.at(-1)).toEqual({
      type: 'send',
      channel: 1,
      to: 2,
      payload: Uint8Array.of(9),
    })
    a!.leave()
    a!.leave()
    expect(socket.sent.filter(({ type }) => type === 'leave')).toEqual([
      { type: 'leave', channel: 1 },
    ])
    await expect(a!.receive()).rejects.toMatchObject({ reason: 'left' })
    expect(() => {
      a!.send(2, label)
    }).toThrow('left')
    expect(connection.rooms).toBe(1)
    socket.say({ type: 'message', channel: 1, from: 2, payload: label })
    expect(socket.closed).toBe(0)
  })

  it.each(reasons)('rejects a join that the relay answers with %s', async (reason) => {
    const { socket, connection } = connect()
    const joining = connection.join(randomBytes(16), label)
    socket.say({ type: 'closed', channel: 1, reason })
    await expect(joining).rejects.toMatchObject({ reason })
    expect(connection.rooms).toBe(0)
  })

  it('ends a room when its deadline passes, while joining and afterwards', async () => {
    const { socket, connection } = connect()
    const expiries: (() => void)[] = []
    let disarmed = 0
    const deadline = (expire: () => void) => {
      expiries.push(expire)
      return () => disarmed++
    }
    const never = connection.join(randomBytes(16), label, deadline)
    expiries[0]!()
    await expect(never).rejects.toMatchObject({ reason: 'room_timeout' })
    const joining = connection.join(randomBytes(16), label, deadline)
    socket.say({ type: 'joined', channel: 2, slot: 1, size: 2 })
    const link = await joining
    const waiting = link.receive()
    expiries[1]!()
    await expect(waiting).rejects.toMatchObject({ reason: 'room_timeout' })
    expect(socket.sent.filter(({ type }) => type === 'leave')).toHaveLength(2)
    expect(disarmed).toBe(2)
  })

  it('ends every room when the socket closes, and joins no more', async () => {
    const { socket, connection, link } = await joined()
    const pending = connection.join(randomBytes(16), label)
    socket.gone()
    await expect(link.receive()).rejects.toMatchObject({ reason: 'connection_lost' })
    await expect(pending).rejects.toMatchObject({ reason: 'connection_lost' })
    await expect(connection.join(randomBytes(16), label)).rejects.toMatchObject({
      reason: 'connection_lost',
    })
    expect(connection.closed).toBe(true)
  })

  it('closes when the relay says what is no frame', async () => {
    const { socket, link } = await joined()
    socket.frame(Uint8Array.of(0x99))
    await expect(link.receive()).rejects.toMatchObject({ reason: 'bad_frame' })
    expect(socket.closed).toBe(1)
  })

  it('ends a room that is joined twice or speaks before it is joined', async () => {
    const { socket, link } = await joined()
    socket.say({ type: 'joined', channel: 1, slot: 1, size: 2 })
    await expect(link.receive()).rejects.toMatchObject({ reason: 'bad_frame' })
    const early = connect()
    const joining = early.connection.join(randomBytes(16), label)
    early.socket.say({ type: 'peer', channel: 1, slot: 1, label })
    await expect(joining).rejects.toMatchObject({ reason: 'bad_frame' })
  })

  it('refuses to send a message that is too long', async () => {
    const { socket, link } = await joined()
    link.send(2, new Uint8Array(MAX_MESSAGE_BYTES))
    expect(() => {
      link.send(2, new Uint8Array(MAX_MESSAGE_BYTES + 1))
    }).toThrow('message too large')
    expect(socket.sent.map(({ type }) => type)).toEqual(['join', 'send', 'leave'])
  })

  it('survives whatever the relay sends', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(bytes(30), relayFrame.map(encodeRelayFrame))), (frames) => {
        const { socket, connection } = connect()
        for (let i = 0; i < 3; i++)
          connection.join(randomBytes(16), label).then(
            (link) => link.receive().catch(() => undefined),
            () => undefined,
          )
        for (const frame of frames) socket.frame(frame)
      }),
      { seed: 6, numRuns: 200 },
    )
  })
})
