import type { Config } from '../config.js'
import { managedIdentity } from '../seal/index.js'
import type { Database } from '../store/index.js'
import { shown, type TakeNote } from './notes.js'

/** The database of the configuration, with the login that only a managed identity has. */
export function databaseOf({ database }: Config): Database {
  if (database.kind === 'sqlite') return database
  return { kind: 'postgres', url: database.url, tokenFor: managedIdentity(database.clientId) }
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
