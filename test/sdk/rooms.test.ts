import { roomUuid } from '@vertex/mpc'
import { MemoryShareStore, RequestError, UnavailableError } from '@vertex/sdk'
import { afterAll, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Answers } from '../../sdk/src/answers.js'
import { RoomPool } from '../../sdk/src/room-pool.js'
import { Harness, utf8 } from './support/harness.js'
import { opensslVerifies } from './support/verify.js'

// Server processes start and end in these tests; on a busy machine that takes a while.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

const never = new AbortController().signal
const LIFETIME_MS = 60_000

describe('rooms opened ahead', () => {
  let now: number
  let made: number
  /** What was asked for; 0 stands for a request without a count. */
  let asked: number[]
  let several: (count: number) => Promise<void>
  let pool: RoomPool

  const name = () => roomUuid(new Uint8Array(16).fill(++made))
  const answers = {
    createRoom: () => {
      asked.push(0)
      return Promise.resolve(name())
    },
    createRooms: async (_: number, count: number) => {
      asked.push(count)
      await several(count)
      return { roomUuids: Array.from({ length: count }, name), expiresInMs: LIFETIME_MS }
    },
  } as unknown as Answers
  const settled = () => new Promise((resolve) => setTimeout(resolve))

  beforeEach(() => {
    now = 1_000_000
    made = 0
    asked = []
    several = () => Promise.resolve()
    pool = new RoomPool(answers, () => now)
  })

  it('are each handed out once, and asked for in the background while they are used', async () => {
    const seen = new Set<string>()
    let cold = 0
    for (let i = 0; i < 100; i++) {
      const { roomUuid, isFresh } = await pool.take(2, never)
      expect(seen.has(roomUuid)).toBe(false)
      seen.add(roomUuid)
      if (isFresh) cold++
      await settled()
    }
    expect(cold).toBe(1)
    expect(asked.length).toBeLessThan(20)
    expect(Math.max(...asked)).toBe(16)
  })

  it('are not asked for by a client that does nothing', async () => {
    await pool.take(2, never)
    await settled()
    expect(asked).toEqual([4])
    now += 10 * LIFETIME_MS
    await settled()
    expect(asked).toEqual([4])
  })

  it('are joined in the first half of their life only', async () => {
    await pool.take(2, never)
    now += LIFETIME_MS / 2 - 1
    expect((await pool.take(2, never)).isFresh).toBe(false)
    now += 1
    expect((await pool.take(2, never)).isFresh).toBe(true)
  })

  it('are kept by size', async () => {
    await pool.take(2, never)
    expect((await pool.take(3, never)).isFresh).toBe(true)
    expect((await pool.take(2, never)).isFresh).toBe(false)
  })

  it('come once for many that need one at the same time', async () => {
    const rooms = await Promise.all(Array.from({ length: 12 }, () => pool.take(2, never)))
    expect(new Set(rooms.map(({ roomUuid }) => roomUuid)).size).toBe(12)
    expect(asked.filter((count) => count > 0)).toHaveLength(1)
  })

  it('are done without where the server does not know them', async () => {
    several = () => Promise.reject(new RequestError('bad_request_params', 'unknown: count'))
    for (let i = 0; i < 3; i++) expect((await pool.take(2, never)).isFresh).toBe(true)
    expect(asked).toEqual([4, 0, 0, 0])
  })

  it('are forgotten with the server that had them', async () => {
    await pool.take(2, never)
    pool.forget()
    expect((await pool.take(2, never)).isFresh).toBe(true)
  })

  it('may fail to come in the background without anybody noticing', async () => {
    for (let i = 0; i < 2; i++) await pool.take(2, never)
    several = () => Promise.reject(new UnavailableError('rate_limited', 'too many'))
    for (let i = 0; i < 2; i++) expect((await pool.take(2, never)).isFresh).toBe(false)
    await settled()
    await expect(pool.take(2, never)).rejects.toMatchObject({ errType: 'rate_limited' })
    several = () => Promise.resolve()
    expect((await pool.take(2, never)).isFresh).toBe(true)
  })

  it('are tried again on a connection that broke while it was idle', async () => {
    several = () => Promise.reject(new UnavailableError('connection_failed', 'cut'))
    expect((await pool.take(2, never)).isFresh).toBe(true)
    expect(asked).toEqual([4, 0])
  })
})

describe('a client that signs', () => {
  const harness = new Harness()
  afterAll(() => harness.end())
  const message = utf8('a message')
  const request = { message, hashAlgo: 'sha256' } as const

  it('waits for a room once, also over a restart of the server and with rooms that have expired', async () => {
    const settings = { VERTEX_ROOM_LIFETIME: '8' }
    let server = await harness.server('vertex', { settings })
    const apiKey = await server.createUser('owner')
    const rooms: unknown[] = []
    let refused = 0
    const vertex = await harness.client(server, {
      apiKey,
      store: new MemoryShareStore(),
      fetch: async (input, init) => {
        if (input.endsWith('/create-room')) rooms.push(JSON.parse(init.body as string))
        const answer = await fetch(input, init)
        if (input.endsWith('/ecdsa/sign') && !answer.ok) refused++
        return answer
      },
    })
    const key = await vertex.ecdsa.createKey()
    rooms.length = 0
    const sign = async () =>
      expect(opensslVerifies(key.publicKey, message, (await key.sign(request)).der)).toBe(true)

    await sign()
    await sign()
    expect(rooms).toEqual([{ room_size: 2, count: 4 }])

    await server.kill()
    server = await harness.server('vertex', { settings, port: server.port })
    await sign()
    expect(refused).toBeLessThan(2)

    await sign()
    await new Promise((resolve) => setTimeout(resolve, 4_100))
    refused = 0
    await sign()
    expect(refused).toBe(0)
  })

  it('notices nothing of a server that opens one room at a time', async () => {
    const server = await harness.server('older')
    const vertex = await harness.client(server, {
      fetch: (input, init) =>
        input.endsWith('/create-room') && (init.body as string).includes('count')
          ? Promise.resolve(
              Response.json(
                { err_msg: 'unknown: count', err_type: 'bad_request_params' },
                { status: 400 },
              ),
            )
          : fetch(input, init),
    })
    const key = await vertex.ecdsa.createKey()
    for (let i = 0; i < 3; i++) {
      const { der } = await key.sign(request)
      expect(opensslVerifies(key.publicKey, message, der)).toBe(true)
    }
  })

  it('says what is wrong when a room is never there, after one further try', async () => {
    const server = await harness.server('elsewhere')
    const apiKey = await server.createUser('two clients')
    const store = new MemoryShareStore()
    const { id } = await (await harness.client(server, { apiKey, store })).ecdsa.createKey()
    const opened: unknown[] = []
    const lost = await harness.client(server, {
      apiKey,
      store,
      fetch: (input, init) => {
        if (!input.endsWith('/create-room')) return fetch(input, init)
        const { count } = JSON.parse(init.body as string) as { count?: number }
        opened.push(count)
        const room_uuid = roomUuid(new Uint8Array(16).fill(opened.length))
        const room_uuids = Array.from({ length: count ?? 1 }, () => room_uuid)
        return Promise.resolve(Response.json({ room_uuid, room_uuids, expires_in_ms: 60_000 }))
      },
    })
    const key = await lost.ecdsa.openKey(id)
    const notThere = { errType: 'room_not_found' }
    await expect(key.sign(request)).rejects.toMatchObject(notThere)
    await expect(key.sign(request)).rejects.toMatchObject(notThere)
    expect(opened).toEqual([4, undefined])
  })
})
