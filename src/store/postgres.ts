import { DataSource, MigrationExecutor, type QueryRunner } from 'typeorm'
import pg from 'pg'
import { StorageUnavailable } from '../vault/ports.js'
import { classify, codeOf, LoginUnavailable, StoreRefused } from './errors.js'
import type { DatabaseEngine, Row } from './engine.js'
import { connectionTo, type TokenFor } from './postgres-login.js'
import { migrations } from './migrations/index.js'
import { assertKnownMigrations } from './migrations/known.js'
import { tables, type MoreTables } from './tables.js'

/** One key for all processes that migrate the same database: the bytes "vertexmg". */
const MIGRATION_LOCK = '8531350913367436647'
/** One key for all processes that append to the same audit log: the bytes "vertexau". */
export const ALONE_IN_AUDIT = 'SELECT pg_advisory_xact_lock(8531350913367433589)'
/** One key for all processes that append to the directory's log: the bytes "vertexlg". */
const ALONE_IN_LOG = 'SELECT pg_advisory_xact_lock(8531350913367436391)'
/** One key for all processes that append to the keyserver's chain: the bytes "vertexks". */
const ALONE_IN_CHAIN = 'SELECT pg_advisory_xact_lock(8531350913367436147)'

const CONNECT_TIMEOUT_MS = 5_000
const STATEMENT_TIMEOUT_MS = 15_000
const LOCK_TIMEOUT_MS = 10_000
const IDLE_IN_TRANSACTION_TIMEOUT_MS = 40_000
const MIGRATION_TIMEOUT_MS = 600_000

/** Where a database server is, and how it is logged in to. */
export interface PostgresPlace {
  /** postgres://…; TLS by `sslmode` (see docs/operations/database.md) */
  readonly url: string
  /** Where a token for a URL without a password comes from. */
  readonly tokenFor?: TokenFor
  readonly poolSize?: number
  /** What the operator named it with. */
  readonly setting?: string
}

/**
 * Opens a database server's database.
 * @throws StoreRefused when the server cannot be used, StorageUnavailable when it cannot be reached
 */
export async function openPostgres(
  { url, tokenFor, poolSize = 10, setting = 'DATABASE_URL' }: PostgresPlace,
  more: MoreTables = () => [],
): Promise<DatabaseEngine> {
  const dataSource = new DataSource({
    type: 'postgres',
    driver: pg,
    entities: [...tables('postgres'), ...more('postgres')],
    migrations,
    migrationsTableName: 'migrations',
    synchronize: false,
    installExtensions: false,
    logging: false,
    invalidWhereValuesBehavior: { null: 'throw', undefined: 'throw' },
    applicationName: 'vertex',
    poolSize,
    connectTimeoutMS: CONNECT_TIMEOUT_MS,
    // An idle connection that breaks is dropped by the pool; the next unit of work finds out by itself.
    poolErrorHandler: () => undefined,
    extra: {
      ...connectionTo(url, tokenFor),
      keepAlive: true,
      statement_timeout: STATEMENT_TIMEOUT_MS,
      lock_timeout: LOCK_TIMEOUT_MS,
      idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_TIMEOUT_MS,
      // On this side too, for a server that has gone silent. Longer than the server's own.
      query_timeout: STATEMENT_TIMEOUT_MS + 5_000,
    },
  })
  try {
    await dataSource.initialize()
  } catch (thrown) {
    throw refusedServer(thrown, setting)
  }
  return {
    kind: 'postgres',
    dataSource,
    // A hot standby refuses serializable transactions: it might be behind, and must not answer "no such key".
    begin: 'START TRANSACTION ISOLATION LEVEL SERIALIZABLE',
    // A serializable one would see the log as it was before it got the lock.
    beginAppending: ['START TRANSACTION ISOLATION LEVEL READ COMMITTED', ALONE_IN_AUDIT],
    beginLogging: ['START TRANSACTION ISOLATION LEVEL READ COMMITTED', ALONE_IN_LOG],
    beginChaining: ['START TRANSACTION ISOLATION LEVEL READ COMMITTED', ALONE_IN_CHAIN],
    aloneInAudit: ALONE_IN_AUDIT,
    oneConnection: false,
    migrate: () => migrate(dataSource),
    assertDurable: () => assertDurable(dataSource),
    async statement(sql, values) {
      const { master } = dataSource.driver as unknown as { readonly master: pg.Pool }
      // Without a name: a prepared statement would not survive a pgbouncer in transaction mode.
      return (await master.query<Row>(sql, [...values])).rows
    },
    discard,
    close: () => dataSource.destroy(),
  }
}

/** Breaks the connection before letting go: with a statement that never ended it must not serve another unit. */
async function discard(runner: QueryRunner): Promise<void> {
  try {
    const client = (await runner.connect()) as pg.PoolClient & pg.Client
    void client.end().catch(() => undefined)
  } catch {
    // There never was a connection.
  }
  await runner.release()
}

/** All pending migrations in one transaction, under a lock that ends with it: the second process finds them done. */
async function migrate(dataSource: DataSource): Promise<void> {
  const runner = dataSource.createQueryRunner()
  try {
    await runner.startTransaction('READ COMMITTED')
    await runner.query(`SET LOCAL lock_timeout = ${MIGRATION_TIMEOUT_MS}`)
    await runner.query(`SET LOCAL statement_timeout = ${MIGRATION_TIMEOUT_MS}`)
    await runner.query('SELECT pg_advisory_xact_lock($1)', [MIGRATION_LOCK])
    await assertKnownMigrations(dataSource, runner)
    const executor = new MigrationExecutor(dataSource, runner)
    executor.transaction = 'none'
    await executor.executePendingMigrations()
    await runner.commitTransaction()
  } catch (thrown) {
    await runner.rollbackTransaction().catch(() => undefined)
    if (thrown instanceof StoreRefused) throw thrown
    const failure = classify(thrown)
    throw failure.kind === 'lost_race' ? new StorageUnavailable() : failure.error
  } finally {
    await runner.release().catch(() => undefined)
  }
}

async function assertDurable(dataSource: DataSource): Promise<void> {
  const settings = await setting(dataSource)
  if (!['on', 'remote_apply'].includes(settings.synchronous_commit))
    throw new StoreRefused(
      `the database has synchronous_commit=${settings.synchronous_commit}: set it to on, or acknowledged keys can be lost`,
    )
  if (settings.read_only !== 'off')
    throw new StoreRefused('the database is read-only: a standby, or short of space')
  if (settings.fsync !== 'on' || settings.full_page_writes !== 'on')
    throw new StoreRefused(
      'the database runs with fsync or full_page_writes off: acknowledged keys can be lost',
    )
}

interface DurabilitySettings {
  readonly synchronous_commit: string
  readonly fsync: string
  readonly full_page_writes: string
  readonly read_only: string
}

async function setting(dataSource: DataSource): Promise<DurabilitySettings> {
  try {
    const rows = await dataSource.query<DurabilitySettings[]>(
      `SELECT current_setting('synchronous_commit') AS synchronous_commit,
              current_setting('fsync') AS fsync,
              current_setting('full_page_writes') AS full_page_writes,
              current_setting('transaction_read_only') AS read_only`,
    )
    return rows[0]!
  } catch (thrown) {
    const failure = classify(thrown)
    throw failure.kind === 'lost_race' ? new StorageUnavailable() : failure.error
  }
}

/** Without the URL: it holds a password. */
function refusedServer(thrown: unknown, setting: string): StoreRefused {
  if (thrown instanceof StoreRefused) return thrown
  if (thrown instanceof LoginUnavailable)
    return new StoreRefused(
      `cannot use the database of ${setting}: it has no password, and the managed identity gives no token`,
    )
  const code = codeOf(thrown) ?? 'no connection'
  const hint = code === '28P01' || code === '28000' ? 'it refuses the user or the password' : code
  return new StoreRefused(`cannot use the database of ${setting}: ${hint}`)
}
