import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import Database from 'better-sqlite3'
import { startFragilePostgres } from '../../test/support/postgres.js'
import { postgresFor, sqliteIn, type EngineName, type LabDatabase } from '../database.js'
import { load } from '../load.js'
import { someKey } from '../operations.js'
import { Random } from '../random.js'
import type { Lab, Scenario } from '../scenario.js'
import { World } from '../world.js'

/** A database that can be made to fail while a server uses it. */
interface Troubled {
  readonly database: LabDatabase
  begin(): Promise<void> | void
  end(): Promise<void> | void
  close(): Promise<void>
}

interface Trouble {
  readonly name: string
  readonly about: string
  readonly engine: EngineName
  /** How long it lasts at most, in milliseconds. */
  readonly longest: number
  open(folder: string): Promise<Troubled>
}

const onPostgres = (
  what: (
    postgres: Awaited<ReturnType<typeof startFragilePostgres>>,
  ) => Pick<Troubled, 'begin' | 'end'>,
) =>
  async function open(folder: string): Promise<Troubled> {
    const postgres = await startFragilePostgres()
    const database = await postgresFor(folder, postgres)
    return { database, ...what(postgres), close: () => postgres.stop() }
  }

const troubles: readonly Trouble[] = [
  {
    name: 'database-stopped',
    about: 'the database is stopped in order, and started again later',
    engine: 'postgres',
    longest: 6_000,
    open: onPostgres((postgres) => ({
      begin: () => postgres.end('SIGINT'),
      end: () => postgres.start(),
    })),
  },
  {
    name: 'database-crashed',
    about: 'the database ends as in a crash, and recovers from its log',
    engine: 'postgres',
    longest: 500,
    open: onPostgres((postgres) => ({
      begin: () => postgres.end('SIGQUIT'),
      end: () => postgres.start(),
    })),
  },
  {
    name: 'database-frozen',
    about: 'all processes of the database stand still (SIGSTOP), with every connection open',
    engine: 'postgres',
    longest: 12_000,
    open: onPostgres((postgres) => ({
      begin: () => postgres.freeze(),
      end: () => postgres.thaw(),
    })),
  },
  {
    name: 'database-locked',
    about: 'somebody else holds the write lock of the database file',
    engine: 'sqlite',
    longest: 4_000,
    open: (folder) => {
      let holder: Database.Database | undefined
      return Promise.resolve({
        database: sqliteIn(folder),
        begin: async () => {
          holder = new Database(join(folder, 'data/vertex.db'))
          for (;;) {
            try {
              holder.exec('BEGIN IMMEDIATE')
              return
            } catch {
              await sleep(5) // the server was faster
            }
          }
        },
        end: () => {
          holder?.close()
        },
        close: () => Promise.resolve(),
      })
    },
  },
]

export const databaseTroubles: readonly Scenario[] = troubles.map((trouble) => ({
  name: trouble.name,
  about: trouble.about,
  engines: [trouble.engine],
  ...(trouble.name === 'database-frozen' ? { short: ['postgres'] } : {}),
  open: (lab) => open(lab, trouble),
}))

async function open(lab: Lab, trouble: Trouble) {
  const folder = join(lab.folder(), 'vault')
  const troubled = await trouble.open(folder)
  const world = await World.open({ folder, database: troubled.database })
  return {
    world,
    seeds: (random: Random) =>
      Array.from({ length: lab.short ? 1 : 8 }, () => random.below(2 ** 31)),
    async run(seed: number) {
      const random = new Random(seed)
      const probe = await someKey(world)
      const work = load(world, probe, random)
      await sleep(random.between(20, 800))
      await troubled.begin()
      const until = performance.now() + random.between(50, lab.short ? 500 : trouble.longest)
      while (performance.now() < until) {
        // It must say that it lives, or a platform would restart it for what is not its fault.
        const alive = await fetch(`${world.url}/livez`).then(({ status }) => status)
        if (alive !== 200) world.ledger.wrong(`/livez answered ${alive}`)
        await sleep(100)
      }
      const since = performance.now()
      await troubled.end()
      await world.recovers(since, probe)
      await work.stop()
      await world.ledger.audit()
      await world.inspect()
      return world.ledger.take()
    },
    async close() {
      await world.close()
      await troubled.close()
    },
  }
}
