import { existsSync } from 'node:fs'
import type { Config, KeySourceSetting } from '../config.js'
import { parseAdminToken, readAdminToken, readOrMakeAdminToken } from '../http/admin-token.js'
import {
  createSecretFile,
  loadNewest,
  secretSource,
  StorageKey,
  textInKeyVault,
  type SealLog,
} from '../seal/index.js'
import { sqliteDatabaseExists } from '../store/index.js'
import { StartRefused } from '../vault/index.js'
import { shown, type TakeNote } from './notes.js'

/**
 * Generates what the embedded default lacks, while there is no database: beside one, a missing secret is a lost one,
 * and a new one in its place would make what is there unreadable.
 */
export async function makeEmbeddedSecrets(config: Config, note: TakeNote): Promise<void> {
  const embedded = (source: KeySourceSetting | undefined) =>
    source?.kind === 'embedded' ? source : undefined
  const backup = embedded(config.backup.mode === 'encrypted' ? config.backup.source : undefined)
  const storage = embedded(config.storageKey)
  const isMissing = (source: typeof backup): source is NonNullable<typeof backup> =>
    source !== undefined && !existsSync(source.path)

  const databaseExists =
    config.database.kind === 'sqlite' && sqliteDatabaseExists(config.database.dataDir)
  if (databaseExists)
    for (const source of [backup, storage])
      if (isMissing(source))
        throw new StartRefused(
          `${source.setting}: ${shown(source.path)} is missing, and the database was used with it or has none; put it back or name another file`,
        )
  if (isMissing(backup) && storage !== undefined && existsSync(storage.path))
    throw new StartRefused(
      `${backup.setting}: ${shown(backup.path)} is missing, but the storage key beside it is there; put it back, or remove both to begin anew`,
    )
  // The backup secret first: after a crash between the two, the next start finds it and goes on.
  for (const source of [backup, storage])
    if (isMissing(source)) {
      await createSecretFile(source.setting, source.path)
      if (source === backup)
        note(
          'warn',
          `a backup secret was generated into ${shown(source.path)}; keep a copy elsewhere, because no backup opens without it`,
        )
      else note('info', `a storage key was generated into ${shown(source.path)}`)
    }
}

export async function loadStorageKey(config: Config, log: SealLog) {
  const { bytes, name, version } = await loadNewest(secretSource(config.storageKey, log))
  const key = new StorageKey(bytes, config.vaultName)
  bytes.fill(0)
  const { setting } = config.storageKey
  const versions = [{ fingerprint: key.id, name, version }]
  // Another version of it opens nothing, whatever became of this one.
  return { key, loaded: { setting, versions, disabled: [] } }
}

export async function composeAdminToken(config: Config, note: TakeNote): Promise<string> {
  const { adminToken } = config
  if (adminToken.kind === 'value') return adminToken.value
  if (adminToken.kind === 'file') return readAdminToken(adminToken.path, 'VERTEX_ADMIN_TOKEN_FILE')
  if (adminToken.kind === 'azure') {
    const { setting, name } = adminToken
    return parseAdminToken(await textInKeyVault(adminToken), `${setting}: the secret ${name}`)
  }
  const { token, made } = await readOrMakeAdminToken(adminToken.path)
  note('info', `the admin token ${made ? 'was generated into' : 'is in'} ${shown(adminToken.path)}`)
  return token
}
