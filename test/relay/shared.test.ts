import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { MAX_MESSAGE_BYTES, RoomClosed, type RoomLink } from '@vertex/mpc'
import { ratesInRedis } from '../../src/rates/index.js'
import { Redis, RedisUnavailable, type RedisEvent } from '../../src/redis/index.js'
import { roomScripts, SharedRooms, type RelayLimits } from '../../src/relay/index.js'
import { CATCH_UP, JOIN, LEAVE } from '../../src/relay/shared/scripts.js'
import { rateLimits } from '../../src/vault/index.js'
import { documentedRights, missingRedis, startRedis, type TestRedis } from '../support/redis.js'

const missing = missingRedis()
const label = (n: number) => Uint8Array.of(n)

async function until(what: string, holds: () => boolean, withinMs = 10_000): Promise<void> {
  const giveUp = Date.now() + withinMs
  while (!holds()) {
    if (Date.now() > giveUp) throw new Error(`not within ${withinMs} ms: ${what}`)
    await sleep(10)
  }
}

const reasonOf = (joining: Promise<unknown>): Promise<string> =>
  joining.then(
    () => 'joined',
    (error: unknown) => {
      if (error instanceof RoomClosed) return error.reason
      throw error
    },
  )
async function endOf(link: RoomLink): Promise<string> {
  for (;;)
    try {
      await link.receive()
    } catch (error) {
      return (error as RoomClosed).reason
    }
}
async function messages(link: RoomLink, count: number): Promise<number[][]> {
  const got: number[][] = []
  while (got.length < count) {
    const event = await link.receive()
    if (event.type === 'message') got.push([event.from, ...event.bytes])
  }
  return got
}

describe.skipIf(missing !== undefined)(
  `rooms that replicas share${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    let server: TestRedis
    beforeAll(async () => {
      server = await startRedis()
    })
    afterAll(() => server.stop())

    const open: (() => Promise<void>)[] = []
    afterEach(async () => {
      await Promise.all(open.splice(0).map((close) => close()))
    })

    interface Replica {
      readonly rooms: SharedRooms
      readonly redis: Redis
      readonly events: RedisEvent[]
    }
    async function replica(limits: Partial<RelayLimits> = {}, url = server.url): Promise<Replica> {
      const events: RedisEvent[] = []
      const log = (event: RedisEvent) => events.push(event)
      const redis = new Redis({ url, scripts: roomScripts, log })
      const rooms = new SharedRooms(redis, limits)
      await redis.start()
      open.push(async () => {
        await rooms.close()
        await redis.close()
      })
      return { rooms, redis, events }
    }

    it('bring together parties that came through different replicas, and keep the order', async () => {
      const [one, two] = [await replica(), await replica()]
      const name = await one.rooms.create(3)
      const a = await two.rooms.join(name, label(1), 5000)
      a.send(3, Uint8Array.of(0))
      const b = await one.rooms.join(name, label(2), 5000)
      const c = await two.rooms.join(name.toUpperCase(), label(3), 5000)
      expect([a.slot, b.slot, c.slot, a.size]).toEqual([1, 2, 3, 3])
      expect(await a.receive()).toEqual({ type: 'peer', slot: 2, label: label(2) })
      expect(await a.receive()).toEqual({ type: 'peer', slot: 3, label: label(3) })
      expect(await b.receive()).toMatchObject({ type: 'peer', slot: 1 })
      expect(await b.receive()).toMatchObject({ type: 'peer', slot: 3 })
      expect(await c.receive()).toMatchObject({ type: 'peer', slot: 1 })
      for (let n = 1; n <= 100; n++) {
        a.send(3, Uint8Array.of(n))
        b.send(3, Uint8Array.of(n))
      }
      // The message that waited came before the second party was told of.
      const got = await messages(c, 201)
      expect(got.filter(([from]) => from === 1)).toEqual(
        Array.from({ length: 101 }, (_, n) => [1, n]),
      )
      expect(got.filter(([from]) => from === 2)).toEqual(
        Array.from({ length: 100 }, (_, n) => [2, n + 1]),
      )
      for (const link of [a, b, c]) link.leave()
      await until('empty', () => one.rooms.usage.rooms + two.rooms.usage.rooms === 0)
      expect(one.rooms.usage.bufferedBytes + two.rooms.usage.bufferedBytes).toBe(0)
    })

    it('are used once, end as those of one process do, and are known by nobody else', async () => {
      const [one, two] = [await replica(), await replica()]
      const name = await one.rooms.create(2)
      const [a, b] = [
        await one.rooms.join(name, label(1), 5000),
        await two.rooms.join(name, label(2), 5000),
      ]
      expect(await reasonOf(two.rooms.join(name, label(3), 5000))).toBe('room_full')
      a.send(2, Uint8Array.of(7))
      a.leave()
      expect(await messages(b, 1)).toEqual([[1, 7]])
      expect(await endOf(b)).toBe('room_abandoned')
      expect(await reasonOf(one.rooms.join(name, label(3), 5000))).toBe('room_used')
      expect(
        await reasonOf(one.rooms.join(name.replace(/^.{8}/, '00000000'), label(3), 5000)),
      ).toBe('room_unknown')
      const abandoned = await one.rooms.create(3)
      const left = await two.rooms.join(abandoned, label(1), 5000)
      const alone = await one.rooms.join(abandoned, label(2), 5000)
      left.leave()
      expect(await endOf(alone)).toBe('room_abandoned')
    })

    it('put out who breaks a rule, and tell the others', async () => {
      const [one, two] = [await replica(), await replica()]
      for (const [to, bytes, reason] of [
        [1, new Uint8Array(1), 'bad_frame'],
        [3, new Uint8Array(1), 'bad_frame'],
        [2, new Uint8Array(MAX_MESSAGE_BYTES + 1), 'message_too_large'],
      ] as const) {
        const name = await one.rooms.create(2)
        const a = await one.rooms.join(name, label(1), 5000)
        const b = await two.rooms.join(name, label(2), 5000)
        expect(() => a.send(to, bytes)).toThrow(reason.replaceAll('_', ' '))
        expect(await endOf(b)).toBe('room_abandoned')
      }
    })

    it('end for everybody when their life is over, at each replica', async () => {
      const [one, two] = [
        await replica({ roomLifetimeMs: 400 }),
        await replica({ roomLifetimeMs: 60_000 }),
      ]
      const [name, half] = [await one.rooms.create(2), await one.rooms.create(2)]
      const a = await one.rooms.join(name, label(1), 5000)
      const b = await two.rooms.join(name, label(2), 5000)
      const waiting = await two.rooms.join(half, label(1), 5000)
      expect(await Promise.all([a, b, waiting].map(endOf))).toEqual(Array(3).fill('room_expired'))
      expect(await reasonOf(two.rooms.join(name, label(3), 5000))).toBe('room_used')
      expect(await reasonOf(two.rooms.join(half, label(2), 5000))).toBe('room_expired')
    })

    it('leave nothing in Redis that stays, and no more than their limits', async () => {
      const limits = { roomBufferBytes: 64 * 1024, roomLifetimeMs: 30_000 }
      const [one, two] = [await replica(limits), await replica(limits)]
      const names = await Promise.all([1, 2, 3].map(() => one.rooms.create(2)))
      const [used, full, halfway] = names as [string, string, string]
      const [a, b] = [
        await one.rooms.join(used, label(1), 5000),
        await two.rooms.join(used, label(2), 5000),
      ]
      a.leave()
      await endOf(b)
      // Before everybody is there nothing may get lost, so there is an end to it.
      const c = await two.rooms.join(full, label(1), 5000)
      for (let n = 0; n < 70; n++)
        try {
          c.send(2, new Uint8Array(1024))
        } catch {
          break
        }
      expect(await endOf(c)).toBe('buffer_full')
      // Afterwards the oldest go.
      const d = await two.rooms.join(halfway, label(1), 5000)
      const e = await one.rooms.join(halfway, label(2), 5000)
      for (let n = 0; n < 200; n++) {
        d.send(2, Uint8Array.of(n, ...new Uint8Array(1023)))
        if (n % 10 === 9) await messages(e, 10)
      }
      const log = `vertex:room:{${halfway}}:log`
      expect(Number(server.cli('LLEN', log)) * 1536).toBeLessThanOrEqual(limits.roomBufferBytes)
      const keys = server.cli('KEYS', '*').split('\n')
      expect(keys).toContain(log)
      for (const key of keys) {
        const left = Number(server.cli('PTTL', key))
        expect([key, left > 0 && left <= 120_000]).toEqual([key, true])
      }
    })

    it('tell the replica that opened them when they are used elsewhere', async () => {
      const [one, two] = [await replica({ rooms: 1 }), await replica()]
      const told: string[] = []
      one.rooms.onUsed((name) => told.push(name))
      const name = await one.rooms.create(2)
      await expect(one.rooms.create(2)).rejects.toThrow('too many rooms')
      const a = await two.rooms.join(name, label(1), 5000)
      const b = await two.rooms.join(name, label(2), 5000)
      await until('told', () => told.includes(name))
      await one.rooms.create(2)
      a.leave()
      b.leave()
    })

    it('survive a connection that breaks: what was missed is read from the log, once and in order', async () => {
      const [one, two] = [await replica(), await replica()]
      const name = await one.rooms.create(2)
      const a = await one.rooms.join(name, label(1), 20_000)
      const b = await two.rooms.join(name, label(2), 20_000)
      // Only the second one's: the first must not be in the middle of sending.
      const [id] = /id=(\d+)[^\n]* sub=1/
        .exec(
          server
            .cli('CLIENT', 'LIST')
            .split('\n')
            .filter((line) => line.includes('sub=1'))
            .at(-1)!,
        )!
        .slice(1)
      server.cli('CLIENT', 'KILL', 'ID', id!)
      for (let n = 0; n < 50; n++) a.send(2, Uint8Array.of(n))
      expect(await messages(b, 50)).toEqual(Array.from({ length: 50 }, (_, n) => [1, n]))
      expect(two.events.map(({ event }) => event)).toEqual([
        'redis_connected',
        'redis_lost',
        'redis_connected',
      ])
      b.send(1, Uint8Array.of(9))
      expect(await messages(a, 1)).toEqual([[2, 9]])
    })

    it('end with connection_lost when Redis loses them, and new ones work at once', async () => {
      const [one, two] = [await replica(), await replica()]
      const name = await one.rooms.create(2)
      const a = await one.rooms.join(name, label(1), 20_000)
      const b = await two.rooms.join(name, label(2), 20_000)
      await server.kill()
      const ends = Promise.all([endOf(a), endOf(b)])
      await until('not ready', () => !one.rooms.ready && !two.rooms.ready)
      expect(await reasonOf(one.rooms.create(2))).toBe('connection_lost')
      expect(await reasonOf(two.rooms.join(name, label(1), 500))).toBe('connection_lost')
      await server.restart()
      expect(await ends).toEqual(['connection_lost', 'connection_lost'])
      await until('ready', () => one.rooms.ready && two.rooms.ready)
      const again = await one.rooms.create(2)
      const c = await two.rooms.join(again, label(1), 5000)
      const d = await one.rooms.join(again, label(2), 5000)
      c.send(2, Uint8Array.of(1))
      expect(await messages(d, 1)).toEqual([[1, 1]])
    })

    it('end with connection_lost when Redis stands still', async () => {
      const [one, two] = [await replica(), await replica()]
      const name = await one.rooms.create(2)
      const a = await one.rooms.join(name, label(1), 30_000)
      const b = await two.rooms.join(name, label(2), 30_000)
      server.signal('SIGSTOP')
      try {
        expect(await Promise.all([endOf(a), endOf(b)])).toEqual(Array(2).fill('connection_lost'))
        expect(await reasonOf(one.rooms.create(2))).toBe('connection_lost')
      } finally {
        server.signal('SIGCONT')
      }
      await until('ready', () => one.rooms.ready && two.rooms.ready)
      expect(await reasonOf(one.rooms.create(2))).toBe('joined')
    })

    it('end with connection_lost when Redis is back at an earlier state', async () => {
      const [one, two] = [await replica(), await replica()]
      const name = await one.rooms.create(2)
      const a = await one.rooms.join(name, label(1), 20_000)
      const b = await two.rooms.join(name, label(2), 20_000)
      a.send(2, Uint8Array.of(1))
      expect(await messages(b, 1)).toEqual([[1, 1]])
      // As after a failover to a copy that had not got the last entry yet; the next one takes its number.
      server.cli('RPOP', `vertex:room:{${name}}:log`)
      server.cli('HINCRBY', `vertex:room:{${name}}`, 'n', '-1')
      const ends = Promise.all([endOf(a), endOf(b)])
      a.send(2, Uint8Array.of(2))
      expect(await ends).toContain('connection_lost')
    })

    it('end with connection_lost when a replica in them dies', async () => {
      const [one, two] = [await replica(), await replica()]
      const name = await one.rooms.create(2)
      await one.rooms.join(name, label(1), 30_000)
      const b = await two.rooms.join(name, label(2), 30_000)
      // As seen from outside: it says nothing any more.
      await one.redis.close()
      expect(await endOf(b)).toBe('connection_lost')
    })

    it('end with connection_lost for everybody when one replica loses Redis while it sends', async () => {
      const [one, two] = [await replica(), await replica()]
      // Also with two who could go on without the third: it may have had more to say.
      for (const size of [2, 3]) {
        const name = await one.rooms.create(size)
        const a = await one.rooms.join(name, label(1), 20_000)
        const others = await Promise.all(
          Array.from({ length: size - 1 }, (_, n) => two.rooms.join(name, label(2 + n), 20_000)),
        )
        vi.spyOn(one.redis, 'run').mockRejectedValueOnce(new RedisUnavailable())
        a.send(2, Uint8Array.of(1))
        for (const link of [a, ...others]) expect(await endOf(link)).toBe('connection_lost')
        expect(await reasonOf(two.rooms.join(name, label(9), 5000))).toBe('room_used')
      }
    })

    it('end with connection_lost for everybody when it is told late that a party was lost', async () => {
      const [one, two] = [await replica(), await replica()]
      const name = await one.rooms.create(2)
      const a = await one.rooms.join(name, label(1), 20_000)
      const b = await two.rooms.join(name, label(2), 20_000)
      vi.spyOn(one.redis, 'run')
        .mockRejectedValueOnce(new RedisUnavailable())
        .mockRejectedValueOnce(new RedisUnavailable())
      a.send(2, Uint8Array.of(1))
      for (const link of [a, b]) expect(await endOf(link)).toBe('connection_lost')
    })

    it('end with connection_lost for everybody when a replica closes', async () => {
      const [one, two] = [await replica(), await replica()]
      const name = await one.rooms.create(2)
      const a = await one.rooms.join(name, label(1), 20_000)
      const b = await two.rooms.join(name, label(2), 20_000)
      await one.rooms.close()
      for (const link of [a, b]) expect(await endOf(link)).toBe('connection_lost')
    })

    it('need no other rights in Redis than those that are documented', async () => {
      server.cli('ACL', 'SETUSER', 'vertex', 'on', '>a-pass-word', ...documentedRights())
      server.cli('ACL', 'LOG', 'RESET')
      const url = server.url.replace('//', '//vertex:a-pass-word@')
      const limits = { roomBufferBytes: 8192 }
      const [one, two] = [await replica(limits, url), await replica(limits, url)]
      const name = await one.rooms.create(2)
      const a = await one.rooms.join(name, label(1), 20_000)
      const b = await two.rooms.join(name, label(2), 20_000)
      for (let n = 0; n < 20; n++) {
        a.send(2, new Uint8Array(1024))
        await messages(b, 1)
      }
      await sleep(1200) // long enough to look for the other replica
      b.leave()
      expect(await endOf(a)).toBe('room_abandoned')
      const rates = Object.fromEntries(Object.keys(rateLimits).map((limit) => [limit, 5])) as never
      const run = (lua: string, key: string, args: readonly string[]) =>
        one.redis.send('EVAL', lua, '1', key, ...args)
      const counted = ratesInRedis(rates, run)
      expect(await counted.count('requests', 'somebody', 2)).toMatchObject({ left: 3 })
      expect(await counted.count('requests', 'somebody', 4)).toMatchObject({ allowed: false })
      expect(server.cli('ACL', 'LOG')).toBe('')
      for (const more of [['FLUSHALL'], ['KEYS', '*'], ['SCAN', '0'], ['CONFIG', 'GET', '*']])
        await expect(one.redis.send(...more)).rejects.toThrow('not available')
      expect(server.cli('ACL', 'LOG')).toContain('flushall')
    })

    it('are looked for elsewhere when this Redis is not the primary any more', async () => {
      const one = await replica()
      server.cli('REPLICAOF', '127.0.0.1', '1')
      try {
        expect(await reasonOf(one.rooms.create(2))).toBe('connection_lost')
        await sleep(1000)
        expect(one.rooms.ready).toBe(false)
      } finally {
        server.cli('REPLICAOF', 'NO', 'ONE')
      }
      await until('ready', () => one.rooms.ready)
      await one.rooms.create(2)
      expect(one.events).toEqual([
        { event: 'redis_connected' },
        { event: 'redis_lost', code: 'READONLY' },
        { event: 'redis_connected' },
      ])
    })

    it('are not to be had while Redis is full, and a replica says so', async () => {
      const one = await replica()
      server.cli('CONFIG', 'SET', 'maxmemory', '1')
      try {
        await until('not ready', () => !one.rooms.ready)
        expect(await reasonOf(one.rooms.create(2))).toBe('connection_lost')
      } finally {
        server.cli('CONFIG', 'SET', 'maxmemory', '0')
      }
      await until('ready', () => one.rooms.ready)
      await one.rooms.create(2)
    })

    it('end when somebody leaves while Redis is full', async () => {
      const [one, two] = [await replica(), await replica()]
      const name = await one.rooms.create(2)
      const a = await one.rooms.join(name, label(1), 30_000)
      const b = await two.rooms.join(name, label(2), 30_000)
      server.cli('CONFIG', 'SET', 'maxmemory', '1')
      try {
        a.leave()
        expect(await endOf(b)).toBe('room_abandoned')
      } finally {
        server.cli('CONFIG', 'SET', 'maxmemory', '0')
      }
    })

    /** A way to Redis that can be cut when the next joining was passed on, before its answer, for a while. */
    async function cuttable() {
      const sockets = new Set<Socket>()
      let cutFor: number | undefined
      let refusedUntil = 0
      const proxy = createServer((near) => {
        if (Date.now() < refusedUntil) return void near.destroy()
        const far = connect(server.port, '127.0.0.1')
        let isLast = false
        near.on('data', (bytes) => {
          isLast ||= cutFor !== undefined && bytes.includes(JOIN.sha)
          far.write(bytes)
        })
        far.on('data', (bytes) => {
          if (!isLast) return void near.write(bytes)
          refusedUntil = Date.now() + (cutFor ?? 0)
          cutFor = undefined
          for (const socket of sockets) socket.destroy()
        })
        for (const socket of [near, far]) {
          sockets.add(socket)
          socket.on('error', () => undefined)
          socket.on('close', () => {
            sockets.delete(socket)
            for (const end of [near, far]) end.destroy()
          })
        }
      })
      await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
      open.push(async () => {
        for (const socket of sockets) socket.destroy()
        await new Promise((resolve) => proxy.close(resolve))
      })
      const { port } = proxy.address() as AddressInfo
      return {
        url: `redis://127.0.0.1:${port}`,
        cutNextJoin: (ms: number) => {
          cutFor = ms
        },
      }
    }

    it('give a party its slot whose joining was done and not answered, with all that came meanwhile', async () => {
      const way = await cuttable()
      const [one, two] = [await replica({}, way.url), await replica()]
      const name = await two.rooms.create(2)
      const a = await two.rooms.join(name, label(1), 20_000)
      way.cutNextJoin(0)
      const joining = one.rooms.join(name, label(2), 20_000)
      expect(await a.receive()).toEqual({ type: 'peer', slot: 2, label: label(2) })
      a.send(2, Uint8Array.of(1))
      const b = await joining
      expect([b.slot, b.size]).toEqual([2, 2])
      expect(one.events.map(({ event }) => event)).toEqual([
        ...['redis_connected', 'redis_lost', 'redis_connected'],
      ])
      a.send(2, Uint8Array.of(2))
      expect(await messages(b, 2)).toEqual([
        [1, 1],
        [1, 2],
      ])
      b.send(1, Uint8Array.of(3))
      expect(await messages(a, 1)).toEqual([[2, 3]])
      for (const link of [a, b]) link.leave()
    })

    it('end soon for the others when a party does not learn for long whether it has joined', async () => {
      const way = await cuttable()
      const [one, two] = [await replica({}, way.url), await replica()]
      const name = await two.rooms.create(2)
      const a = await two.rooms.join(name, label(1), 20_000)
      // Longer than rooms outlive it, and shorter than the replica counts as alive.
      way.cutNextJoin(3_500)
      expect(await reasonOf(one.rooms.join(name, label(2), 20_000))).toBe('connection_lost')
      expect(await endOf(a)).toBe('connection_lost')
    }, 30_000)

    it('let nothing pass a party by that its replica has followed before it was told its slot', async () => {
      const [one, two] = [await replica(), await replica()]
      const name = await two.rooms.create(3)
      const a = await one.rooms.join(name, label(1), 20_000)
      const c = await two.rooms.join(name, label(2), 20_000)
      // The first answer is lost; the second one is overtaken by what the other connection brings.
      const run = one.redis.run.bind(one.redis)
      let joinings = 0
      vi.spyOn(one.redis, 'run').mockImplementation(async (script, keys, args) => {
        const reply = await run(script, keys, args)
        if (script !== JOIN) return reply
        joinings++
        if (joinings === 1) throw new RedisUnavailable({ unanswered: true })
        if (joinings === 2) {
          c.send(3, Uint8Array.of(1))
          c.send(1, Uint8Array.of(2))
          expect(await messages(a, 1)).toEqual([[2, 2]])
        }
        return reply
      })
      const b = await one.rooms.join(name, label(3), 20_000)
      c.send(3, Uint8Array.of(3))
      expect(await messages(b, 2)).toEqual([
        [2, 1],
        [2, 3],
      ])
      expect([b.slot, joinings]).toEqual([3, 3])
    })

    it('hand on once what is read from the log and comes by itself meanwhile', async () => {
      const [one, two] = [await replica(), await replica()]
      const name = await two.rooms.create(2)
      const a = await one.rooms.join(name, label(1), 20_000)
      const c = await two.rooms.join(name, label(2), 20_000)
      const got: number[][] = []
      let isLooking = false
      const run = one.redis.run.bind(one.redis)
      const looked = new Promise<void>((resolve) => {
        vi.spyOn(one.redis, 'run').mockImplementation(async (script, keys, args) => {
          if (script !== CATCH_UP || isLooking) return run(script, keys, args)
          isLooking = true
          c.send(1, Uint8Array.of(1))
          await until('sent', () => server.cli('LLEN', keys[1]!) === '3')
          const reply = await run(script, keys, args)
          got.push(...(await messages(a, 1)))
          setImmediate(resolve)
          return reply
        })
      })
      // A quiet room is looked at.
      await looked
      c.send(1, Uint8Array.of(2))
      got.push(...(await messages(a, 1)))
      expect(got).toEqual([
        [2, 1],
        [2, 2],
      ])
    })

    it('take no joining that was given up, however late it arrives', async () => {
      const { rooms, redis } = await replica()
      const name = await rooms.create(2)
      const bytes = Buffer.from(name.replaceAll('-', ''), 'hex')
      const keys = [`vertex:room:{${name}}`, `vertex:room:{${name}}:log`]
      const [id, other] = [Buffer.alloc(8, 1), Buffer.alloc(8, 2)]
      const join = (as: Buffer) => redis.run(JOIN, keys, [bytes, 'r'.repeat(32), as, 'label'])
      const forget = ['j:', id].map((part) => Buffer.from(part))
      await redis.run(LEAVE, keys, [bytes, other, Buffer.concat(forget), '1'])
      expect(String(await join(id))).toBe('room_used')
      const [slot] = (await join(other)) as unknown[]
      const [again] = (await join(other)) as unknown[]
      expect([slot, again]).toEqual([1, 1])
      expect(server.cli('LLEN', keys[1]!)).toBe('1')
    })

    it('are not disturbed by what others write into Redis', async () => {
      const [one, two] = [await replica(), await replica()]
      const name = await one.rooms.create(2)
      const a = await one.rooms.join(name, label(1), 20_000)
      const b = await two.rooms.join(name, label(2), 20_000)
      const channels = server.cli('PUBSUB', 'CHANNELS', '*').split('\n')
      const noise = ['', 'x', 'y'.repeat(16), 'z'.repeat(19), 'z'.repeat(40), '\u00ff'.repeat(60)]
      for (const channel of channels) for (const text of noise) server.cli('PUBLISH', channel, text)
      a.send(2, Uint8Array.of(1))
      expect(await messages(b, 1)).toEqual([[1, 1]])
      // A log that no Vertex wrote ends the room, not the process.
      const forged = await one.rooms.create(2)
      server.cli('RPUSH', `vertex:room:{${forged}}:log`, 'no entry')
      expect(await reasonOf(two.rooms.join(forged, label(1), 5000))).toBe('connection_lost')
    })
  },
)
