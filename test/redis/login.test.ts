import { randomBytes, randomUUID } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest'
import { startServer, type RunningServer } from '../../demo/server.js'
import { Redis, RedisRefused, RedisUnavailable, type RedisEvent } from '../../src/redis/index.js'
import { loginTo } from '../../src/redis/login.js'
import { makeCertificates } from '../support/key-vault/certificates.js'
import { startKeyVault, type KeyVault } from '../support/key-vault/index.js'
import { missingPostgres, startPostgres, type TestPostgres } from '../support/postgres.js'
import { documentedRights, missingRedis, startRedis, type TestRedis } from '../support/redis.js'
import { buildOnce, freePort } from '../support/server.js'

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

const host = 'redis-vertex.westeurope.redis.azure.net'
const resource = 'https://redis.azure.com'
const oid = randomUUID()
const program = join(import.meta.dirname, '../support/main-with-hosts.mjs')
const rights = documentedRights()

const encoded = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
const tokenOf = (livesS: number) =>
  [
    encoded({ alg: 'none' }),
    encoded({ oid, exp: Math.floor(Date.now() / 1000) + livesS, nonce: randomUUID() }),
    'signature',
  ].join('.')

async function until(what: string, holds: () => boolean | Promise<boolean>, withinMs = 30_000) {
  const giveUp = Date.now() + withinMs
  while (!(await holds())) {
    if (Date.now() > giveUp) throw new Error(`not within ${withinMs} ms: ${what}`)
    await sleep(50)
  }
}

describe('the login to a Redis of Azure', () => {
  const tokenFor = () => Promise.resolve(tokenOf(3600))

  it('is by token where the URL has no password, and by what stands in it elsewhere', () => {
    expect(loginTo(`rediss://${host}:10000`, tokenFor).credentialsProvider).toBeDefined()
    for (const url of [
      `rediss://:key@${host}:10000`,
      'rediss://redis.example.com:6380',
      `rediss://${host}.example.com:10000`,
      'redis://127.0.0.1:6379',
    ])
      expect(loginTo(url, tokenFor)).toEqual({})
    expect(loginTo(`rediss://${host}:10000`, undefined)).toEqual({})
  })

  it('ends with its connection, also while a token is on its way, and outlives one that is no token', async () => {
    vi.useFakeTimers()
    try {
      let asked = 0
      const waiting: ((token: string) => void)[] = []
      const { credentialsProvider } = loginTo(`rediss://${host}:10000`, () => {
        asked++
        return asked === 1
          ? Promise.resolve(tokenOf(20))
          : new Promise((resolve) => waiting.push(resolve))
      })
      if (credentialsProvider?.type !== 'streaming-credentials-provider') throw new Error('none')
      const shown: unknown[] = []
      const [, subscription] = await credentialsProvider.subscribe({
        onNext: (login) => shown.push(login),
        onError: () => undefined,
      })
      await vi.advanceTimersByTimeAsync(15_000)
      waiting.shift()!('no token')
      await vi.advanceTimersByTimeAsync(15_000)
      expect(asked).toBe(3)
      subscription.dispose()
      waiting.shift()!(tokenOf(20))
      await vi.advanceTimersByTimeAsync(60_000)
      expect([asked, shown]).toEqual([3, []])
    } finally {
      vi.useRealTimers()
    }
  })

  it('shows a token to nobody without TLS', () => {
    expect(() => loginTo(`redis://${host}:10000`, tokenFor)).toThrow(RedisRefused)
  })
})

const missing = missingPostgres() ?? missingRedis()
describe.skipIf(missing !== undefined)(
  `a Redis that knows its users${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    let folder: string
    let kv: KeyVault
    let postgres: TestPostgres
    let redis: TestRedis
    let tlsPort: number
    let settings: Record<string, string>
    const running: RunningServer[] = []

    beforeAll(async () => {
      await buildOnce()
      folder = mkdtempSync(join(tmpdir(), 'vertex-redis-'))
      const tls = makeCertificates([host])
      const file = (name: string, text: string) => {
        writeFileSync(join(folder, name), text, { mode: 0o600 })
        return join(folder, name)
      }
      tlsPort = await freePort()
      ;[kv, postgres, redis] = await Promise.all([
        startKeyVault(),
        startPostgres(),
        startRedis([
          ...['--tls-port', String(tlsPort), '--tls-auth-clients', 'no'],
          ...['--tls-cert-file', file('redis.crt', tls.certificate)],
          ...['--tls-key-file', file('redis.key', tls.key)],
          ...['--tls-ca-cert-file', file('redis-ca.crt', tls.authority)],
        ]),
      ])
      const known = kv.env['NODE_EXTRA_CA_CERTS']
      const authorities = [tls.authority, known === undefined ? '' : readFileSync(known, 'utf8')]
      settings = {
        ...kv.env,
        NODE_EXTRA_CA_CERTS: file('authorities.pem', authorities.join('\n')),
        REDIS_URL: `rediss://${host}:${tlsPort}`,
        VERTEX_ADMIN_TOKEN: 'test-admin-token-0123456789abcdef',
        VERTEX_BACKUP_SECRET_FILE: file('backup-secret', randomBytes(32).toString('hex')),
        VERTEX_STORAGE_KEY_FILE: file('storage-key', randomBytes(32).toString('hex')),
        VERTEX_TEST_HOSTS: host,
        VERTEX_TEST_PROGRAM: 'main.js',
      }
    })
    afterEach(() => Promise.all(running.splice(0).map((server) => server.kill())))
    afterAll(async () => {
      await redis.stop()
      await postgres.stop()
      await kv.close()
      rmSync(folder, { recursive: true })
    })

    /** From now on this is the token, and the only one that Redis takes. */
    const tokenIs = (token: string, livesS: number) => {
      kv.fixToken(resource, token, livesS)
      redis.cli('ACL', 'SETUSER', oid, 'on', 'resetpass', `>${token}`, ...rights)
    }
    const calls = (command: string) =>
      Number(
        new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(
          redis.cli('INFO', 'commandstats'),
        )?.[1] ?? 0,
      )
    const start = async () => {
      const server = await startServer({
        program,
        folder,
        port: await freePort(),
        settings: { ...settings, DATABASE_URL: await postgres.createDatabase() },
      })
      running.push(server)
      return server
    }
    const isReady = async ({ url }: RunningServer) => (await fetch(`${url}/readyz`)).ok

    it('lets a server in as its managed identity, and is shown a new token on the same connections', async () => {
      tokenIs(tokenOf(1), 1)
      const server = await start()
      const before = calls('auth')
      tokenIs(tokenOf(3600), 3600)
      await until('both connections have shown the new token', () => calls('auth') >= before + 2)
      expect(await isReady(server)).toBe(true)
      expect(server.output().match(/redis_connected/g)).toHaveLength(1)
      expect(server.output()).not.toMatch(/redis_lost|redis_token_refused/)
      // Whoever would connect now with the first token would be refused.
      expect(redis.cli('ACL', 'LOG')).not.toContain('auth')
    })

    it('that cuts a connection gets the new token with the next one; without a token the server is not ready', async () => {
      tokenIs(tokenOf(1), 1)
      const server = await start()
      kv.refuseIdentity(true)
      redis.cli('ACL', 'DELUSER', oid)
      await until('not ready', async () => !(await isReady(server)))
      expect(server.output()).toContain('redis_lost')
      tokenIs(tokenOf(3600), 3600)
      kv.refuseIdentity(false)
      await until('ready', () => isReady(server))
    })

    it('lets in by user and password, which never come into the log', async () => {
      redis.cli('ACL', 'SETUSER', 'vertex', 'on', '>a-pass-word', ...rights)
      const log = (events: RedisEvent[]) => (event: RedisEvent) => events.push(event)
      const events: RedisEvent[] = []
      const good = new Redis({
        url: `redis://vertex:a-pass-word@127.0.0.1:${redis.port}`,
        scripts: [],
        log: log(events),
      })
      await good.start()
      expect(await good.send('SET', 'vertex:x', '1', 'PX', '1000')).toEqual(Buffer.from('OK'))
      await expect(good.send('SET', 'elsewhere', '1')).rejects.toThrow(RedisUnavailable)
      await good.close()
      const bad = new Redis({
        url: `redis://vertex:wrong-word@127.0.0.1:${redis.port}`,
        scripts: [],
        log: log(events),
      })
      await bad.start()
      expect(bad.ready).toBe(false)
      await expect(bad.send('PING')).rejects.toThrow(RedisUnavailable)
      await bad.close()
      expect(events).toEqual([
        { event: 'redis_connected' },
        { event: 'redis_lost', code: 'WRONGPASS' },
      ])
    })
  },
)
