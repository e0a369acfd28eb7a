import type { Config } from '../config.js'
import { managedIdentity } from '../seal/index.js'
import { openSnapshot, type Database, type Snapshot } from '../store/index.js'
import { StartRefused } from '../vault/index.js'
import { shown, type TakeNote } from './notes.js'

/** The database of the configuration, with the login that only a managed identity has. */
export function databaseOf({ database }: Config): Database {
  if (database.kind === 'sqlite') return database
  return { kind: 'postgres', url: database.url, tokenFor: managedIdentity(database.clientId) }
}

/** The database of the configuration at this moment, beside the server that uses it. @throws StartRefused where there is none */
export async function snapshotOf(config: Config): Promise<Snapshot> {
  const snapshot = await openSnapshot(databaseOf(config))
  if (snapshot === undefined) throw new StartRefused('VERTEX_DATA_DIR: there is no database here')
  return snapshot
}

export function describeDatabase(config: Config, note: TakeNote): void {
  if (config.database.kind === 'postgres') {
    note('info', 'the database is Postgres')
    return
  }
  note('info', `the database is the embedded one in ${shown(config.database.dataDir)}`)
  note(
    'info',
    'after putting back an older copy of the database, run vertex restore --in-place before the next start',
  )
}
