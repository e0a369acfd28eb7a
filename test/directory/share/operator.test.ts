import { rmSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  decodeError,
  decodeFetched,
  decodeResponse,
  decodeShared,
  decodeStatus,
  decodeTopology,
  encodeDeleteRequest,
  encodeEvent,
  encodeFetchRequest,
  encodeRegistration,
  encodeReplication,
  encodeRequest,
  encodeShareRequest,
  operations,
  type Registration,
  type ShareEvent,
} from '@vertex/directory/share'
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest'
import {
  createLogger,
  resyncPeer,
  ResyncStopped,
  serveShares,
  type DirectoryServer,
} from '../../../src/compose/index.js'
import { operatorRoutes } from '../../../src/directory/share/operator.js'
import { Replication } from '../../../src/directory/share/replication/index.js'
import { ShareStore } from '../../../src/directory/share/store.js'
import { ShareTopology } from '../../../src/directory/share/topology.js'
import { defaultShareConfig, topologyOf, type ShareConfig } from '../../../src/share-config.js'
import type { Database } from '../../../src/store/index.js'
import { StorageUnavailable } from '../../../src/vault/ports.js'
import { engines } from '../../store/engines.js'
import { freePort } from '../../support/server.js'
import { contactPayload } from './payloads.js'

const token = 'a token that two servers share'
const folder = mkdtempSync(join(tmpdir(), 'vertex-share-operator-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const logged: string[] = []
const logger = createLogger('info', { write: (line) => logged.push(line) })
const servers: DirectoryServer[] = []
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop()
  logged.length = 0
})

const configOf = (database: Database, more: Partial<ShareConfig> = {}): ShareConfig => ({
  ...defaultShareConfig,
  db: database.kind === 'postgres' ? database.url : join(database.dataDir, 'shares.db'),
  ratePerMinute: 0,
  ...more,
})

/** One server, and those who ask it. */
async function start(config: ShareConfig, port = 0) {
  const server = await serveShares({ host: '127.0.0.1', port }, config, logger)
  servers.push(server)
  const post = async (path: string, body: Uint8Array) => {
    const response = await fetch(`${server.url}${path}`, {
      method: 'POST',
      body: Buffer.from(body),
    })
    expect([response.status, response.headers.get('content-type')]).toEqual([
      200,
      'application/octet-stream',
    ])
    return new Uint8Array(await response.arrayBuffer())
  }
  const ask = async (path: string, body: Uint8Array) => {
    const answer = decodeResponse(await post(path, body))
    const { status, operation, tail } = answer
    return {
      status,
      operation,
      said: status === 0 ? '' : decodeError(answer.body).message,
      body: answer.body,
      hasTopology: tail.length > 0,
    }
  }
  const get = async (path: string) => {
    const response = await fetch(`${server.url}${path}`)
    expect(response.status).toBe(200)
    return new Uint8Array(await response.arrayBuffer())
  }
  return {
    url: server.url,
    stop: () => servers.splice(servers.indexOf(server), 1)[0]!.stop(),
    post,
    ask,
    status: async () => decodeStatus(await get('/v1/status')),
    topology: async () => decodeTopology(await get('/v1/topology')),
    share: async (maxFetches = 1) => {
      const payload = contactPayload()
      const { body } = await ask(
        '/v1/share',
        encodeShareRequest({ ttlSeconds: 0, maxFetches, payload }),
      )
      return { payload, ...decodeShared(body) }
    },
    take: (code: string) => ask('/v1/share', encodeFetchRequest(code)),
  }
}

describe.each(engines)('a server of share codes on $name', (engine) => {
  describe.skipIf(engine.missing !== undefined)('for its operator', () => {
    afterAll(() => engine.cleanUp(), 180_000)

    it('says which servers there are, and how much it has', async () => {
      const server = await start(configOf(await engine.create(), { serverId: 7 }))
      const { code } = await server.share(2)
      await server.take(code)
      await server.take('77000000000000')
      const topology = await server.topology()
      expect(topology).toEqual({
        cluster: 'default',
        version: 1n,
        servers: [
          { id: 7, status: 'active', lastSeen: undefined, url: 'http://127.0.0.1:8089/v1/share' },
        ],
        routes: [{ owner: 7, primary: 7, failovers: [7] }],
      })
      expect(code).toMatch(/^77\d{12}$/)
      const { segmentBytes, ...status } = await server.status()
      expect(status).toEqual({
        created: 1n,
        fetched: 1n,
        deleted: 0n,
        expired: 0n,
        misses: 1n,
        live: 1n,
        replicationPending: 0n,
        replicationLastSequence: 0n,
      })
      expect(segmentBytes).toBeGreaterThan(0n)
      for (const path of ['/v1/topology', '/v1/status']) {
        const response = await fetch(`${server.url}${path}`)
        expect(response.headers.get('connection')).toBe('close')
        expect(response.headers.get('content-type')).toBe('application/octet-stream')
      }
    })

    it.each([
      ['POST', '/v1/topology'],
      ['POST', '/v1/status'],
      ['GET', '/v1/replicate'],
      ['GET', '/v1/topology/register'],
      ['PUT', '/v1/replicate'],
      ['GET', '/v1/topology/'],
      ['GET', '/v1/status/x'],
    ])('answers %s %s as the original does', async (method, path) => {
      const server = await start(configOf(await engine.create()))
      const response = await fetch(`${server.url}${path}`, { method })
      expect([response.status, await response.text()]).toEqual([404, 'not found'])
    })

    describe('to whom others report', () => {
      const registration: Registration = {
        cluster: 'prod',
        id: 1,
        url: 'https://b.example/v1/share',
        status: 'standby',
        token: 'topology',
      }
      const config = { cluster: 'prod', topologyToken: 'topology' }

      it('takes them into its topology, on every server of one database', async () => {
        const database = await engine.create()
        const server = await start(configOf(database, config))
        const before = Date.now()
        const answer = await server.post('/v1/topology/register', encodeRegistration(registration))
        const topology = decodeTopology(answer)
        expect(topology).toMatchObject({
          version: 2n,
          servers: [{ id: 0 }, { id: 1, url: registration.url, status: 'standby' }],
          routes: [
            { owner: 0, primary: 0, failovers: [1] },
            { owner: 1, primary: 1, failovers: [0] },
          ],
        })
        expect(topology.servers[1]!.lastSeen).toBeGreaterThanOrEqual(before)
        // From then on codes name it.
        expect((await server.share()).code).toMatch(/^01/)
        if (database.kind === 'sqlite') await server.stop()
        const other = await start(configOf(database, config))
        expect((await other.topology()).servers).toHaveLength(2)
      })

      it('leaves out those that are silent', async () => {
        const server = await start(configOf(await engine.create(), { ...config, staleAfterMs: 1 }))
        await server.post('/v1/topology/register', encodeRegistration(registration))
        await new Promise((resolve) => setTimeout(resolve, 5))
        expect((await server.topology()).servers.map(({ id }) => id)).toEqual([0])
      })

      it.each<[string, Partial<Registration>, string]>([
        ['of another cluster', { cluster: 'other' }, 'topology cluster id mismatch'],
        ['without a URL', { url: '' }, 'topology registration missing required fields'],
        ['without a token', { token: '' }, 'topology registration missing required fields'],
        ['with another token', { token: 'topologz' }, 'topology registration token invalid'],
        ['with part of the token', { token: 'topo' }, 'topology registration token invalid'],
        ['with no web URL', { url: 'file:///etc/passwd' }, 'topology registration url invalid'],
        ['with a broken URL', { url: 'http://a\0' }, 'topology registration url invalid'],
        ['in its own name', { id: 0 }, 'server id 0 is taken'],
        ['of a server that there cannot be', { id: 36 }, 'InvalidField'],
      ])('refuses one %s', async (_, wrong, said) => {
        const server = await start(configOf(await engine.create(), config))
        const body = encodeRegistration({ ...registration, ...wrong })
        expect(await server.ask('/v1/topology/register', body)).toMatchObject({
          status: 10,
          operation: 1,
          said,
          hasTopology: false,
        })
        expect((await server.topology()).servers).toHaveLength(1)
      })

      it('refuses everybody where there is no token', async () => {
        const server = await start(configOf(await engine.create(), { cluster: 'prod' }))
        const body = encodeRegistration(registration)
        expect(await server.ask('/v1/topology/register', body)).toMatchObject({
          status: 10,
          said: 'topology registration token invalid',
        })
        expect(await server.ask('/v1/topology/register', new Uint8Array())).toMatchObject({
          status: 10,
          said: 'TooShort',
        })
      })

      it('reports to them in turn, and they know each other', async () => {
        const [portA, portB] = [await freePort(), await freePort()]
        const at = (port: number) => `http://127.0.0.1:${port}/v1/share`
        const both = {
          ...config,
          heartbeatMs: 1000,
          topologyServers: [
            { id: 0, url: at(portA), status: 'active' },
            { id: 1, url: at(portB), status: 'active' },
          ],
        } as const
        const a = await start(configOf(await engine.create(), { ...both, serverId: 0 }), portA)
        const b = await start(configOf(await engine.create(), { ...both, serverId: 1 }), portB)
        await vi.waitFor(
          async () => {
            expect((await a.topology()).servers[1]!.lastSeen).toBeDefined()
            expect((await b.topology()).servers[0]!.lastSeen).toBeDefined()
          },
          { timeout: 15_000, interval: 100 },
        )
      })
    })

    describe('to whom others tell', () => {
      const event = (code: string): ShareEvent => ({
        kind: 'put',
        code,
        deleteTokenHash: new Uint8Array(16),
        payload: contactPayload(),
        expiresAt: Date.now() + 900_000,
        maxFetches: 1,
        fetches: 0,
      })
      const told = (code: string, sequence = 1n, by = token) =>
        encodeReplication(by, { origin: 1, epoch: 1n, sequence }, encodeEvent(event(code)))

      it('has what they share, and says so', async () => {
        const config = { replicationToken: token }
        const server = await start(configOf(await engine.create(), config))
        expect(await server.ask('/v1/replicate', told('10123456789012', 5n))).toEqual({
          status: 0,
          operation: operations.replicate,
          said: '',
          body: new Uint8Array(),
          hasTopology: true,
        })
        expect(await server.status()).toMatchObject({ live: 1n, replicationLastSequence: 5n })
        const { status, body } = await server.take('10123456789012')
        expect(status).toBe(0)
        expect(decodeFetched(body).remaining).toBe(0)
        // Once more, and under another number: it was had here.
        await server.ask('/v1/replicate', told('10123456789012', 5n))
        await server.ask('/v1/replicate', told('10123456789012', 6n))
        expect((await server.take('10123456789012')).status).toBe(5)
      })

      it('takes nothing of who does not know its token, or has none', async () => {
        const open = await start(configOf(await engine.create()))
        const closed = await start(configOf(await engine.create(), { replicationToken: token }))
        for (const server of [open, closed]) {
          expect(await server.ask('/v1/replicate', told('10123456789012', 1n, ''))).toMatchObject({
            status: 12,
            operation: operations.replicate,
            said: 'replication unauthorized',
            hasTopology: true,
          })
          expect(await server.status()).toMatchObject({ live: 0n, replicationLastSequence: 0n })
        }
      })

      it('answers what is no event', async () => {
        const server = await start(
          configOf(await engine.create(), { replicationToken: token, maxPayloadBytes: 8192 }),
        )
        const replicate = (body: Uint8Array) => server.ask('/v1/replicate', body)
        expect(await replicate(new Uint8Array())).toMatchObject({
          status: 1,
          operation: 1,
          said: 'TooShort',
          hasTopology: false,
        })
        for (const body of [
          encodeFetchRequest('00123456789012'),
          encodeDeleteRequest({ code: '00123456789012', deleteToken: new Uint8Array(32) }),
        ])
          expect(await replicate(body)).toMatchObject({
            status: 3,
            said: 'replication endpoint accepts only replication operations',
            hasTopology: false,
          })
        const nothing = encodeRequest({ operation: operations.replicate, body: new Uint8Array(9) })
        expect(await replicate(nothing)).toMatchObject({
          status: 1,
          operation: operations.replicate,
          said: 'payload invalid: BadMagic',
        })
        expect(await replicate(new Uint8Array(8192 + 129))).toMatchObject({
          status: 4,
          operation: 1,
          said: 'too large',
        })
        expect(await server.ask('/v1/share', told('10123456789012'))).toMatchObject({ status: 3 })
      })

      it('counts them with everybody: the 41st at once is too much', async () => {
        const config = { replicationToken: token, ratePerMinute: 120 }
        const server = await start(configOf(await engine.create(), config))
        for (let i = 0; i < 20; i++) await server.take('00000000000000')
        for (let i = 0; i < 20; i++)
          expect((await server.ask('/v1/replicate', new Uint8Array())).status).toBe(1)
        const body = told('10123456789012')
        expect(await server.ask('/v1/replicate', body)).toMatchObject({ status: 9, operation: 1 })
        // These are not counted.
        await server.topology()
        await server.status()
      })
    })

    it.each([
      [['127.0.0.0/8'], 0],
      [[], 9],
    ])('behind proxies %j counts clients by themselves: %s', async (trustedProxies, expected) => {
      const server = await start(
        configOf(await engine.create(), { trustedProxies, ratePerMinute: 1, rateBurst: 1 }),
      )
      const share = encodeShareRequest({ ttlSeconds: 0, maxFetches: 1, payload: contactPayload() })
      const statuses = []
      for (const client of ['192.0.2.1', '192.0.2.2']) {
        const headers = { 'X-Forwarded-For': client }
        const init = { method: 'POST', body: Buffer.from(share), headers }
        const answer = await fetch(`${server.url}/v1/share`, init)
        statuses.push(decodeResponse(new Uint8Array(await answer.arrayBuffer())).status)
      }
      expect(statuses).toEqual([0, expected])
    })

    it('pairs with another: a share of one is had at the other, once in all', async () => {
      const [portA, portB] = [await freePort(), await freePort()]
      const peer = (port: number) => [`http://127.0.0.1:${port}/v1/replicate`]
      const routes = [
        { owner: 0, primary: 0, failovers: [1] },
        { owner: 1, primary: 1, failovers: [0] },
      ]
      const topologyServers = [portA, portB].map((port, id) => {
        const url = `http://127.0.0.1:${port}/v1/share`
        return { id, url, status: 'active' as const }
      })
      const config = { replicationToken: token, topologyServers, routes }
      const first = await engine.create()
      const a = await start(
        configOf(first, { ...config, serverId: 0, peerUrls: peer(portB) }),
        portA,
      )
      const b = await start(
        configOf(await engine.create(), { ...config, serverId: 1, peerUrls: peer(portA) }),
        portB,
      )
      const { code, payload } = await a.share()
      await vi.waitFor(async () => expect((await b.status()).live).toBe(1n), { timeout: 10_000 })
      const { body } = await b.take(code)
      expect(decodeFetched(body).payload).toEqual(payload)
      await vi.waitFor(async () => expect((await a.status()).live).toBe(0n), { timeout: 10_000 })
      expect((await a.take(code)).status).toBe(5)
      await vi.waitFor(async () => {
        expect(await a.status()).toMatchObject({ replicationPending: 0n })
        expect(await b.status()).toMatchObject({ replicationPending: 0n })
      })
      // Neither codes nor addresses of peers with their secrets are in the log.
      expect(logged.join('')).not.toContain(code)
    })

    it.each([
      ['its own', '07123456789012', {}, 5, true],
      ['one whose failover it is', '70123456789012', {}, 5, true],
      ['one of an owner it was promoted for', '78123456789012', { promotedOwners: [7] }, 5, true],
      ['a foreign one', '78123456789012', {}, 5, false],
    ] as const)('in strict mode answers for %s', async (_, code, more, missing, serves) => {
      const server = await start(
        configOf(await engine.create(), { replicationToken: token, strictLocator: true, ...more }),
      )
      const body = encodeEvent({
        kind: 'put',
        code,
        deleteTokenHash: new Uint8Array(16),
        payload: contactPayload(),
        expiresAt: Date.now() + 900_000,
        maxFetches: 1,
        fetches: 0,
      })
      const number = { origin: 7, epoch: 1n, sequence: 1n }
      await server.ask('/v1/replicate', encodeReplication(token, number, body))
      expect((await server.status()).live).toBe(1n)
      expect((await server.take(code)).status).toBe(serves ? 0 : missing)
    })

    it('is strict by itself, and not among nodes that share a database', async () => {
      const database = await engine.create()
      const server = await start(configOf(database, { serverId: 0 }))
      const { code } = await server.share()
      if (database.kind === 'sqlite') {
        await server.stop()
        const other = await start(configOf(database, { serverId: 1 }))
        expect((await other.take(code)).status).toBe(5)
      } else {
        const other = await start(configOf(database, { serverId: 1 }))
        const strict = await start(configOf(database, { serverId: 2, strictLocator: true }))
        expect((await strict.take(code)).status).toBe(5)
        expect((await other.take(code)).status).toBe(0)
      }
    })

    it.each([true, false])('tells a peer of everything again, running: %s', async (running) => {
      const portB = await freePort()
      const peerUrl = `http://127.0.0.1:${portB}/v1/replicate`
      const config = configOf(await engine.create(), { replicationToken: token })
      const a = await start(config)
      const shares = [await a.share(2), await a.share(), await a.share()]
      await a.take(shares[0]!.code)
      await a.take(shares[2]!.code)
      if (!running) await a.stop()

      const failed = resyncPeer(config, peerUrl, logger, () => undefined)
      await expect(failed).rejects.toThrow(ResyncStopped)
      const b = await start(
        configOf(await engine.create(), {
          serverId: 1,
          replicationToken: token,
          promotedOwners: [0],
        }),
        portB,
      )
      expect(await resyncPeer(config, peerUrl, logger, () => undefined)).toBe(2)
      expect(await b.status()).toMatchObject({ live: 2n })
      const { body } = await b.take(shares[0]!.code)
      expect(decodeFetched(body)).toMatchObject({ remaining: 0, payload: shares[0]!.payload })
      expect((await b.take(shares[1]!.code)).status).toBe(0)
    })
  })
})

describe('a server whose database does not answer', () => {
  const away = () => Promise.reject(new StorageUnavailable())
  const store = { select: away, change: away, inUnit: away, inLog: away, inChain: away }
  const now = () => Date.now()
  const settings = {
    serverId: 0,
    configured: topologyOf(defaultShareConfig),
    makesRoutes: true,
    staleAfterMs: 0,
    token: 'topology',
    promotedOwners: [],
    strict: true,
  }
  const replication = new Replication(
    store,
    { serverId: 0, token, peers: [], maxTtlMs: 1 },
    away,
    now,
    () => undefined,
  )
  const shares = new ShareStore(store, { now, mailLimits: { perEmail: 0, perSource: 0 } })
  const routes = operatorRoutes({
    shares,
    topology: new ShareTopology(store, settings, now),
    peers: { token, replication, replicas: replication.replicas(away) },
    bytesKept: away,
    admit: () => true,
  })
  const ask = (path: string, body: Uint8Array = new Uint8Array()) =>
    routes
      .find((route) => route.path === path)!
      .handle({
        ...{ body, source: '192.0.2.1', method: 'POST', params: {}, query: '', headers: {} },
        countWrite: () => Promise.resolve(),
      })
  const inEnvelope = async (path: string, body: Uint8Array) => {
    const answer = await ask(path, body)
    const { status, operation } = decodeResponse(answer.body as Uint8Array)
    return [answer.status, answer.headers, status, operation]
  }

  it('says so, and when to come back', async () => {
    const event = encodeEvent({ kind: 'tombstone', code: '00123456789012' })
    const replicate = encodeReplication(token, { origin: 1, epoch: 1n, sequence: 1n }, event)
    const wait = { 'Retry-After': '2' }
    expect(await inEnvelope('/v1/replicate', replicate)).toEqual([200, wait, 10, 4])
    const registration = encodeRegistration({
      ...{ cluster: 'default', id: 1, url: 'https://b.example/v1/share' },
      ...{ status: 'active', token: 'topology' },
    })
    expect(await inEnvelope('/v1/topology/register', registration)).toEqual([200, wait, 10, 1])
    await expect(ask('/v1/status')).rejects.toThrow(StorageUnavailable)
  })

  it('still says which servers there are', async () => {
    const { status, body } = await ask('/v1/topology')
    expect(status).toBe(200)
    expect(decodeTopology(body as Uint8Array).servers).toHaveLength(1)
  })
})
