import { cpSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import pg from 'pg'
import { postgresSettings } from '../bench/vertex.js'
import type { TestPostgres } from '../test/support/postgres.js'

export type EngineName = 'sqlite' | 'postgres'

/** The database of one vault, as the laboratory handles it from outside. */
export interface LabDatabase {
  readonly engine: EngineName
  /** What tells a server of it. */
  readonly settings: Readonly<Record<string, string>>
  /** Keeps a copy of it. No server may use it meanwhile. */
  save(): Promise<void>
  /** Puts the copy in its place. The same holds. */
  putBack(): Promise<void>
  /** Runs one statement on it, beside a server or without one. */
  run(statement: string): Promise<void>
  /** What is damaged in it; undefined when nothing is. */
  damage(): string | undefined
}

export function sqliteIn(folder: string): LabDatabase {
  const data = join(folder, 'data')
  const saved = join(folder, 'saved-data')
  const file = join(data, 'vertex.db')
  const on = <T>(work: (database: Database.Database) => T): T => {
    const database = new Database(file, { timeout: 5_000 })
    try {
      return work(database)
    } finally {
      database.close()
    }
  }
  return {
    engine: 'sqlite',
    settings: {},
    save: () => {
      rmSync(saved, { recursive: true, force: true })
      cpSync(data, saved, { recursive: true })
      return Promise.resolve()
    },
    putBack: () => {
      rmSync(data, { recursive: true })
      cpSync(saved, data, { recursive: true })
      return Promise.resolve()
    },
    run: (statement) => {
      on((database) => database.exec(statement))
      return Promise.resolve()
    },
    damage: () => {
      try {
        const said = on((database) => database.pragma('integrity_check', { simple: true }))
        return said === 'ok' ? undefined : String(said)
      } catch (error) {
        return String(error)
      }
    },
  }
}

export async function postgresFor(folder: string, server: TestPostgres): Promise<LabDatabase> {
  mkdirSync(folder, { recursive: true })
  const url = await server.createDatabase()
  const name = new URL(url).pathname.slice(1)
  const admin = new URL(url)
  admin.pathname = '/postgres'
  const on = async (target: string, ...statements: string[]) => {
    const client = new pg.Client({ connectionString: target })
    await client.connect()
    try {
      for (const statement of statements) await client.query(statement)
    } finally {
      await client.end()
    }
  }
  const copy = (from: string, to: string) =>
    on(
      admin.href,
      `DROP DATABASE IF EXISTS "${to}" WITH (FORCE)`,
      `CREATE DATABASE "${to}" TEMPLATE "${from}"`,
    )
  return {
    engine: 'postgres',
    settings: postgresSettings(folder, url),
    save: () => copy(name, `${name}_saved`),
    putBack: () => copy(`${name}_saved`, name),
    run: (statement) => on(url, statement),
    damage: () => undefined,
  }
}
