import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { answering, openStore, postgresLease, postgresReplicas } from '../../src/store/index.js'
import { clock, sql, storageKey, testSeal } from '../store/engines.js'
import { aUser, insertUser } from '../store/rows.js'
import { missingPostgres, startPostgres, type TestPostgres } from '../support/postgres.js'
import { buildOnce, freePort } from '../support/server.js'
import { adminToken, caller } from './vertex.js'

const missing = missingPostgres()
const main = join(import.meta.dirname, '../../dist/main.js')

async function until(what: string, holds: () => boolean | Promise<boolean>, withinMs: number) {
  const giveUp = Date.now() + withinMs
  while (Date.now() < giveUp) {
    if (await holds()) return
    await sleep(50)
  }
  throw new Error(`not within ${withinMs} ms: ${what}`)
}

describe.skipIf(missing !== undefined)(
  `the lease of a database${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    let postgres: TestPostgres
    let folder: string
    beforeAll(async () => {
      await buildOnce()
      folder = mkdtempSync(join(tmpdir(), 'vertex-lease-'))
      for (const name of ['backup-secret', 'storage-key'])
        writeFileSync(join(folder, name), randomBytes(32).toString('hex'), { mode: 0o600 })
      postgres = await startPostgres()
    })
    const running: { end(signal: NodeJS.Signals): Promise<number | null> }[] = []
    afterEach(() => Promise.all(running.splice(0).map((each) => each.end('SIGKILL'))))
    afterAll(async () => {
      await postgres.stop()
      rmSync(folder, { recursive: true })
    })

    /** A Vertex process, as soon as its log has what is awaited. */
    async function start(url: string, awaited = '"listening"') {
      const port = await freePort()
      const child = spawn(process.execPath, [main], {
        cwd: folder,
        env: {
          PATH: process.env['PATH'],
          PORT: String(port),
          DATABASE_URL: url,
          VERTEX_ADMIN_TOKEN: adminToken,
          VERTEX_BACKUP_SECRET_FILE: join(folder, 'backup-secret'),
          VERTEX_STORAGE_KEY_FILE: join(folder, 'storage-key'),
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      const closed = once(child, 'close')
      let log = ''
      let said = ''
      child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text))
      child.stdout.setEncoding('utf8').on('data', (text: string) => (log += text))
      const call = caller(`http://127.0.0.1:${port}`)
      const ready = () => call('GET', '/readyz')
      const vertex = {
        ready,
        call,
        log: () => log,
        said: () => said,
        closed: async () => ((await closed) as [number | null])[0],
        signal: (signal: NodeJS.Signals) => child.kill(signal),
        end: async (signal: NodeJS.Signals) => {
          child.kill(signal)
          return ((await closed) as [number | null])[0]
        },
        becomesReady: (withinMs: number) =>
          until('ready', async () => (await ready()).status === 200, withinMs),
        createUser: (name: string) =>
          call('POST', '/admin/create-user', { key: adminToken, body: { name } }),
      }
      running.push(vertex)
      await until(awaited, () => log.includes(awaited), 20_000)
      return vertex
    }

    it('keeps a second process from starting while the first one lives, and tells it what to do', async () => {
      const url = await postgres.createDatabase()
      const first = await start(url)
      await first.becomesReady(1_000)
      const second = await start(url, 'lease_waiting')
      // It does not listen meanwhile.
      await expect(second.call('GET', '/livez')).rejects.toThrow('fetch failed')
      expect((await first.createUser('somebody')).status).toBe(200)
      expect(await second.closed()).toBe(78)
      expect(second.said()).toBe(
        'Vertex does not start: another Vertex answers for this database; stop it first or, to run several, give all of them the same REDIS_URL\n',
      )
      expect(second.log()).not.toContain('"listening"')
      expect((await first.ready()).status).toBe(200)
    })

    it('goes over at once when its holder ends cleanly, and within 10 s after kill -9', async () => {
      const url = await postgres.createDatabase()
      const first = await start(url)
      const second = await start(url, 'lease_waiting')
      expect((await first.createUser('somebody')).status).toBe(200)
      expect(await first.end('SIGTERM')).toBe(0)
      await until('listening', () => second.log().includes('"listening"'), 3_000)
      expect((await second.createUser('somebody')).body.err_type).toBe('user_name_already_exists')

      const third = await start(url, 'lease_waiting')
      await second.end('SIGKILL')
      await until('listening', () => third.log().includes('"listening"'), 10_000)
      expect((await third.createUser('somebody')).body.err_type).toBe('user_name_already_exists')
    })

    it('is waited for by a process that can be told to stop', async () => {
      const url = await postgres.createDatabase()
      await start(url)
      const second = await start(url, 'lease_waiting')
      expect(await second.end('SIGTERM')).toBe(0)
      expect(second.said()).toBe('')
    })

    it('that ran out while its holder stood still is lost: it acknowledges nothing more, and waits in turn', async () => {
      const url = await postgres.createDatabase()
      const first = await start(url)
      const second = await start(url, 'lease_waiting')
      first.signal('SIGSTOP')
      // Sent before it knows, answered after.
      const asked = first.createUser('somebody')
      await until('listening', () => second.log().includes('"listening"'), 10_000)
      first.signal('SIGCONT')
      expect(await asked).toMatchObject({ status: 503, body: { err_type: 'storage_unavailable' } })
      expect((await second.createUser('somebody')).status).toBe(200)
      await until('lost', () => first.log().includes('"lease_lost"'), 3_000)
      expect((await first.ready()).body.checks.lease).toBe('failing')
      expect((await second.ready()).status).toBe(200)

      expect(await second.end('SIGTERM')).toBe(0)
      await first.becomesReady(2_000)
      expect((await first.createUser('somebody')).body.err_type).toBe('user_name_already_exists')
    })

    it('that is lost in the middle of a unit of work keeps its outcome from being told', async () => {
      const database = { kind: 'postgres', url: await postgres.createDatabase() } as const
      const events: unknown[] = []
      const lease = postgresLease(database, (event) => events.push(event))
      const any = await openStore({ database, rowSeal: testSeal(storageKey), clock })
      const user = await insertUser(any)
      const store = answering(any, () => lease.held)
      const unavailable = { name: 'StorageUnavailable' }
      await expect(store.run((uow) => uow.users.byId(user.userId))).rejects.toMatchObject(
        unavailable,
      )
      await lease.begin()
      expect(await store.run((uow) => uow.users.byId(user.userId))).toEqual(user)
      const inTheMiddle = store.run(async (uow) => {
        await uow.users.insert(aUser())
        await sql(
          database,
          `UPDATE leases SET holder = 'another one', expires_at = expires_at + 60000`,
        )
        await until('noticed', () => !lease.held, 3_000)
      })
      await expect(inTheMiddle).rejects.toMatchObject(unavailable)
      await expect(store.readForSigning(user.userId, 'any', 0)).rejects.toMatchObject(unavailable)
      // Readiness asks the database all the same, and is told by the lease.
      await store.check()
      await store.close()
      await lease.end()
      expect(events).toEqual([
        { event: 'lease_taken' },
        { event: 'lease_lost', to: 'another process' },
      ])
      // It gives back only what is its own.
      expect(await sql(database, 'SELECT holder FROM leases')).toEqual([{ holder: 'another one' }])
    })

    it('is not given to one alone while replicas that share a Redis live, nor taken from one that had it', async () => {
      const database = { kind: 'postgres', url: await postgres.createDatabase() } as const
      await (await openStore({ database, rowSeal: testSeal(storageKey), clock })).close()
      const before = postgresLease(database, () => undefined)
      await before.begin()
      const [one, two] = [postgresReplicas(database), postgresReplicas(database)]
      for (const each of [one, two, one]) each.begin()
      await until(
        'marked',
        async () =>
          (await sql(database, `SELECT 1 FROM leases WHERE name = 'replicas'`)).length > 0,
        3_000,
      )
      await sleep(2_000)
      expect(before.held).toBe(true)
      await before.end()
      await one.end()

      const late = postgresLease(database, () => undefined)
      await expect(late.begin()).rejects.toThrow('another Vertex answers')
      await late.end()
      await two.end()
      const after = postgresLease(database, () => undefined)
      await after.begin()
      expect(after.held).toBe(true)
      await after.end()
    })

    it('is not believed in while the database is silent, and taken again afterwards', async () => {
      const url = await postgres.createDatabase()
      const events: unknown[] = []
      const lease = postgresLease({ kind: 'postgres', url }, (event) => events.push(event))
      const database = { kind: 'postgres', url } as const
      await (await openStore({ database, rowSeal: testSeal(storageKey), clock })).close()
      await lease.begin()
      expect(lease.held).toBe(true)
      // As a database that is there and cannot answer.
      await sql(database, `ALTER TABLE leases RENAME TO gone`)
      await until('not held', () => !lease.held, 8_000)
      await until('said', () => events.length === 2, 3_000)
      await sql(database, `ALTER TABLE gone RENAME TO leases`)
      await until('held again', () => lease.held, 3_000)
      await until('said', () => events.length === 3, 1_000)
      expect(events).toEqual([
        { event: 'lease_taken' },
        { event: 'lease_lost', to: 'silence' },
        { event: 'lease_taken' },
      ])
      await lease.end()
    })
  },
)
