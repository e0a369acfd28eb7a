import { randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type PgBoss from 'pg-boss'
import pg from 'pg'
import { StorageUnavailable } from '../vault/ports.js'
import { classify, codeOf, StoreRefused } from './errors.js'
import type { Database } from './open.js'
import { connectionTo } from './postgres-login.js'

/** Something to be done again and again, which may be done twice without harm. */
export interface Job {
  /** Letters, digits and hyphens; it keeps its name across versions. */
  readonly name: string
  readonly everyMs: number
  readonly work: () => Promise<void>
}

/** What happens to jobs, for the log. `error` is a name or a code. */
export type JobEvent =
  | { readonly event: 'job_done'; readonly action: string; readonly duration_ms: number }
  | { readonly event: 'job_failed'; readonly action: string; readonly error: string }

export type JobLog = (event: JobEvent) => void

/** Does jobs at their times, and each of them once now. */
export interface Jobs {
  /** Makes what they need in the database, which other processes may be using. @throws StoreRefused, StorageUnavailable */
  prepare(): Promise<void>
  /** Once prepared. */
  begin(): void
  /** Begins nothing more and waits for what is under way. Idempotent. */
  end(): Promise<void>
}

/**
 * On an embedded database there is one process, and what it must do soon after a start it does at the start: so nothing
 * needs to be remembered.
 */
export function localJobs(jobs: readonly Job[], log: JobLog): Jobs {
  const ended = new AbortController()
  const loops: Promise<void>[] = []
  const loop = async (job: Job) => {
    while (!ended.signal.aborted) {
      await run(job, log)
      await pause(job.everyMs, ended.signal)
    }
  }
  return {
    prepare: () => Promise.resolve(),
    begin() {
      loops.push(...jobs.map(loop))
    },
    end() {
      ended.abort()
      return atMost(END_MS, Promise.all(loops))
    },
  }
}

/** So long an end waits for work under way. What it has not done it does after the next start. */
const END_MS = 3_000

/** Where pg-boss has its tables. */
const SCHEMA = 'vertex_jobs'
/** How long another replica may need to see that a job waits. */
const LOOK_MS = 30_000
/** A job whose process has died is done by another one after this time. Seconds. */
const EXPIRES_S = 600
/** Replicas that start within this time are one start. Seconds. */
const START_S = 10
/** For so long a row that was done is seen, at least. Seconds. */
const REMEMBERED_S = 12 * 3600
/** How often replicas may stand in each other's way at a start. */
const MAX_ATTEMPTS = 8
const FORGOTTEN_AFTER_S = 24 * 3600

/**
 * On Postgres each job is done once each time, by whichever replica comes first. That it is due is a row of a queue
 * (pg-boss): it outlives every process, two replicas cannot make it twice, and one that died over it gives it back.
 */
export function postgresJobs(
  database: Database & { readonly kind: 'postgres' },
  jobs: readonly Job[],
  log: JobLog,
): Jobs {
  const pool = new pg.Pool({
    ...connectionTo(database.url, database.tokenFor),
    application_name: 'vertex-jobs',
    max: 1,
    keepAlive: true,
    connectionTimeoutMillis: 5_000,
    statement_timeout: 15_000,
    query_timeout: 20_000,
  })
  // An idle connection that breaks is dropped; the next look finds out by itself.
  pool.on('error', () => undefined)
  const ended = new AbortController()
  const loops: Promise<void>[] = []
  let boss: PgBoss | undefined

  const loop = async (job: Job, queue: PgBoss) => {
    const { name, everyMs } = job
    const lookMs = Math.min(everyMs, LOOK_MS)
    let starting = true
    while (!ended.signal.aborted) {
      try {
        if (starting) {
          const once = { singletonKey: 'start', singletonSeconds: START_S }
          await queue.send(name, {}, { ...once, ...sending })
          starting = false
        }
        // In each stretch of time, by the clock of the database, only the first becomes a row.
        await queue.send(name, {}, { singletonSeconds: Math.ceil(everyMs / 1000), ...sending })
        const due = (await queue.fetch(name, { batchSize: 100 })).map(({ id }) => id)
        // Several, after a start or a pause of all replicas, are one.
        if (due.length > 0) {
          if (await run(job, log)) await queue.complete(name, due)
          else await queue.fail(name, due)
        }
      } catch (thrown) {
        // Its row stays, and is looked for again.
        log({ event: 'job_failed', action: name, error: codeOf(thrown) ?? 'unavailable' })
      }
      await pause(lookMs, ended.signal)
    }
  }
  const makeQueue = (Boss: typeof PgBoss) => {
    const queue = new Boss({
      schema: SCHEMA,
      db: { executeSql: (sql, values) => execute(pool, sql, values) },
      schedule: false,
      // A row that is archived while its stretch of time goes on could be made again.
      archiveCompletedAfterSeconds: Math.max(
        REMEMBERED_S,
        ...jobs.map(({ everyMs }) => everyMs / 500),
      ),
      deleteAfterSeconds: FORGOTTEN_AFTER_S,
    })
    queue.on('error', (error: unknown) => {
      log({ event: 'job_failed', action: 'queue', error: codeOf(error) ?? 'unavailable' })
    })
    return queue
  }
  /** One that failed to start cannot start again: each attempt has its own. */
  const start = async (Boss: typeof PgBoss) => {
    const queue = makeQueue(Boss)
    try {
      await queue.start()
      for (const { name } of jobs)
        if ((await queue.getQueue(name)) === null) await queue.createQueue(name)
      return queue
    } catch (thrown) {
      await queue.stop({ graceful: false }).catch(() => undefined)
      throw thrown
    }
  }
  return {
    async prepare() {
      const { default: Boss } = await import('pg-boss')
      boss = await patiently(() => start(Boss))
    },
    begin() {
      const queue = boss
      if (queue === undefined) throw new Error('jobs that were not prepared')
      loops.push(...jobs.map((job) => loop(job, queue)))
    },
    async end() {
      ended.abort()
      await atMost(END_MS, Promise.all(loops))
      await boss?.stop({ graceful: false })
      boss = undefined
      await atMost(END_MS, pool.end())
    },
  }
}

const sending = { expireInSeconds: EXPIRES_S, retryLimit: 3, retryDelay: 30 } as const

/** What has failed leaves a connection in the middle of something, which nobody else may get. */
async function execute(pool: pg.Pool, sql: string, values: unknown[] | undefined) {
  const client = await pool.connect()
  try {
    const result = await client.query(sql, values)
    client.release()
    return result
  } catch (thrown) {
    client.release(true)
    throw thrown
  }
}

/**
 * Replicas that start together on a new database make the same tables, and may then stand in each other's way until
 * Postgres ends one of them.
 */
async function patiently<T>(prepare: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++)
    try {
      return await prepare()
    } catch (thrown) {
      if (codeOf(thrown) === '42501')
        throw new StoreRefused(
          `the database role may not make the schema ${SCHEMA}: GRANT CREATE ON DATABASE to it, or set VERTEX_DIRECTORY=off`,
        )
      const failure = classify(thrown)
      const raced = failure.kind === 'lost_race' || failure.kind === 'conflict'
      if (!raced) throw failure.error
      if (attempt === MAX_ATTEMPTS) throw new StorageUnavailable({ cause: new Error('lost races') })
      await sleep(attempt * randomInt(100))
    }
}

/** @returns whether it went well */
async function run({ name, work }: Job, log: JobLog): Promise<boolean> {
  const began = performance.now()
  try {
    await work()
    log({
      event: 'job_done',
      action: name,
      duration_ms: Math.round((performance.now() - began) * 10) / 10,
    })
    return true
  } catch (thrown) {
    const error = thrown instanceof Error ? thrown.name : 'unknown'
    log({ event: 'job_failed', action: name, error })
    return false
  }
}

async function atMost(ms: number, work: Promise<unknown>): Promise<void> {
  const done = new AbortController()
  await Promise.race([work.finally(() => done.abort()), pause(ms, done.signal)])
}

/** Ends early when the signal comes. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal, ref: false }).catch(() => undefined)
}
