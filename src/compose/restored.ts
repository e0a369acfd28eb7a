import type { Logger } from 'pino'
import type { Config } from '../config.js'
import { rowSeal } from '../seal/index.js'
import { openStore, sqliteDatabaseExists } from '../store/index.js'
import { markRestored, StartRefused, type VaultEvent } from '../vault/index.js'
import { openAudit } from './audit.js'
import { clock } from './clock.js'
import { databaseOf } from './database.js'
import { sealLogger } from './logging.js'
import { loadStorageKey } from './secrets.js'

/**
 * What `npm run restored` does after a database was put back from an older copy.
 * @returns the new generation
 */
export async function markDatabaseRestored(config: Config, logger: Logger): Promise<string> {
  if (config.database.kind === 'sqlite' && !sqliteDatabaseExists(config.database.dataDir))
    throw new StartRefused('VERTEX_DATA_DIR: there is no database here')
  const storageKey = await loadStorageKey(config, sealLogger(logger))
  const store = await openStore({
    database: databaseOf(config),
    rowSeal: rowSeal(storageKey.key),
    clock,
  })
  try {
    const log = (event: VaultEvent) => {
      logger.info(event)
    }
    const { generation } = await markRestored(store, clock, log)
    await openAudit(store, storageKey.key, clock, log)
    return generation
  } finally {
    await store.close()
  }
}
