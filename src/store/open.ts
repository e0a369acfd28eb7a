import { QueryFailedError, TypeORMError } from 'typeorm'
import type { Clock, RowSeal, VaultStore } from '../vault/ports.js'
import type { DatabaseEngine } from './engine.js'
import { StoreRefused } from './errors.js'
import { openPostgres } from './postgres.js'
import type { TokenFor } from './postgres-login.js'
import { Sealer } from './sealer.js'
import { openSqlite } from './sqlite.js'
import { TypeormStore } from './store.js'

/** Which database: an embedded one in a directory, or a server. */
export type Database =
  | { readonly kind: 'sqlite'; readonly dataDir: string }
  | {
      readonly kind: 'postgres'
      readonly url: string
      readonly poolSize?: number
      /** Where a token for a URL without a password comes from. */
      readonly tokenFor?: TokenFor
    }

export interface StoreOptions {
  readonly database: Database
  /** Seals what is secret, under the storage key. */
  readonly rowSeal: RowSeal
  readonly clock: Clock
}

/** A store that also says how much it has to do. */
export interface OpenStore extends VaultStore {
  /** Units of work and reads that have begun or wait for their turn. */
  readonly pending: number
}

/**
 * Opens the store: connects, proves that commits are durable, brings the tables up to date, gives a new database its
 * generation, and proves that the storage key is the one of this database.
 * @throws StoreRefused with a message for the operator; StorageUnavailable when the database went away meanwhile
 */
export async function openStore(options: StoreOptions): Promise<OpenStore> {
  const engine = await openEngine(options.database)
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

/** Connects and nothing else. */
export function openEngine(database: Database): Promise<DatabaseEngine> {
  return database.kind === 'sqlite'
    ? openSqlite(database.dataDir)
    : openPostgres(database.url, database.tokenFor, database.poolSize)
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
