import { QueryFailedError, TypeORMError } from 'typeorm'
import type { Clock, RowSeal, VaultStore } from '../vault/ports.js'
import type { DatabaseEngine } from './engine.js'
import { StoreRefused } from './errors.js'
import { openPostgres, type PostgresPlace } from './postgres.js'
import { Sealer } from './sealer.js'
import { openSqlite, type SqlitePlace } from './sqlite.js'
import { TypeormStore, type UnitStore } from './store.js'
import type { MoreTables } from './tables.js'

/** Which database: an embedded one in a directory, or a server. */
export type Database =
  ({ readonly kind: 'sqlite' } & SqlitePlace) | ({ readonly kind: 'postgres' } & PostgresPlace)

export interface StoreOptions {
  readonly database: Database
  /** Seals what is secret, under the storage key. */
  readonly rowSeal: RowSeal
  readonly clock: Clock
  /** Of other parts of the service. */
  readonly more?: MoreTables
}

/** A store that also says how much it has to do. */
export interface OpenStore extends VaultStore, UnitStore {
  /** Units of work and reads that have begun or wait for their turn. */
  readonly pending: number
}

/**
 * Opens the store: connects, proves that commits are durable, brings the tables up to date, gives a new database its
 * generation, and proves that the storage key is the one of this database.
 * @throws StoreRefused with a message for the operator; StorageUnavailable when the database went away meanwhile
 */
export async function openStore(options: StoreOptions): Promise<OpenStore> {
  const engine = await openEngine(options.database, options.more)
  const store = new TypeormStore(engine, new Sealer(options.rowSeal))
  try {
    await engine.assertDurable()
    await engine.migrate()
    await assertWhereThrows(engine)
    await store.runVerbs((uow) => uow.meta.begin(options.clock.now()))
    return store
  } catch (thrown) {
    await store.close()
    throw thrown
  }
}

/**
 * Opens a database for parts of the service that seal nothing and belong to no vault. The tables are all there, so that
 * a vault may begin in the same database.
 * @throws as {@link openStore}
 */
export async function openUnsealed(database: Database, more: MoreTables): Promise<UnsealedStore> {
  const engine = await openEngine(database, more)
  const store = new TypeormStore(engine, new Sealer({ seal: sealsNothing, open: sealsNothing }))
  try {
    await engine.assertDurable()
    await engine.migrate()
    return store
  } catch (thrown) {
    await store.close()
    throw thrown
  }
}

/** A database without its vault. */
export interface UnsealedStore extends UnitStore {
  /** Waits for units under way, then closes. */
  close(): Promise<void>
}

function sealsNothing(): never {
  throw new Error('there is no storage key here')
}

/** Connects and nothing else. */
export function openEngine(database: Database, more?: MoreTables): Promise<DatabaseEngine> {
  return database.kind === 'sqlite' ? openSqlite(database, more) : openPostgres(database, more)
}

/** A condition on `undefined` must never mean "any row". Asked of the library itself, not of the options. */
async function assertWhereThrows({ dataSource }: DatabaseEngine): Promise<void> {
  for (const nothing of [undefined, null]) {
    const asked = dataSource.manager.findOneBy('users', { userId: nothing as unknown as string })
    const threw = await asked.then(
      () => false,
      (error: unknown) => error instanceof TypeORMError && !(error instanceof QueryFailedError),
    )
    if (!threw) throw new StoreRefused('this TypeORM answers conditions on nothing with any row')
  }
}
