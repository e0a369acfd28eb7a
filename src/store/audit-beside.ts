import { join } from 'node:path'
import BetterSqlite3 from 'better-sqlite3'
import { StorageUnavailable, type AuditRow, type MakeAudit } from '../vault/ports.js'
import { isBefore } from './audit.js'
import type { Row } from './engine.js'
import { classify, LoginUnavailable, StoreRefused } from './errors.js'
import type { Database } from './open.js'
import { ALONE_IN_AUDIT } from './postgres.js'
import { connectClient } from './postgres-client.js'
import { DATABASE_FILE } from './sqlite.js'

/** Appends to the audit log of a database beside the server that uses it, as another server would. */
export interface AuditBeside {
  /** @throws StorageUnavailable, StoreRefused */
  appendAudit(make: MakeAudit, own?: number): Promise<void>
  close(): Promise<void>
}

/** @throws StorageUnavailable, StoreRefused */
export async function openAuditBeside(database: Database): Promise<AuditBeside> {
  const connection = await connect(database).catch((thrown: unknown) => {
    throw failureOf(thrown)
  })
  return {
    async appendAudit(make, own) {
      const { query } = connection
      try {
        for (const statement of connection.begin) await query(statement, [])
        const [meta] = await query('SELECT generation FROM meta WHERE id = 1', [])
        const [last] = await query(
          'SELECT seq, line FROM audit_records ORDER BY seq DESC LIMIT 1',
          [],
        )
        if (meta === undefined) throw new StorageUnavailable()
        const before = last && rowOf(last)
        const [mine] = isBefore(own, before)
          ? await query('SELECT seq, line FROM audit_records WHERE seq = $1', [own])
          : []
        for (const { seq, line } of make(before, String(meta['generation']), mine && rowOf(mine)))
          await query('INSERT INTO audit_records (seq, line) VALUES ($1, $2)', [seq, line])
        await query('COMMIT', [])
      } catch (thrown) {
        await query('ROLLBACK', []).catch(() => undefined)
        throw failureOf(thrown)
      }
    },
    close: () => connection.close(),
  }
}

const rowOf = (row: Row): AuditRow => ({ seq: Number(row['seq']), line: String(row['line']) })

interface Connection {
  readonly begin: readonly string[]
  readonly query: (sql: string, values: readonly (string | number)[]) => Promise<readonly Row[]>
  readonly close: () => Promise<void>
}

const BUSY_TIMEOUT_MS = 5_000
const STATEMENT_TIMEOUT_MS = 15_000

function connect(database: Database): Promise<Connection> {
  return database.kind === 'sqlite'
    ? // Asynchronous, so that what it throws is a rejection as with the other engine.
      Promise.resolve().then(() => toSqlite(database.dataDir))
    : toPostgres(database)
}

function toSqlite(dataDir: string): Connection {
  const file = new BetterSqlite3(join(dataDir, DATABASE_FILE), {
    fileMustExist: true,
    timeout: BUSY_TIMEOUT_MS,
  })
  file.pragma('synchronous = FULL')
  file.pragma('fullfsync = ON')
  file.pragma('trusted_schema = OFF')
  return {
    begin: ['BEGIN IMMEDIATE'],
    query: (sql, values) =>
      Promise.resolve().then(() => {
        const statement = file.prepare(sql.replace(/\$\d+/g, '?'))
        if (statement.reader) return statement.all(...values) as Row[]
        statement.run(...values)
        return []
      }),
    close: () => Promise.resolve().then(() => void file.close()),
  }
}

async function toPostgres(database: Database & { readonly kind: 'postgres' }): Promise<Connection> {
  const client = await connectClient(database, {
    application_name: 'vertex-audit',
    statement_timeout: STATEMENT_TIMEOUT_MS,
    query_timeout: STATEMENT_TIMEOUT_MS + 5_000,
  })
  return {
    begin: ['START TRANSACTION ISOLATION LEVEL READ COMMITTED', ALONE_IN_AUDIT],
    query: async (sql, values) => (await client.query<Row>(sql, [...values])).rows,
    close: () => client.end().catch(() => undefined),
  }
}

function failureOf(thrown: unknown): Error {
  if (thrown instanceof StorageUnavailable || thrown instanceof StoreRefused) return thrown
  if (thrown instanceof LoginUnavailable)
    return new StoreRefused(
      'cannot write the database of DATABASE_URL: it has no password, and the managed identity gives no token',
    )
  const failure = classify(thrown)
  return failure.kind === 'lost_race' ? new StorageUnavailable() : failure.error
}
