import { cpSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { VertexError, UnavailableError, type EcdsaKey } from '@vertex/sdk'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { startServer, type RunningServer } from '../../demo/server.js'
import { postgresFor, sqliteIn } from '../../lab/database.js'
import { experiment } from '../../lab/laboratory.js'
import type { Scenario } from '../../lab/scenario.js'
import { Ledger } from '../../lab/ledger.js'
import { operations } from '../../lab/operations.js'
import { program } from '../../lab/places.js'
import { isClean, rowOf, toText, type Report } from '../../lab/report.js'
import { refused } from '../../lab/scenarios/restored.js'
import { synced, traced } from '../../lab/scenarios/synced.js'
import {
  answersNothing,
  beside,
  sameDirectoryIsRefused,
  signAtBoth,
} from '../../lab/scenarios/two-copies.js'
import { judgeTrace } from '../../lab/sync-trace.js'
import { complaint } from '../../lab/troubles.js'
import { START_MS, World } from '../../lab/world.js'
import { fullDisk } from '../support/full-disk.js'
import { missingPostgres, startPostgres } from '../support/postgres.js'
import { missingRedis, startRedis } from '../support/redis.js'
import { buildOnce, freePort } from '../support/server.js'

// A laboratory that finds nothing proves nothing: each of its checkers is shown a loss or a fault that was planted.

let folder: string
beforeAll(async () => {
  await buildOnce('tools')
  folder = mkdtempSync(join(tmpdir(), 'vertex-lab-'))
}, 300_000)
afterAll(() => rmSync(folder, { recursive: true }))

describe('the laboratory finds', { timeout: 300_000 }, () => {
  let world: World
  let key: EcdsaKey
  beforeAll(async () => {
    const own = join(folder, 'vault')
    world = await World.open({ folder: own, database: sqliteIn(own), anchored: true })
    key = await world.createKey()
  }, 300_000)
  beforeEach(() => {
    world.ledger = new Ledger()
  })
  afterAll(() => world.close())

  const restart = async (meanwhile: () => void) => {
    await world.kill()
    await world.control({})
    meanwhile()
    await world.start()
  }
  const found = async () => {
    await world.ledger.audit()
    return world.ledger.take()
  }
  const prepared = (name: string) => operations.find((one) => one.name === name)!.prepare(world)
  const does = async (name: string) => (await prepared(name))()
  const run = (statement: string) => world.database.run(statement)

  it('nothing, where nothing has gone', async () => {
    await world.createUser('bob')
    for (const { name } of operations) await does(name)
    await restart(() => undefined)
    expect(await found()).toMatchObject({ lost: [], wrong: [] })
  })

  it('a key whose row was deleted', async () => {
    const { id, keyId } = await world.createKey()
    await run(`DELETE FROM key_handles WHERE key_id = '${keyId}'`)
    const lost = [expect.stringContaining(`key ${id}`)]
    expect(await found()).toMatchObject({ lost, wrong: [] })
  })

  it('an imported share that is not there any more', async () => {
    await does('import')
    await run('DELETE FROM key_handles WHERE source_digest IS NOT NULL')
    const lost = [expect.stringContaining('key ')]
    expect(await found()).toMatchObject({ lost, wrong: [] })
  })

  it('a user who was acknowledged before a commit that then did not come', async () => {
    await world.control({ plant: 'forget' })
    await world.createUser('forgotten')
    await world.control({})
    const lost = [expect.stringContaining('user forgotten')]
    expect(await found()).toMatchObject({ lost, wrong: [] })
  })

  it('a lock that opened', async () => {
    await does('lock')
    await run('DELETE FROM crypto_failures')
    const lost = [expect.stringContaining('lock of key')]
    expect(await found()).toMatchObject({ lost, wrong: [] })
  })

  it('a share that was deleted and is there again', async () => {
    const work = await prepared('delete')
    const tables = ['shares', 'key_handles']
    for (const table of tables) await run(`CREATE TABLE kept_${table} AS SELECT * FROM ${table}`)
    await work()
    for (const table of tables) {
      await run(`INSERT OR IGNORE INTO ${table} SELECT * FROM kept_${table}`)
      await run(`DROP TABLE kept_${table}`)
    }
    const lost = [expect.stringContaining('it is there again')]
    expect(await found()).toMatchObject({ lost, wrong: [] })
  })

  it('a key of an older copy that should count as deleted, and signs', async () => {
    await refused(world, key.id)
    expect((await found()).wrong).toEqual(['a key that is not in the copy: a signature'])
  })

  it('a signature that does not verify', async () => {
    const message = new TextEncoder().encode('one')
    const { der } = await key.sign({ message, hashAlgo: 'sha256' })
    world.judge(key.publicKey, message, der)
    expect(world.ledger.take().wrong).toEqual([])
    world.judge(key.publicKey, new TextEncoder().encode('another'), der)
    expect(world.ledger.take().wrong).toHaveLength(1)
  })

  it('a record that is missing in the audit log', async () => {
    await world.inspect()
    expect(world.ledger.take().wrong).toEqual([])
    await run(`CREATE TABLE kept AS SELECT * FROM audit_records WHERE seq = 3`)
    const trigger = 'audit_records_no_delete'
    await run(`DROP TRIGGER ${trigger}`)
    await run('DELETE FROM audit_records WHERE seq = 3')
    await world.inspect()
    await run('INSERT INTO audit_records SELECT * FROM kept')
    const disorder: unknown = expect.stringMatching(/audit log is not in order.*"seq":3/)
    expect(world.ledger.take().wrong).toEqual([disorder])
  })

  it('an audit log that has lost its end, by its anchors', async () => {
    const cut = 'DELETE FROM audit_records WHERE seq = (SELECT max(seq) FROM audit_records)'
    // The server anchors its head when it ends; so nothing but the end is missing.
    await world.stop()
    await world.inspect()
    expect(world.ledger.take().wrong).toEqual([])
    await run(`CREATE TABLE kept_end AS ${cut.replace('DELETE', 'SELECT *')}`)
    await run(cut)
    await world.inspect()
    await run('INSERT INTO audit_records SELECT * FROM kept_end')
    await world.start()
    expect(world.ledger.take().wrong).toEqual([expect.stringContaining('cut_off')])
  })

  it('nothing, when the disk of the client was full (without a mount)', async () => {
    const disk = await fullDisk()
    await expect(world.createKey()).rejects.toMatchObject({ code: 'ENOSPC' })
    disk.mockRestore()
    await world.createKey()
    expect(await found()).toMatchObject({ lost: [], wrong: [] })
  })

  it('a second server that answers on one data directory', async () => {
    await sameDirectoryIsRefused(world)
    expect(world.ledger.take().wrong).toEqual([])
    // The lock that the first one holds is on a file that nobody finds any more.
    rmSync(join(world.folder, 'data/vertex.lock'))
    await sameDirectoryIsRefused(world)
    expect(world.ledger.take().wrong).toEqual([expect.stringContaining('it answers')])
  })

  it('a nonce that two copies used, where all random sources were cloned', async () => {
    // A key of its own: both copies have the OT setup of its first signature, and the client has no other.
    const shared = await world.createKey()
    await world.sign(shared)
    await world.stop()
    const copy = join(folder, 'copy')
    cpSync(world.folder, copy, { recursive: true })
    const servers: RunningServer[] = []
    const start = async (own: string, port: number, settings: Record<string, string> = {}) => {
      const all = { ...world.settings, VERTEX_AUDIT_ANCHOR_FILE: join(own, 'anchors'), ...settings }
      const server = { program, folder: own, port, settings: all, readyWithinMs: START_MS }
      servers.push(await startServer(server))
    }
    const sign = () => signAtBoth(world, shared.id, servers.at(-1)!.url, 2)
    const repeating = join(import.meta.dirname, '../support/repeating.mjs')
    const ends = () => Promise.all(servers.splice(0).map((server) => server.stop()))
    try {
      await start(world.folder, world.port)
      await start(copy, await freePort())
      await sign()
      expect(world.ledger.take().wrong).toEqual([])
      await ends()
      const cloned = { NODE_OPTIONS: `--import=${repeating}` }
      await start(world.folder, world.port, cloned)
      await start(copy, await freePort(), cloned)
      const { undo } = (await import(repeating)) as { readonly undo: () => void }
      await sign().finally(undo)
      expect(world.ledger.take().wrong).toEqual(['two signatures have the same r'])
    } finally {
      await ends()
      await world.start()
    }
  })

  const missing = synced.missing?.()
  it.skipIf(missing !== undefined)(
    `an answer that leaves before its commit was synced${missing === undefined ? '' : ` (skipped: ${missing})`}`,
    async () => {
      const trace = (plant?: 'unsynced') =>
        traced(world, [world.server.process.pid!], /vertex\.db(?:-wal)?$/, plant)
      await trace()
      expect(world.ledger.take().wrong).toEqual([])
      await trace('unsynced')
      const early = expect.stringContaining('left before it was synced') as unknown
      expect(world.ledger.take().wrong).toContainEqual(early)
    },
  )

  it('keys that were in a log that was cut off, and a failure that nobody expects', async () => {
    await run('PRAGMA wal_checkpoint(TRUNCATE)')
    const { id } = await world.createKey()
    await world.control({ plant: 'break' })
    await world.attempt('create key', () => world.createKey())
    await restart(() => truncateSync(join(world.folder, 'data/vertex.db-wal')))
    const { lost, wrong } = await found()
    expect(lost).toEqual([expect.stringContaining(`key ${id}`)])
    expect(wrong).toEqual([
      expect.stringContaining('internal_problem (500)'),
      expect.stringContaining('the server said'),
    ])
  })

  it('a share that came back from its backup where nothing should have gone', async () => {
    world.promiseKey(key)
    await restart(() => rmSync(join(world.folder, 'data'), { recursive: true }))
    expect((await found()).lost).toEqual([expect.stringContaining('came back')])
  })

  it('a damaged database', async () => {
    await world.stop()
    expect(world.database.damage()).toBeUndefined()
    const file = join(world.folder, 'data/vertex.db')
    const bytes = readFileSync(file)
    bytes.fill(0xff, 2 * 4096, 4 * 4096)
    writeFileSync(file, bytes)
    expect(world.database.damage()).toBeDefined()
  })
})

const absent = missingPostgres() ?? missingRedis()
describe.skipIf(absent !== undefined)(
  `of two servers on one Postgres${absent === undefined ? '' : ` (skipped: ${absent})`} the laboratory finds`,
  { timeout: 300_000 },
  () => {
    it('that the second one answers', async () => {
      const postgres = await startPostgres()
      // Through a Redis both may answer, which is wrong for a scenario that has none.
      const redis = await startRedis()
      const own = join(folder, 'shared')
      const settings = { REDIS_URL: redis.url }
      const database = await postgresFor(own, postgres)
      const world = await World.open({ folder: own, database, settings })
      const { id } = await world.createKey()
      await answersNothing(world, id, `http://127.0.0.1:${await freePort()}`)
      expect(world.ledger.take().wrong).toEqual([])
      const second = await beside(world)
      const url = `http://127.0.0.1:${second.port}`
      try {
        // It may take longer to become ready, and to sign, than the scenario asks it.
        const giveUp = Date.now() + START_MS
        const answered = 'the second server answered too'
        while (!world.ledger.found.wrong.includes(answered) && Date.now() < giveUp) {
          await answersNothing(world, id, url)
          await sleep(200)
        }
        expect(world.ledger.take().wrong).toContain(answered)
      } finally {
        second.process.kill('SIGKILL')
        await world.close()
        await redis.stop()
        await postgres.stop()
      }
    })
  },
)

describe('a failure is as documented', () => {
  const unavailable = (status: number | undefined, retryAfter?: number) =>
    new UnavailableError('storage_unavailable', 'not now', { status, retryAfter })

  it.each([
    ['a 503 that says when to try again', unavailable(503, 2)],
    ['a connection that was lost', new UnavailableError('connection_failed', 'gone')],
    ['a room that went with its server', new VertexError('room_closed', 'gone')],
  ])('if it is %s', (_, error) => {
    expect(complaint(error)).toBeUndefined()
  })

  it.each([
    ['a 503 without Retry-After', unavailable(503)],
    ['unavailable with another status', unavailable(500, 2)],
    ['a 500', new VertexError('internal_problem', 'oh', { status: 500 })],
    ['a failed check', new VertexError('protocol_abort', 'no', { status: 400 })],
    ['a missing key', new VertexError('key_id_not_exists', 'no', { status: 400 })],
    ['no error of the SDK', new TypeError('undefined is not a function')],
  ])('and not if it is %s', (_, error) => {
    expect(complaint(error)).toBeDefined()
  })

  it('with one more kind where a scenario expects it', () => {
    const error = new VertexError('keygen_unfinished', 'cut off')
    expect(complaint(error)).toBeDefined()
    expect(complaint(error, ['keygen_unfinished'])).toBeUndefined()
  })
})

describe('a trace', () => {
  const log = (path: string) => path.endsWith('-wal')
  const judge = (...lines: string[]) => judgeTrace(lines.join('\n'), log)
  const write = '10  pwrite64(31</d/v.db-wal>, "\\0"..., 4096, 0) = 4096'
  const sync = '10  fdatasync(31</d/v.db-wal>)         = 0'
  const answer = '10  write(25<socket:[77]>, "HTTP/1.1 200 OK\\"..., 512) = 512'

  it('is right when each write was synced before the next answer', () => {
    expect(judge(write, sync, answer, write, sync, answer)).toEqual({
      answers: 2,
      syncs: 2,
      tooEarly: [],
    })
    expect(judge(answer).tooEarly).toEqual([])
  })

  it.each([
    ['nothing is synced', [write, answer]],
    ['it is synced later', [write, answer, sync]],
    ['the sync fails', [write, sync.replace('= 0', '= -1 EIO (Input/output error)'), answer]],
    ['another file is synced', [write, sync.replace('v.db-wal', 'v.db'), answer]],
    ['more was written since', [write, sync, write, answer]],
    [
      'the sync has not come back',
      [write, '10  fdatasync(31</d/v.db-wal> <unfinished ...>', answer],
    ],
    [
      'more was written while it was synced',
      [
        write,
        '10  fdatasync(31</d/v.db-wal> <unfinished ...>',
        write.replace('10', '11'),
        '10  <... fdatasync resumed>)          = 0',
        answer,
      ],
    ],
  ])('is wrong when %s', (_, lines) => {
    expect(judge(...lines).tooEarly).toHaveLength(1)
  })

  it('may be of several processes', () => {
    const seen = judge(
      write,
      '10  fdatasync(31</d/v.db-wal> <unfinished ...>',
      '11  pwrite64(7</d/v.db>, "\\0"..., 4096, 0) = 4096',
      '10  <... fdatasync resumed>)          = 0',
      answer,
    )
    expect(seen).toEqual({ answers: 1, syncs: 1, tooEarly: [] })
  })
})

describe('the report', () => {
  const run = (seed: number, lost: string[], wrong: string[], recoveryMs: number[]) => ({
    seed,
    acknowledged: 3,
    lost,
    wrong,
    recoveryMs,
  })
  const report = (...runs: ReturnType<typeof run>[]): Report => ({
    seed: 7,
    short: false,
    seconds: 1,
    recovery_goal_ms: 10_000,
    rows: [rowOf('kill', 'sqlite', runs)],
    failures: runs
      .filter(({ lost, wrong }) => lost.length + wrong.length > 0)
      .map(({ seed, lost, wrong }) => ({ scenario: 'kill', engine: 'sqlite', seed, lost, wrong })),
    skipped: [{ scenario: 'mount', why: 'needs root' }],
    unfinished: [],
  })

  it('adds up, and names what was skipped', () => {
    const clean = report(run(1, [], [], [10]), run(2, [], [], [30]), run(3, [], [], [20]))
    expect(clean.rows[0]).toMatchObject({ runs: 3, acknowledged: 9, lost: 0, wrong: 0 })
    expect(clean.rows[0]!.recovery_ms).toEqual({ median: 20, worst: 30 })
    expect(isClean(clean)).toBe(true)
    expect(toText(clean)).toContain('seeds 1-3')
    expect(toText(clean)).toContain('SKIPPED mount: needs root')
  })

  it('is not clean with one loss or one wrong thing, and says how to see it again', () => {
    expect(isClean(report(run(1, [], [], []), run(5, ['key a'], [], [])))).toBe(false)
    const wrong = report(run(1, [], [], []), run(5, [], ['a 500'], []))
    expect(isClean(wrong)).toBe(false)
    expect(toText(wrong)).toContain('npm run lab -- --scenario kill --engine sqlite --seed 5')
  })

  const ending = (ledger: Ledger, run: () => Promise<never>): Scenario => ({
    name: 'ending',
    about: '',
    engines: ['sqlite'],
    open: () =>
      Promise.resolve({
        world: { ledger },
        seeds: () => [7, 8],
        run,
        close: () => Promise.resolve(),
      }),
  })
  const plan = {
    engine: undefined,
    seed: 1,
    once: false,
    short: false,
    named: true,
    progress: () => undefined,
    interrupted: new AbortController().signal,
  }
  const failure = (seed: number, wrong: string[]) => ({
    scenario: 'ending',
    engine: 'sqlite',
    seed,
    lost: ['key a'],
    wrong,
  })

  it('has what a run had found before it broke off, and tells it as it ends', async () => {
    const ledger = new Ledger()
    const breaking = ending(ledger, () => {
      ledger.lost('key a')
      return Promise.reject(new Error('no answer'))
    })
    const told: unknown[] = []
    const found = (what: unknown) => told.push(what)
    const { rows, failures, unfinished } = await experiment({
      ...plan,
      scenarios: [breaking],
      found,
    })
    expect(rows[0]).toMatchObject({ runs: 2, lost: 2, wrong: 2 })
    const wrong = ['the run did not end: no answer']
    expect(failures).toEqual([failure(7, wrong), failure(8, wrong)])
    expect(told).toEqual(failures)
    expect(unfinished).toEqual([])
  })

  it('has what runs had found when it was interrupted, and what it left out', async () => {
    const ledger = new Ledger()
    const interruption = new AbortController()
    const waiting = ending(ledger, () => {
      ledger.lost('key a')
      queueMicrotask(() => interruption.abort())
      return new Promise(() => undefined)
    })
    const interrupted = await experiment({
      ...plan,
      scenarios: [waiting, { ...waiting, name: 'later' }],
      found: () => undefined,
      interrupted: interruption.signal,
    })
    expect(interrupted.failures).toEqual([failure(7, [])])
    expect(isClean(interrupted)).toBe(false)
    expect(interrupted.unfinished).toEqual([
      { scenario: 'ending on sqlite', runs: 1, planned: 2 },
      { scenario: 'later on sqlite', runs: 0, planned: null },
    ])
    expect(toText(interrupted)).toContain('NOT FINISHED ending on sqlite: 1 of 2 runs')
    expect(toText(interrupted)).toContain('NOT FINISHED later on sqlite: 0 of all runs')
  })

  it('tells a recovery that took longer than the goal, and does not fail for it', () => {
    const slow = report(run(1, [], [], [20_000]))
    expect(isClean(slow)).toBe(true)
    expect(toText(slow)).toContain('SLOWER')
  })
})
