import type { RowSeal } from '../vault/ports.js'
import { bundledTables } from './bundled.js'
import { StoreRefused } from './errors.js'
import { openSentinel } from './meta.js'
import { migrations } from './migrations/index.js'
import type { Database } from './open.js'
import { Sealer } from './sealer.js'
import { isInUse, openSnapshot, tablesOf, type Snapshot } from './snapshot.js'

/** What a database is, found out without touching it. */
export interface Look {
  /** Whether it has tables of ours. */
  readonly made: boolean
  /** Whether this version would first bring its tables up to date. */
  readonly older: boolean
  /** Whether a server uses it now. */
  readonly inUse: boolean
  /** Undefined where no server was ever started on it. */
  readonly generation: string | undefined
  readonly vaultName: string | undefined
  /** Rows by table. */
  readonly rows: Readonly<Record<string, number>>
}

/**
 * Looks at a database beside whoever uses it.
 * @throws StoreRefused when it is of a newer version or of another storage key, or cannot be read; StorageUnavailable
 */
export async function lookAt(database: Database, rowSeal: RowSeal): Promise<Look> {
  const snapshot = await openSnapshot(database)
  if (snapshot === undefined) return nothing
  try {
    const tables = await tablesOf(snapshot)
    if (!tables.has('meta')) return nothing
    const missing = await missingMigrations(snapshot)
    const meta = await metaOf(snapshot, rowSeal)
    const rows: Record<string, number> = {}
    for (const name of [...mustBeEmpty, 'audit_records'])
      rows[name] = tables.has(name) ? await countOf(snapshot, name) : 0
    const [recorded] = await all(
      snapshot,
      `SELECT name FROM recorded_secrets WHERE kind = 'vault' ORDER BY recorded_at`,
    )
    return {
      made: true,
      older: missing > 0,
      inUse: await isInUse(database, snapshot),
      generation: meta,
      vaultName: recorded === undefined ? undefined : String(recorded['name']),
      rows,
    }
  } finally {
    await snapshot.close()
  }
}

const nothing: Look = {
  made: false,
  older: false,
  inUse: false,
  generation: undefined,
  vaultName: undefined,
  rows: {},
}

/** Tables in which a row means that a vault lives here. What a first start leaves is not in them. */
export const mustBeEmpty: readonly string[] = [
  ...bundledTables.map(({ name }) => name).filter((name) => name !== 'recorded_secrets'),
  'pending_keys',
  'ot_setups',
]

/**
 * Proves that a snapshot is of a database that this version knows whole, and of this storage key.
 * @returns its generation. @throws StoreRefused
 */
export async function assertCurrent(snapshot: Snapshot, rowSeal: RowSeal): Promise<string> {
  const tables = await tablesOf(snapshot)
  if (!tables.has('meta')) throw new StoreRefused('there is no vault in this database')
  if ((await missingMigrations(snapshot)) > 0)
    throw new StoreRefused(
      'this database was last used by an older version: start the server of this version on it once',
    )
  const generation = await metaOf(snapshot, rowSeal)
  if (generation === undefined) throw new StoreRefused('there is no vault in this database')
  return generation
}

/** How many migrations this database lacks. @throws StoreRefused where it has one that this version does not know */
async function missingMigrations(snapshot: Snapshot): Promise<number> {
  const known = new Set<string>(migrations.map((Migration) => new Migration().name))
  const executed = await all(snapshot, 'SELECT name FROM migrations')
  for (const { name } of executed)
    if (!known.delete(String(name)))
      throw new StoreRefused(
        'this database was changed by a newer version of the server: use that version',
      )
  return known.size
}

/** The generation, where there is one. @throws StoreRefused for another storage key */
async function metaOf(snapshot: Snapshot, rowSeal: RowSeal): Promise<string | undefined> {
  const [row] = await all(snapshot, 'SELECT generation, sentinel FROM meta')
  if (row === undefined) return undefined
  openSentinel(new Sealer(rowSeal), row['sentinel'] as Uint8Array)
  return String(row['generation'])
}

async function countOf(snapshot: Snapshot, table: string): Promise<number> {
  const [row] = await all(snapshot, `SELECT count(*) AS rows FROM "${table}"`)
  return Number(row!['rows'])
}

/** Of a SELECT that finds few rows. */
export async function all(snapshot: Snapshot, select: string) {
  const rows = []
  for await (const row of snapshot.rows(select)) rows.push(row)
  return rows
}
