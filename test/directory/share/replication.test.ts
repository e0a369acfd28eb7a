import {
  decodeReplication,
  decodeRequest,
  encodeError,
  encodeEvent,
  encodeReplication,
  encodeResponse,
  operations,
  ShareFault,
  statuses,
  type ShareEvent,
} from '@vertex/directory/share'
import * as fc from 'fast-check'
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest'
import { directoryTables } from '../../../src/compose/directory.js'
import {
  Replication,
  type ReplicationLogEvent,
  type ReplicationSettings,
} from '../../../src/directory/share/replication/index.js'
import { isAuthentic } from '../../../src/directory/share/replication/replicas.js'
import { ShareStore, type NewShare } from '../../../src/directory/share/store.js'
import { openUnsealed, type Database, type UnsealedStore } from '../../../src/store/index.js'
import { engines, sql } from '../../store/engines.js'
import { contactPayload } from './payloads.js'

const TTL = 900_000
const start = 1_800_000_000_000
const token = 'a token that two servers share'

/** Servers that tell each other, without a network between. */
class Net {
  readonly clock = { at: start }
  readonly posted: { url: string; body: Uint8Array }[] = []
  readonly #servers = new Map<string, (body: Uint8Array) => Promise<Uint8Array>>()

  readonly post = async (url: string, body: Uint8Array) => {
    const server = this.#servers.get(url)
    if (server === undefined) throw Object.assign(new Error('refused'), { code: 'ECONNREFUSED' })
    this.posted.push({ url, body })
    return server(body)
  }
  up(url: string, server: (body: Uint8Array) => Promise<Uint8Array>) {
    this.#servers.set(url, server)
  }
  down(url: string) {
    this.#servers.delete(url)
  }
}

describe.each(engines)('servers that tell each other, on $name', (engine) => {
  describe.skipIf(engine.missing !== undefined)('of their shares', () => {
    const opened: { store: UnsealedStore; replication: Replication }[] = []
    const close = async () => {
      for (const { store, replication } of opened.splice(0)) {
        await replication.outbox.end()
        await store.close()
      }
    }
    afterEach(close)
    afterAll(() => engine.cleanUp(), 180_000)

    const begin = async (
      net: Net,
      serverId: number,
      peers: readonly string[],
      more: { database?: Database } & Partial<ReplicationSettings> = {},
    ) => {
      const { database = await engine.create(), ...others } = more
      const store = await openUnsealed(database, directoryTables)
      const log: ReplicationLogEvent[] = []
      const now = () => net.clock.at
      const replication = new Replication(
        store,
        { serverId, token, peers, maxTtlMs: TTL, ...others },
        net.post,
        now,
        (event) => log.push(event),
      )
      opened.push({ store, replication })
      const mailLimits = { perEmail: 5, perSource: 30 }
      const shares = new ShareStore(store, { now, mailLimits, tell: replication.tell })
      const replicas = replication.replicas((unit, event) => shares.apply(unit, event))
      const url = `https://${serverId}.example/v1/replicate`
      net.up(url, async (body) => {
        const request = decodeReplication(decodeRequest(body).body)
        if (!isAuthentic(token, request))
          return encodeError(statuses.replicationUnauthorized, operations.replicate, 'no')
        await replicas.apply(request)
        return encodeResponse(statuses.success, operations.replicate, new Uint8Array())
      })
      const share = (over: Partial<NewShare> = {}) =>
        shares.create({
          locator: { primary: serverId, secondary: 1 - serverId },
          payload: contactPayload(),
          ttlMs: TTL,
          maxFetches: 1,
          ...over,
        })
      return { database, store, shares, share, replication, replicas, log, url }
    }
    const urls = ['https://0.example/v1/replicate', 'https://1.example/v1/replicate'] as const
    const pair = async () => {
      const net = new Net()
      const a = await begin(net, 0, [urls[1]])
      const b = await begin(net, 1, [urls[0]])
      return { net, a, b }
    }

    it('has at both what was shared at one, and gives it out once in all', async () => {
      const { a, b } = await pair()
      const payload = contactPayload()
      const { code, expiresAt } = await a.share({ payload })
      expect(await a.replication.outbox.pending()).toBe(1)
      await a.replication.outbox.deliver()
      expect(await a.replication.outbox.pending()).toBe(0)
      expect(await b.shares.take(code)).toMatchObject({ payload: Buffer.from(payload), expiresAt })
      await b.replication.outbox.deliver()
      expect(await a.shares.take(code)).toBeUndefined()
      expect(await a.replication.outbox.lastSequence()).toBe(1n)
      expect(await a.replicas.lastSequence()).toBe(1n)
    })

    it('tells it soon, without being asked to', async () => {
      const { a, b } = await pair()
      const { code } = await a.share({ maxFetches: 2 })
      await vi.waitFor(async () => expect(await b.shares.live()).toBe(1))
      await a.shares.take(code)
      await vi.waitFor(async () => {
        const [row] = await sql(b.database, 'SELECT fetches FROM share_codes')
        expect(Number(row?.['fetches'])).toBe(1)
      })
    })

    it('deletes at both, with the token that one of them gave', async () => {
      const { a, b } = await pair()
      const { code, deleteToken } = await a.share()
      await a.replication.outbox.deliver()
      expect(await b.shares.delete(code, deleteToken)).toBe('done')
      await b.replication.outbox.deliver()
      expect(await a.shares.live()).toBe(0)
    })

    it('keeps what a peer could not be told, over a restart, and then tells it in order', async () => {
      const { net, a, b } = await pair()
      net.down(urls[1])
      const { code } = await a.share({ maxFetches: 3 })
      await a.shares.take(code)
      await a.replication.outbox.deliver()
      await a.shares.take(code)
      await a.replication.outbox.deliver()
      expect(a.log).toEqual([
        { event: 'share_peer_failed', peer: '1.example', error: 'ECONNREFUSED' },
      ])
      expect(await a.replication.outbox.pending()).toBe(3)
      const { database } = a
      const { database: other } = b
      await close()

      const again = await begin(net, 0, [urls[1]], { database })
      const peer = await begin(net, 1, [urls[0]], { database: other })
      await again.replication.outbox.deliver()
      expect(await again.replication.outbox.pending()).toBe(0)
      const sequences = net.posted.map(({ body }) => decodeReplication(decodeRequest(body).body))
      expect(sequences.map(({ sequence }) => sequence)).toEqual([1n, 2n, 3n])
      expect(new Set(sequences.map(({ epoch }) => epoch)).size).toBe(1)
      expect((await peer.shares.take(code))?.remaining).toBe(0)
    })

    it('says when a peer answers again', async () => {
      const { net, a, b } = await pair()
      net.down(urls[1])
      await a.share()
      await a.replication.outbox.deliver()
      net.up(urls[1], () => Promise.reject(new ShareFault('TooShort')))
      await a.replication.outbox.deliver()
      net.up(urls[1], () =>
        Promise.resolve(encodeResponse(statuses.success, operations.replicate, new Uint8Array())),
      )
      await a.replication.outbox.deliver()
      expect(a.log.map(({ event }) => event)).toEqual(['share_peer_failed', 'share_peer_answers'])
      expect(b.log).toEqual([])
    })

    it.each([
      ['rateLimited', true],
      ['storeUnavailable', true],
      ['replicationUnauthorized', true],
      ['malformedRequest', false],
      ['unknownOperation', false],
      ['payloadTooLarge', false],
    ] as const)('keeps an event that was answered with %s: %s', async (status, kept) => {
      const { net, a } = await pair()
      net.up(urls[1], () => Promise.resolve(encodeError(statuses[status], 4, 'no')))
      await a.share()
      await a.replication.outbox.deliver()
      expect(await a.replication.outbox.pending()).toBe(kept ? 1 : 0)
      expect(a.log[0]?.event).toBe(kept ? 'share_peer_failed' : 'share_event_dropped')
    })

    it('tells each of several peers, and one that is silent keeps no other waiting', async () => {
      const net = new Net()
      const a = await begin(net, 0, [urls[1], 'https://2.example/v1/replicate'])
      const b = await begin(net, 1, [])
      await a.share()
      await a.share()
      await a.replication.outbox.deliver()
      expect([await a.replication.outbox.pending(), await b.shares.live()]).toEqual([2, 2])
      const c = await begin(net, 2, [])
      await a.replication.outbox.deliver()
      expect([await a.replication.outbox.pending(), await c.shares.live()]).toEqual([0, 2])
      expect(net.posted.filter(({ url }) => url === urls[1])).toHaveLength(2)
    })

    it('says nothing of what was not kept', async () => {
      const { a, b } = await pair()
      const failing = a.store.inUnit(async (unit) => {
        await a.replication.tell(unit, { kind: 'tombstone', code: '01123456789012' })
        throw new Error('no')
      })
      await expect(failing).rejects.toThrow('no')
      await a.replication.outbox.deliver()
      expect(await b.replicas.lastSequence()).toBe(0n)
    })

    it('drops what is of no use any more', async () => {
      const { net, a } = await pair()
      net.down(urls[1])
      await a.share()
      await a.replication.outbox.deliver()
      await a.share()
      net.clock.at += TTL + 300_001
      await a.replication.prune()
      expect(await a.replication.outbox.pending()).toBe(0)
      expect(await sql(a.database, 'SELECT * FROM share_deliveries')).toEqual([])
    })

    it('applies an event once, also after a restart', async () => {
      const { net, a, b } = await pair()
      const { code } = await a.share({ maxFetches: 2 })
      await a.replication.outbox.deliver()
      const { body } = net.posted[0]!
      await b.shares.take(code)
      await b.shares.take(code)
      await net.post(urls[1], body)
      expect(await b.shares.live()).toBe(0)
      const { database } = b
      await close()
      const again = await begin(net, 1, [], { database })
      await net.post(urls[1], body)
      expect(await again.shares.live()).toBe(0)
    })

    const put = (code: string, fetches = 0, maxFetches = 2): ShareEvent => ({
      kind: 'put',
      code,
      deleteTokenHash: new Uint8Array(16),
      payload: contactPayload(),
      expiresAt: start + TTL,
      maxFetches,
      fetches,
    })

    it('does not bring back what was had here, whatever another one says', async () => {
      const { a, b } = await pair()
      const { code } = await a.share()
      await a.replication.outbox.deliver()
      expect(await b.shares.take(code)).toBeDefined()
      // As a server does that was not told yet, and is asked to send everything again.
      const again = { origin: 0, epoch: BigInt(start), sequence: 2n, event: put(code) }
      expect(await b.replicas.apply(again)).toBe(true)
      expect(await b.shares.take(code)).toBeUndefined()
    })

    it('does not bring back what may live longer at the other one, as long as it does there', async () => {
      const net = new Net()
      const { shares, replicas, replication, database } = await begin(net, 1, [])
      const endsAt = start + 8 * TTL
      const longer = (code: string) => ({ ...put(code, 0, 1), expiresAt: endsAt }) as ShareEvent
      let sequence = 0n
      const told = (event: ShareEvent) =>
        replicas.apply({ origin: 0, epoch: 1n, sequence: ++sequence, event })
      const codes = ['01000000000001', '01000000000002', '01000000000003', '01000000000004']
      const [taken, gone, later, had] = codes as [string, string, string, string]
      for (const code of [taken, gone, had]) await told(longer(code))
      expect(await shares.take(taken)).toBeDefined()
      await told({ kind: 'tombstone', code: gone })
      await told({ kind: 'tombstone', code: later })
      await told(longer(later))
      await told({ kind: 'fetches', code: had, fetches: 1 })
      net.clock.at += 2 * TTL
      await replication.prune()
      for (const code of codes) await told(longer(code))
      expect(await shares.live()).toBe(0)
      net.clock.at = endsAt + 300_001
      await replication.prune()
      expect(await sql(database, 'SELECT * FROM share_marks')).toEqual([])
    })

    it('comes to the same, in whatever order events come, twice and with some missing', async () => {
      const { b } = await pair()
      let number = 0
      await fc.assert(
        fc.asyncProperty(fc.shuffledSubarray([0, 1, 2, 3], { minLength: 2 }), async (order) => {
          const code = `01${String(++number).padStart(12, '0')}`
          const events: ShareEvent[] = [
            put(code, 0, 3),
            { kind: 'fetches', code, fetches: 1 },
            { kind: 'fetches', code, fetches: 2 },
            { kind: 'tombstone', code },
          ]
          const epoch = BigInt(number)
          for (const i of [...order, ...order])
            await b.replicas.apply({
              origin: 0,
              epoch,
              sequence: BigInt(i + 1),
              event: events[i]!,
            })
          const gone = order.includes(3) || !order.includes(0)
          const used = order.includes(2) ? 2 : order.includes(1) ? 1 : 0
          const taken = await b.shares.take(code)
          expect(taken?.remaining).toBe(gone ? undefined : 3 - used - 1)
        }),
        { numRuns: 25 },
      )
    })

    it('knows what is missing', async () => {
      const { b } = await pair()
      const event: ShareEvent = { kind: 'tombstone', code: '01123456789012' }
      for (const sequence of [1n, 4n, 3n, 2n])
        expect(await b.replicas.apply({ origin: 0, epoch: 1n, sequence, event })).toBe(true)
      expect(b.log).toEqual([{ event: 'share_events_missing', origin: 0, missing: 2 }])
      expect(await sql(b.database, 'SELECT epoch, applied FROM share_origins')).toEqual([
        { epoch: '1', applied: '1-4' },
      ])
    })

    it.each([
      ['that is no payload', { payload: new Uint8Array(12) }],
      ['of an address that is none', { email: 'alice' }],
      ['whose code no database holds', { code: '0112345678901\0' }],
      ['whose code is none', { code: '0'.repeat(4000) }],
    ])('refuses a share %s, and does not count its event', async (_, wrong) => {
      const { b } = await pair()
      const event = { ...put('01123456789012'), ...wrong }
      const numbered = { origin: 0, epoch: 1n, sequence: 1n, event }
      await expect(b.replicas.apply(numbered)).rejects.toThrow(ShareFault)
      expect(await b.replicas.lastSequence()).toBe(0n)
    })

    it('holds the largest numbers that there are', async () => {
      const { b } = await pair()
      const most = (1n << 64n) - 1n
      const event = { ...put('01123456789012'), expiresAt: 2 ** 64 } as ShareEvent
      expect(await b.replicas.apply({ origin: 255, epoch: most, sequence: most, event })).toBe(true)
      expect(await b.replicas.lastSequence()).toBe(most)
      expect(await b.shares.live()).toBe(1)
    })

    it('takes nothing from one who does not know the token', () => {
      const numbered = { origin: 0, epoch: 1n, sequence: 1n }
      const event = encodeEvent({ kind: 'tombstone', code: '01123456789012' })
      const request = decodeReplication(
        decodeRequest(encodeReplication('another', numbered, event)).body,
      )
      expect(isAuthentic(token, request)).toBe(false)
      expect(isAuthentic('another', request)).toBe(true)
      expect(isAuthentic('another', { ...request, authentication: new Uint8Array() })).toBe(false)
    })

    it('keeps its epoch, and goes on to a later one only', async () => {
      const { net, a } = await pair()
      const { database } = a
      await a.share()
      await a.replication.outbox.deliver()
      await close()
      const epochs: [bigint | undefined, bigint, bigint][] = [
        [undefined, BigInt(start), 2n],
        [5n, BigInt(start), 3n],
        [BigInt(start) + 9n, BigInt(start) + 9n, 1n],
        [undefined, BigInt(start) + 9n, 2n],
      ]
      for (const [originEpoch, epoch, sequence] of epochs) {
        net.clock.at += 1000
        await begin(net, 1, [])
        const again = await begin(net, 0, [urls[1]], { database, originEpoch })
        await again.share()
        await again.replication.outbox.deliver()
        const last = decodeReplication(decodeRequest(net.posted.at(-1)!.body).body)
        expect([last.epoch, last.sequence]).toEqual([epoch, sequence])
        await close()
      }
    })

    it.skipIf(engine.name === 'SQLite')('is told once by several replicas', async () => {
      const { net, a } = await pair()
      const others = [
        await begin(net, 0, [urls[1]], { database: a.database }),
        await begin(net, 0, [urls[1]], { database: a.database }),
      ]
      const all = [a, ...others]
      const made = await Promise.all(
        Array.from({ length: 60 }, (_, i) => all[i % 3]!.share({ maxFetches: 1 })),
      )
      await Promise.all(all.map(({ replication }) => replication.outbox.deliver()))
      await vi.waitFor(async () => {
        await Promise.all(all.map(({ replication }) => replication.outbox.deliver()))
        expect(await a.replication.outbox.pending()).toBe(0)
      })
      const told = net.posted.map(({ body }) => decodeReplication(decodeRequest(body).body))
      expect(told.map(({ sequence }) => sequence)).toEqual(made.map((_, i) => BigInt(i + 1)))
      expect(new Set(told.map(({ event }) => event.code))).toEqual(
        new Set(made.map(({ code }) => code)),
      )
    })

    it.skipIf(engine.name === 'SQLite')('is told by nodes with ids of their own', async () => {
      const net = new Net()
      const peer = 'https://9.example/v1/replicate'
      const c = await begin(net, 9, [])
      const a = await begin(net, 0, [peer])
      const b = await begin(net, 1, [peer], { database: a.database })
      for (const node of [a, b, a, b, b]) {
        await node.share()
        // One of them numbers what the other made, and tells what the other has numbered.
        net.down(peer)
        await a.replication.outbox.deliver()
        await b.share()
        await b.replication.outbox.deliver()
      }
      await begin(net, 9, [], { database: c.database })
      for (const node of [b, a]) await node.replication.outbox.deliver()
      expect(await a.replication.outbox.pending()).toBe(0)
      expect(await c.shares.live()).toBe(10)
      const told = net.posted.map(({ body }) => decodeReplication(decodeRequest(body).body))
      expect(new Set(told.map(({ origin }) => origin))).toEqual(new Set([0, 1]))
      const numbers = told.map(({ origin, sequence }) => `${origin}/${sequence}`)
      expect(new Set(numbers).size).toBe(10)
    })

    it('is taken over from one that has died over it', async () => {
      const { net, a } = await pair()
      await a.share()
      await a.store.change(
        `INSERT INTO share_peers (peer, holder, held_until) VALUES ($1, 'dead', $2) RETURNING peer`,
        [urls[1], start + 60_000],
      )
      await a.replication.outbox.deliver()
      expect(net.posted).toEqual([])
      net.clock.at += 60_000
      await a.replication.outbox.deliver()
      expect(net.posted).toHaveLength(1)
    })
  })
})
