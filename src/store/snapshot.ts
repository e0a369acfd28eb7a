import { existsSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { StorageUnavailable } from '../vault/ports.js'
import type { Engine } from './columns.js'
import type { Row } from './engine.js'
import { classify, codeOf, LoginUnavailable, StoreRefused } from './errors.js'
import type { Database as DatabaseChoice } from './open.js'
import { connectClient } from './postgres-client.js'
import { DATABASE_FILE, LOCK_FILE, sqliteDatabaseExists } from './sqlite.js'

/**
 * A database as it is at one moment, only to be read: beside a running server, which notices nothing of it. Nothing is
 * made, migrated or locked.
 */
export interface Snapshot {
  readonly kind: Engine
  /** The rows of one SELECT, one such at a time, a batch of them in memory. @throws StorageUnavailable, StoreRefused */
  rows(select: string): AsyncIterable<Row>
  close(): Promise<void>
}

/**
 * @returns undefined when there is no database: no file, or a data directory that is not there yet
 * @throws StoreRefused, StorageUnavailable
 */
export function openSnapshot(database: DatabaseChoice): Promise<Snapshot | undefined> {
  return database.kind === 'sqlite'
    ? Promise.resolve(onSqlite(database.dataDir))
    : onPostgres(database)
}

const BUSY_TIMEOUT_MS = 5_000

function onSqlite(dataDir: string): Snapshot | undefined {
  if (!sqliteDatabaseExists(dataDir)) return undefined
  let connection: Database.Database
  try {
    connection = new Database(join(dataDir, DATABASE_FILE), {
      readonly: true,
      fileMustExist: true,
      timeout: BUSY_TIMEOUT_MS,
    })
    // In WAL mode a reader's transaction is a snapshot from its first read on.
    connection.exec('BEGIN')
    connection.prepare('SELECT count(*) FROM sqlite_master').get()
  } catch (cause) {
    // Whoever made this file was killed before it was a database in WAL mode: nothing was ever kept in it.
    if (codeOf(cause) === 'SQLITE_READONLY_ROLLBACK') return undefined
    throw new StoreRefused(
      `cannot read the database at ${join(dataDir, DATABASE_FILE)} (${codeOf(cause) ?? 'unknown error'}): check VERTEX_DATA_DIR`,
    )
  }
  return {
    kind: 'sqlite',
    // eslint-disable-next-line @typescript-eslint/require-await -- as the other engine's
    async *rows(select) {
      try {
        yield* connection.prepare(select).iterate() as IterableIterator<Row>
      } catch (thrown) {
        throw readFailure(thrown)
      }
    },
    close() {
      connection.close()
      return Promise.resolve()
    },
  }
}

/** Rows that are fetched together. */
const BATCH = 200

async function onPostgres(
  database: DatabaseChoice & { readonly kind: 'postgres' },
): Promise<Snapshot> {
  const client = await connectClient(database, { application_name: 'vertex-snapshot' }).catch(
    (thrown: unknown) => {
      throw readFailure(thrown)
    },
  )
  try {
    // Not REPEATABLE READ, whose snapshot may be one that no order of the writers' units explains. Deferrable: it waits
    // for a moment at which that is known, and then neither disturbs them nor is disturbed.
    await client.query('START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE')
    // The snapshot is taken by the first statement.
    await client.query('SELECT 1')
  } catch (thrown) {
    await client.end().catch(() => undefined)
    throw readFailure(thrown)
  }
  let cursors = 0
  return {
    kind: 'postgres',
    async *rows(select) {
      // A name of its own, because a reader that stops early leaves its cursor open.
      const cursor = `rows_${++cursors}`
      try {
        await client.query(`DECLARE ${cursor} NO SCROLL CURSOR FOR ${select}`)
        for (;;) {
          const { rows } = await client.query<Row>(`FETCH ${BATCH} FROM ${cursor}`)
          yield* rows
          if (rows.length < BATCH) break
        }
        await client.query(`CLOSE ${cursor}`)
      } catch (thrown) {
        throw readFailure(thrown)
      }
    },
    async close() {
      await client.end().catch(() => undefined)
    },
  }
}

/** What went wrong, without the statement or the URL. */
function readFailure(thrown: unknown): Error {
  if (thrown instanceof StoreRefused || thrown instanceof StorageUnavailable) return thrown
  if (thrown instanceof LoginUnavailable)
    return new StoreRefused(
      'cannot read the database of DATABASE_URL: it has no password, and the managed identity gives no token',
    )
  const failure = classify(thrown)
  return failure.kind === 'lost_race' ? new StorageUnavailable() : failure.error
}

/** Which tables there are. */
export async function tablesOf(snapshot: Snapshot): Promise<ReadonlySet<string>> {
  const select =
    snapshot.kind === 'sqlite'
      ? `SELECT name FROM sqlite_master WHERE type = 'table'`
      : `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = ANY (current_schemas(false))`
  const names = new Set<string>()
  for await (const { name } of snapshot.rows(select)) names.add(String(name))
  return names
}

/** Whether a server uses this database now. Asked without taking anything. */
export async function isInUse(database: DatabaseChoice, snapshot: Snapshot): Promise<boolean> {
  if (database.kind === 'sqlite') return isLocked(join(database.dataDir, LOCK_FILE))
  if (!(await tablesOf(snapshot)).has('leases')) return false
  const now = '(extract(epoch FROM clock_timestamp()) * 1000)::bigint'
  const held = snapshot.rows(`SELECT name FROM leases WHERE expires_at > ${now}`)
  return (await held[Symbol.asyncIterator]().next()).done !== true
}

function isLocked(file: string): boolean {
  if (!existsSync(file)) return false
  const connection = new Database(file, { readonly: true, timeout: 0 })
  try {
    connection.prepare('SELECT count(*) FROM sqlite_master').get()
    return false
  } catch (error) {
    if (codeOf(error)?.startsWith('SQLITE_BUSY') === true) return true
    throw readFailure(error)
  } finally {
    connection.close()
  }
}
