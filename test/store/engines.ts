import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import BetterSqlite3 from 'better-sqlite3'
import pg from 'pg'
import type { Database } from '../../src/store/index.js'
import type { RowIdentity, RowSeal } from '../../src/vault/ports.js'
import { missingPostgres, startPostgres, type TestPostgres } from '../support/postgres.js'

/** One kind of database to run the contract on. */
export interface TestEngine {
  readonly name: string
  /** Why this engine is not here; the tests are then skipped under a name that says so. */
  readonly missing: string | undefined
  /** A new, empty database. */
  create(): Promise<Database>
  /** Deletes every database it made. */
  cleanUp(): Promise<void>
}

const sqlite = (): TestEngine => {
  const folders: string[] = []
  return {
    name: 'SQLite',
    missing: undefined,
    create() {
      const folder = mkdtempSync(join(tmpdir(), 'vertex-store-'))
      folders.push(folder)
      return Promise.resolve({ kind: 'sqlite', dataDir: join(folder, 'data') })
    },
    cleanUp() {
      for (const folder of folders) rmSync(folder, { recursive: true, force: true })
      return Promise.resolve()
    },
  }
}

const postgres = (): TestEngine => {
  const missing = missingPostgres()
  let server: Promise<TestPostgres> | undefined
  return {
    name: missing === undefined ? 'Postgres' : `Postgres (skipped: ${missing})`,
    missing,
    async create() {
      server ??= startPostgres()
      return { kind: 'postgres', url: await (await server).createDatabase() }
    },
    async cleanUp() {
      await (await server)?.stop()
      server = undefined
    },
  }
}

export const engines: readonly TestEngine[] = [sqlite(), postgres()]

/** AES-256-GCM with the row as associated data: what the store asks of a row seal, and no more. */
export function testSeal(storageKey: Uint8Array): RowSeal {
  const keyFor = (salt: Uint8Array) =>
    Buffer.from(hkdfSync('sha256', storageKey, salt, 'test row seal', 32))
  const associated = (row: RowIdentity) =>
    Buffer.from(JSON.stringify([row.table, row.id, row.column]))
  const iv = Buffer.alloc(12)
  return {
    seal(row, plaintext) {
      const salt = randomBytes(32)
      const cipher = createCipheriv('aes-256-gcm', keyFor(salt), iv, { authTagLength: 16 })
      cipher.setAAD(associated(row))
      const body = Buffer.concat([cipher.update(plaintext), cipher.final()])
      return new Uint8Array(Buffer.concat([salt, cipher.getAuthTag(), body]))
    },
    open(row, sealed) {
      const [salt, tag, body] = [sealed.slice(0, 32), sealed.slice(32, 48), sealed.slice(48)]
      const decipher = createDecipheriv('aes-256-gcm', keyFor(salt), iv, { authTagLength: 16 })
      decipher.setAAD(associated(row)).setAuthTag(tag)
      return new Uint8Array(Buffer.concat([decipher.update(body), decipher.final()]))
    },
  }
}

export const storageKey = new Uint8Array(32).fill(7)
export const clock = { now: () => 1_700_000_000_000 }

/** Runs SQL behind the store's back, as somebody with access to the database could. */
export async function sql(
  database: Database,
  statement: string,
): Promise<Record<string, unknown>[]> {
  if (database.kind === 'sqlite') {
    const connection = new BetterSqlite3(join(database.dataDir, 'vertex.db'))
    try {
      const prepared = connection.prepare(statement)
      if (prepared.reader) return prepared.all() as Record<string, unknown>[]
      prepared.run()
      return []
    } finally {
      connection.close()
    }
  }
  const client = new pg.Client({ connectionString: database.url })
  await client.connect()
  try {
    return (await client.query<Record<string, unknown>>(statement)).rows
  } finally {
    await client.end()
  }
}
