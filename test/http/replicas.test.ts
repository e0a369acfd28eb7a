import { setTimeout as sleep } from 'node:timers/promises'
import { MemoryShareStore, UnavailableError, Vertex } from '@vertex/sdk'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { opensslVerifies } from '../sdk/support/verify.js'
import { startBalancer, type Balancer } from '../support/balancer.js'
import { missingPostgres, startPostgres, type TestPostgres } from '../support/postgres.js'
import { missingRedis, startRedis, type TestRedis } from '../support/redis.js'
import { startCluster, type Cluster } from '../support/replicas.js'

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

const missing = missingPostgres() ?? missingRedis()
const utf8 = (text: string) => new TextEncoder().encode(text)

async function until(what: string, holds: () => Promise<boolean>, withinMs = 20_000) {
  const giveUp = Date.now() + withinMs
  while (!(await holds())) {
    if (Date.now() > giveUp) throw new Error(`not within ${withinMs} ms: ${what}`)
    await sleep(50)
  }
}

describe.skipIf(missing !== undefined)(
  `two replicas on one Postgres and one Redis${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    let postgres: TestPostgres
    let redis: TestRedis
    let cluster: Cluster
    let balancer: Balancer
    let vertex: Vertex
    beforeAll(async () => {
      ;[postgres, redis] = await Promise.all([startPostgres(), startRedis()])
      cluster = await startCluster({
        DATABASE_URL: await postgres.createDatabase(),
        REDIS_URL: redis.url,
      })
      balancer = await startBalancer(cluster.replicas.map(({ port }) => port))
      vertex = new Vertex({
        url: balancer.url,
        apiKey: await cluster.user('somebody'),
        store: new MemoryShareStore(),
        allowHttpOnLoopback: true,
      })
    })
    afterAll(async () => {
      await vertex.close()
      await balancer.close()
      await cluster.stop()
      await redis.stop()
      await postgres.stop()
    })

    it('start beside each other, without a lease, and are both ready', async () => {
      for (const replica of cluster.replicas) {
        expect(await replica.failing()).toEqual([])
        expect(replica.log()).not.toContain('lease')
      }
    })

    it('count the requests of a user together', async () => {
      const authorization = await cluster.user('counted')
      const left = []
      for (const { url } of [...cluster.replicas, ...cluster.replicas]) {
        const { headers } = await fetch(`${url}/ecdsa/keys`, { headers: { authorization } })
        left.push(headers.get('ratelimit-remaining'))
      }
      expect(left).toEqual(['5999', '5998', '5997', '5996'])
    })

    it('make keys and signatures, whichever replica a request or a WebSocket reaches', async () => {
      const key = await vertex.ecdsa.createKey()
      const before = [...balancer.counts]
      for (let n = 0; n < 8; n++) {
        const message = utf8(`message ${n}`)
        const { der } = await key.sign({ message, hashAlgo: 'sha256' })
        expect(opensslVerifies(key.publicKey, message, der)).toBe(true)
      }
      // The client's one WebSocket is at one of them; its requests went to both.
      balancer.counts.forEach((count, at) => expect(count - before[at]!).toBeGreaterThan(2))
      const batch = Array.from({ length: 20 }, (_, n) => ({
        message: utf8(`batch ${n}`),
        hashAlgo: 'sha256' as const,
      }))
      const signatures = await key.signBatch(batch)
      signatures.forEach(({ der }, n) =>
        expect(opensslVerifies(key.publicKey, batch[n]!.message, der)).toBe(true),
      )
      await key.verifyBackup()
    })

    it('answer 503 without Redis, say so in their readiness, and go on by themselves when it is back', async () => {
      const key = await vertex.ecdsa.createKey()
      const setups = cluster.replicas
      await redis.kill()
      await until('not ready', async () =>
        (await Promise.all(setups.map((each) => each.failing()))).every((names) =>
          names?.includes('rooms'),
        ),
      )
      const answers: { path: string; status: number; body: string }[] = []
      balancer.onAnswer = (answer) => answers.push(answer)
      const failure = await key.sign({ message: utf8('no room'), hashAlgo: 'sha256' }).then(
        () => undefined,
        (error: unknown) => error,
      )
      expect(failure).toBeInstanceOf(UnavailableError)
      const create = await fetch(`${balancer.url}/create-room`, {
        method: 'POST',
        headers: {
          Authorization: await cluster.user('without rooms'),
          'Content-Type': 'application/json',
        },
        body: JSON.stringify({ room_size: 2 }),
      })
      expect(create.status).toBe(503)
      expect(create.headers.get('retry-after')).toBe('2')
      expect(await create.json()).toMatchObject({ err_type: 'relay_unavailable' })
      for (const { path, status } of answers) expect([path, status]).toEqual([path, 503])
      // What needs no room works.
      expect(await key.verifyBackup()).toMatchObject({ keyId: key.keyId })

      await redis.restart()
      await until('ready', async () =>
        (await Promise.all(setups.map((each) => each.failing()))).every(
          (names) => names?.length === 0,
        ),
      )
      const message = utf8('again')
      const { der } = await key.sign({ message, hashAlgo: 'sha256' })
      expect(opensslVerifies(key.publicKey, message, der)).toBe(true)
    })

    it('drain: one ends cleanly while the other one goes on', async () => {
      const key = await vertex.ecdsa.createKey()
      const [first, second] = cluster.replicas
      expect(await first.end('SIGTERM')).toBe(0)
      await until('a signature', async () => {
        try {
          await key.sign({ message: utf8('alone'), hashAlgo: 'sha256' })
          return true
        } catch (error) {
          expect(error).toBeInstanceOf(UnavailableError)
          return false
        }
      })
      await first.start()
      expect([await first.failing(), await second.failing()]).toEqual([[], []])
    })
  },
)
