import { TypeORMError, type EntityManager } from 'typeorm'
import { StorageUnavailable, type Clock, type RowSeal } from '../vault/ports.js'
import { bundledTables, sealedAnew, type BundledRow, type Cell } from './bundled.js'
import type { DatabaseEngine } from './engine.js'
import { classify, StoreRefused } from './errors.js'
import { postgresLease, type Lease } from './lease.js'
import { mustBeEmpty } from './look.js'
import { openEngine, type Database } from './open.js'
import { Sealer } from './sealer.js'
import { Unit } from './unit.js'
import { StoreUnitOfWork } from './unit-of-work.js'

/** The one transaction of a restore. */
export interface Restoring {
  /** The verbs of a unit of work. */
  readonly uow: StoreUnitOfWork
  /** How many rows stand where there may be none, by table. Tables without any are left out. */
  readonly occupied: () => Promise<Readonly<Record<string, number>>>
  /** Writes rows of a bundle, in their order; shares are sealed under this database's storage key. */
  readonly insert: (rows: AsyncIterable<BundledRow>) => Promise<void>
}

/**
 * Opens a database that no server uses, keeps servers out until it is done, brings its tables up to date, and does
 * `work` in one transaction: however it ends, all of it is kept or nothing.
 * @throws StoreRefused when a server uses it or it cannot be used; StorageUnavailable; whatever `work` throws
 */
export async function restoreDatabase<T>(
  { database, rowSeal, clock }: { database: Database; rowSeal: RowSeal; clock: Clock },
  work: (restoring: Restoring) => Promise<T>,
): Promise<T> {
  // On SQLite this takes the lock.
  const engine = await openEngine(database)
  let lease: Lease | undefined
  try {
    await engine.assertDurable()
    // Before the tables of a server are changed, where there can be one.
    if (await hasLeases(engine)) lease = await leaseOf(database)
    await engine.migrate()
    lease ??= await leaseOf(database)
    const mine = () => lease === undefined || lease.held
    return await transaction(engine, rowSeal, clock, mine, work)
  } finally {
    await lease?.end()
    await engine.close()
  }
}

async function hasLeases({ kind, dataSource }: DatabaseEngine): Promise<boolean> {
  if (kind === 'sqlite') return false
  const [row] = await dataSource.query<{ made: boolean }[]>(
    `SELECT to_regclass('leases') IS NOT NULL AS made`,
  )
  return row!.made
}

/** @throws StoreRefused where a server holds it */
async function leaseOf(database: Database): Promise<Lease | undefined> {
  if (database.kind === 'sqlite') return undefined
  const lease = postgresLease(database, () => undefined)
  try {
    await lease.begin()
    return lease
  } catch (error) {
    await lease.end()
    throw error
  }
}

async function transaction<T>(
  engine: DatabaseEngine,
  rowSeal: RowSeal,
  clock: Clock,
  isMine: () => boolean,
  work: (restoring: Restoring) => Promise<T>,
): Promise<T> {
  const runner = engine.dataSource.createQueryRunner()
  const { manager } = runner
  const unit = new Unit(manager, new Sealer(rowSeal))
  try {
    await runner.query(engine.begin)
    const uow = new StoreUnitOfWork(unit)
    // Gives it its generation, or proves the storage key.
    await uow.meta.begin(clock.now())
    const value = await work({
      uow,
      occupied: () => occupied(manager),
      insert: (rows) => insert(engine, manager, rowSeal, rows),
    })
    await unit.end()
    if (!isMine()) throw new StorageUnavailable({ cause: new Error('the lease was lost') })
    await runner.query('COMMIT')
    return value
  } catch (thrown) {
    await runner.query('ROLLBACK').catch(() => undefined)
    throw refusal(thrown, unit)
  } finally {
    await runner.release().catch(() => undefined)
  }
}

async function occupied(manager: EntityManager): Promise<Record<string, number>> {
  const found: Record<string, number> = {}
  for (const name of mustBeEmpty) {
    const rows = await manager.count(name)
    if (rows > 0) found[name] = rows
  }
  return found
}

/** Rows of one statement. SQLite takes 32,766 values in one, Postgres 65,535. */
const BATCH = 200

async function insert(
  engine: DatabaseEngine,
  manager: EntityManager,
  rowSeal: RowSeal,
  rows: AsyncIterable<BundledRow>,
): Promise<void> {
  let table = 0
  let batch: (readonly Cell[])[] = []
  // Nothing was kept under those of a first start, and the next start would ask for them: the newest recorded one.
  await manager.query(`DELETE FROM recorded_secrets WHERE kind = 'backup'`)
  const flush = async () => {
    if (batch.length > 0) await manager.query(...statement(engine, table, batch))
    batch = []
  }
  for await (const row of rows) {
    if (row.table !== table || batch.length === BATCH) await flush()
    table = row.table
    batch.push(sealedAnew(rowSeal, row))
  }
  await flush()
}

function statement(
  { kind }: DatabaseEngine,
  table: number,
  rows: readonly (readonly Cell[])[],
): [sql: string, values: unknown[]] {
  const { name, columns } = bundledTables[table]!
  const values: unknown[] = []
  const place = (cell: Cell) => {
    values.push(kind === 'sqlite' && typeof cell === 'boolean' ? Number(cell) : cell)
    return kind === 'sqlite' ? '?' : `$${values.length}`
  }
  const tuples = rows.map((cells) => `(${cells.map(place).join(', ')})`).join(', ')
  const names = columns.map((column) => `"${column.name}"`).join(', ')
  // The vault's name, which a first start recorded, is in the bundle as well.
  const onConflict = name === 'recorded_secrets' ? ' ON CONFLICT DO NOTHING' : ''
  return [`INSERT INTO "${name}" (${names}) VALUES ${tuples}${onConflict}`, values]
}

/** What the database says is never passed on with its statement. */
function refusal(thrown: unknown, unit: Unit): unknown {
  const failure = unit.failure ?? (thrown instanceof TypeORMError ? classify(thrown) : undefined)
  if (failure === undefined) return thrown
  if (failure.kind === 'lost_race') return new StorageUnavailable()
  if (failure.kind === 'conflict')
    return new StoreRefused('the rows contradict each other, or somebody else wrote meanwhile')
  return failure.error
}
