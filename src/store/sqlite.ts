import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readSync,
  statSync,
} from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { DataSource } from 'typeorm'
import { codeOf, StoreRefused } from './errors.js'
import type { DatabaseEngine, Row } from './engine.js'
import { migrations } from './migrations/index.js'
import { assertKnownMigrations } from './migrations/known.js'
import { tables, type MoreTables } from './tables.js'

export const DATABASE_FILE = 'vertex.db'
export const LOCK_FILE = 'vertex.lock'

/** Where an embedded database lies. */
export interface SqlitePlace {
  readonly dataDir: string
  /** The name of its file in there, where it is not the vault's. */
  readonly file?: string
  /** What the operator named the place with. */
  readonly setting?: string
  /**
   * For an operator's command that writes a few rows, in short units, while a server may have the database: nobody is
   * kept out, and its tables must be there.
   */
  readonly beside?: boolean
}

const settingOf = ({ setting }: SqlitePlace) => setting ?? 'VERTEX_DATA_DIR'

/** The lock of the vault's database is the one of its directory; any other has one of its own. */
const lockFile = ({ file }: SqlitePlace) =>
  file === undefined || file === DATABASE_FILE ? LOCK_FILE : `${file}.lock`

/** No other server holds the database; an operator may for a moment. Short, because waiting stops the whole process. */
const BUSY_TIMEOUT_MS = 1_000

/** Whether there is a database in this data directory already. */
export function sqliteDatabaseExists(dataDir: string): boolean {
  const file = join(dataDir, DATABASE_FILE)
  return existsSync(file) && statSync(file).size > 0
}

/**
 * Opens the embedded database of a data directory, makes it when there is none (directory 0700, files 0600), and
 * keeps every other process out.
 * @throws StoreRefused
 */
export async function openSqlite(
  place: SqlitePlace,
  more: MoreTables = () => [],
): Promise<DatabaseEngine> {
  const { dataDir } = place
  const file = join(dataDir, place.file ?? DATABASE_FILE)
  prepareFiles(place)
  const unlock = place.beside === true ? () => undefined : lock(place)
  let connection: Database.Database | undefined
  const dataSource = new DataSource({
    type: 'better-sqlite3',
    driver: Database,
    database: file,
    timeout: BUSY_TIMEOUT_MS,
    prepareDatabase: (database) => prepareDatabase((connection = database as Database.Database)),
    entities: [...tables('sqlite'), ...more('sqlite')],
    migrations,
    migrationsTableName: 'migrations',
    synchronize: false,
    logging: false,
    invalidWhereValuesBehavior: { null: 'throw', undefined: 'throw' },
  })
  const close = async () => {
    if (dataSource.isInitialized) await dataSource.destroy()
    unlock()
  }
  try {
    await dataSource.initialize()
    syncDirectory(dataDir)
    if (hasForeignTables(connection!))
      throw new StoreRefused(
        `the database ${file} has tables of another program: name another one with ${settingOf(place)}`,
      )
  } catch (cause) {
    await close()
    if (cause instanceof StoreRefused) throw cause
    throw refusedFile(place, file, cause)
  }
  return {
    kind: 'sqlite',
    dataSource,
    // The write lock at once, so that nothing can fail half way because of a copy being made.
    begin: 'BEGIN IMMEDIATE',
    beginAppending: ['BEGIN IMMEDIATE'],
    beginLogging: ['BEGIN IMMEDIATE'],
    beginChaining: ['BEGIN IMMEDIATE'],
    aloneInAudit: 'SELECT 1',
    oneConnection: true,
    async migrate() {
      await assertKnownMigrations(dataSource)
      if (place.beside !== true) await dataSource.runMigrations({ transaction: 'all' })
      else if (await dataSource.showMigrations())
        throw new StoreRefused(
          `${file} is not a database of this version of the server: start it once, or check ${settingOf(place)}`,
        )
    },
    async assertDurable() {
      const [mode] = await dataSource.query<{ journal_mode: string }[]>('PRAGMA journal_mode')
      const [sync] = await dataSource.query<{ synchronous: number }[]>('PRAGMA synchronous')
      if (mode?.journal_mode !== 'wal' || sync?.synchronous !== 2)
        throw new StoreRefused('the data directory is on a file system without shared memory (WAL)')
    },
    statement: runner(() => connection!),
    discard: (runner) => runner.release(),
    close,
  }
}

function runner(connection: () => Database.Database): DatabaseEngine['statement'] {
  const prepared = new Map<string, Database.Statement>()
  return (sql, values) =>
    // Asynchronous, so that what it throws is a rejection as with any other driver.
    Promise.resolve().then(() => {
      let statement = prepared.get(sql)
      if (statement === undefined) {
        statement = connection().prepare(sql.replace(/\$\d+/g, '?'))
        prepared.set(sql, statement)
      }
      return statement.all(...values) as Row[]
    })
}

/** Whether there are tables, and no list of what we did to them. */
function hasForeignTables(database: Database.Database): boolean {
  const names = database
    .prepare(`SELECT name FROM sqlite_master WHERE type = 'table'`)
    .pluck()
    .all()
  return names.length > 0 && !names.includes('migrations')
}

/**
 * better-sqlite3 is compiled so that WAL means `synchronous=NORMAL`, which does not sync on commit, while the pragma
 * reads 2 all the same. It must be set, and after WAL.
 */
function prepareDatabase(database: Database.Database): void {
  database.pragma('journal_mode = WAL')
  database.pragma('synchronous = FULL')
  // macOS: fsync alone does not reach the disk.
  database.pragma('fullfsync = ON')
  database.pragma('foreign_keys = ON')
  // What is deleted (setups, identities) is overwritten in the file.
  database.pragma('secure_delete = ON')
  database.pragma('trusted_schema = OFF')
}

function prepareFiles(place: SqlitePlace): void {
  const { dataDir } = place
  const database = place.file ?? DATABASE_FILE
  try {
    assertDatabase(place, join(dataDir, database))
    // Only a directory of our making is 0700: somebody else's may have other uses.
    mkdirSync(dataDir, { recursive: true, mode: 0o700 })
    for (const name of [database, lockFile(place)]) {
      const path = join(dataDir, name)
      // SQLite gives new -wal and -shm files the mode of the database.
      closeSync(openSync(path, 'a', 0o600))
      chmodSync(path, 0o600)
    }
    for (const name of [`${database}-wal`, `${database}-shm`]) {
      const left = join(dataDir, name)
      if (existsSync(left)) chmodSync(left, 0o600)
    }
    syncDirectory(dataDir)
  } catch (cause) {
    if (cause instanceof StoreRefused) throw cause
    throw refusedFile(place, dataDir, cause)
  }
}

/** Before anything is done to a file that is somebody else's. @throws StoreRefused */
function assertDatabase(place: SqlitePlace, path: string): void {
  if (!existsSync(path) || statSync(path).size === 0) return
  const head = Buffer.alloc(16)
  const file = openSync(path, 'r')
  try {
    readSync(file, head, 0, head.length, 0)
  } finally {
    closeSync(file)
  }
  if (head.toString('latin1') !== 'SQLite format 3\0')
    throw new StoreRefused(`${path} is no SQLite database: check ${settingOf(place)}`)
}

/** The entries of new files are durable only once their directory is. */
function syncDirectory(dataDir: string): void {
  const directory = openSync(dataDir, 'r')
  try {
    fsyncSync(directory)
  } finally {
    closeSync(directory)
  }
}

/**
 * Takes the data directory for this process, by a lock of the operating system that ends with the process, however
 * it ends. Not on the database itself, so that copies can be made while the server runs.
 */
function lock(place: SqlitePlace): () => void {
  const { dataDir } = place
  const database = new Database(join(dataDir, lockFile(place)), { timeout: 0 })
  try {
    database.exec('BEGIN EXCLUSIVE')
  } catch (cause) {
    database.close()
    if (codeOf(cause)?.startsWith('SQLITE_BUSY') === true)
      throw new StoreRefused(
        place.file === undefined
          ? `the data directory ${dataDir} is in use by another process: stop it, or set VERTEX_DATA_DIR`
          : `the database ${join(dataDir, place.file)} is in use by another process: stop it, or name another one with ${settingOf(place)}`,
      )
    throw refusedFile(place, dataDir, cause)
  }
  return () => database.close()
}

function refusedFile(place: SqlitePlace, path: string, cause: unknown): StoreRefused {
  const code = codeOf(cause) ?? 'unknown error'
  return new StoreRefused(
    `cannot open the database at ${path} (${code}): check ${settingOf(place)}`,
  )
}
