import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, describe, expect, it } from 'vitest'
import { localJobs, postgresJobs, type Job, type JobEvent } from '../../src/store/jobs.js'
import { missingPostgres, startPostgres, type TestPostgres } from '../support/postgres.js'

/** A job that says when it was done, and by whom. */
function counted(done: string[], who: string, everyMs: number, ms = 0): Job {
  return {
    name: 'sweep',
    everyMs,
    work: async () => {
      done.push(who)
      await sleep(ms)
    },
  }
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(20)
}

const quiet = () => undefined

describe('jobs of one process', () => {
  it('are done at the start, and again and again', async () => {
    const done: string[] = []
    const jobs = localJobs([counted(done, 'a', 10)], quiet)
    jobs.begin()
    await until(() => done.length >= 3)
    await jobs.end()
    const then = done.length
    await sleep(50)
    expect(done).toHaveLength(then)
  })

  it('that fail are said, and done at the next time', async () => {
    const events: JobEvent[] = []
    let times = 0
    const job: Job = {
      name: 'sweep',
      everyMs: 5,
      work: () => (times++ === 0 ? Promise.reject(new TypeError('secret')) : Promise.resolve()),
    }
    const jobs = localJobs([job], (event) => events.push(event))
    jobs.begin()
    await until(() => times > 1)
    await jobs.end()
    expect(events[0]).toEqual({ event: 'job_failed', action: 'sweep', error: 'TypeError' })
    expect(events[1]).toMatchObject({ event: 'job_done', action: 'sweep' })
  })

  it('end only once the one under way has ended', async () => {
    const done: string[] = []
    const job = { ...counted(done, 'begun', 1000) }
    const slow: Job = {
      ...job,
      work: async () => {
        await job.work()
        await sleep(50)
        done.push('ended')
      },
    }
    const jobs = localJobs([slow], quiet)
    jobs.begin()
    await jobs.end()
    expect(done).toEqual(['begun', 'ended'])
  })
})

const missing = missingPostgres()
describe.skipIf(missing !== undefined)(`jobs of replicas on one Postgres ${missing ?? ''}`, () => {
  let server: TestPostgres | undefined
  const databases: pg.Pool[] = []
  afterAll(async () => {
    await Promise.all(databases.map((pool) => pool.end()))
    await server?.stop()
  })
  async function database() {
    server ??= await startPostgres()
    const url = await server.createDatabase()
    const pool = new pg.Pool({ connectionString: url })
    pool.on('error', () => undefined)
    databases.push(pool)
    const rows = async (sql: string) => (await pool.query<Record<string, unknown>>(sql)).rows
    return { url, rows }
  }

  async function replica(url: string, job: Job, log: (event: JobEvent) => void = quiet) {
    const jobs = postgresJobs({ kind: 'postgres', url }, [job], log)
    await jobs.prepare()
    jobs.begin()
    return jobs
  }

  it('are done once at a start, whoever of them does it', async () => {
    const { url, rows } = await database()
    const done: string[] = []
    const hour = 3_600_000
    // Together, on an empty database: they also make the queue's tables only once.
    const replicas = await Promise.all(
      ['a', 'b', 'c', 'd'].map((who) => replica(url, counted(done, who, hour))),
    )
    const states = () => rows(`SELECT state, count(*)::int FROM vertex_jobs.job GROUP BY state`)
    await until(async () => {
      const found = await states()
      return found.length === 1 && found[0]!['state'] === 'completed'
    })
    await Promise.all(replicas.map((each) => each.end()))
    // Each row of the queue was somebody's, and nobody else's.
    const [{ count }] = (await states()) as [{ count: number }]
    expect(count).toBeLessThanOrEqual(3)
    expect(done.length).toBeGreaterThanOrEqual(1)
    expect(done.length).toBeLessThanOrEqual(count)
  })

  it('are due once in each stretch of time, however many replicas look', async () => {
    const { url, rows } = await database()
    const done: string[] = []
    const replicas = await Promise.all(
      ['a', 'b', 'c'].map((who) => replica(url, counted(done, who, 1000))),
    )
    await until(() => done.length >= 5)
    await Promise.all(replicas.map((each) => each.end()))
    const twice = await rows(
      `SELECT singleton_on FROM vertex_jobs.job WHERE singleton_key IS NULL
       GROUP BY singleton_on HAVING count(*) > 1`,
    )
    expect(twice).toEqual([])
    const [row] = await rows(`SELECT count(*)::int AS all FROM vertex_jobs.job`)
    expect(done.length).toBeLessThanOrEqual(row!['all'] as number)
  })

  it('that were due when a process died are done after the next start', async () => {
    const { url, rows } = await database()
    const done: string[] = []
    await (await replica(url, counted(done, 'first', 3_600_000))).end()
    done.length = 0
    // Due, and nobody there; and taken by one that died over it, long ago.
    await rows(`UPDATE vertex_jobs.job SET state = 'created', completed_on = NULL`)
    await replica(url, counted(done, 'second', 3_600_000)).then(async (again) => {
      await until(() => done.length > 0)
      await again.end()
    })
    expect(done).toEqual(['second'])
    expect(await rows(`SELECT DISTINCT state FROM vertex_jobs.job`)).toEqual([
      { state: 'completed' },
    ])
  })

  it('that fail are given back, and done again', async () => {
    const { url, rows } = await database()
    const events: JobEvent[] = []
    let times = 0
    const job: Job = {
      name: 'sweep',
      everyMs: 1000,
      work: () => (times++ === 0 ? Promise.reject(new Error('no')) : Promise.resolve()),
    }
    const jobs = await replica(url, job, (event) => events.push(event))
    await until(() => times > 1)
    await jobs.end()
    expect(events[0]).toEqual({ event: 'job_failed', action: 'sweep', error: 'Error' })
    const [row] = await rows(
      `SELECT count(*)::int AS back FROM vertex_jobs.job WHERE state = 'retry' OR retry_count > 0`,
    )
    expect(row!['back']).toBeGreaterThan(0)
  })

  it('are refused in words where the role may not make their tables', async () => {
    const { url, rows } = await database()
    await rows(`DROP ROLE IF EXISTS lesser`)
    await rows(`CREATE ROLE lesser LOGIN`)
    const lesser = new URL(url)
    lesser.username = 'lesser'
    const jobs = postgresJobs({ kind: 'postgres', url: lesser.href }, [], quiet)
    await expect(jobs.prepare()).rejects.toMatchObject({
      name: 'StoreRefused',
      message: expect.stringContaining('GRANT CREATE ON DATABASE') as string,
    })
    await jobs.end()
  })
})
