import type { BackupMode } from './facade.js'
import type { VaultLog } from './log.js'
import type { Clock, UnitOfWork, VaultStore } from './ports.js'

/** One version of a secret that the server was started with. Never the secret itself. */
export interface LoadedSecret {
  /** Lower-case hex. */
  readonly fingerprint: string
  /** Where it was found, for people. */
  readonly name: string
  readonly version: string
}

/** All enabled versions of one secret, newest first, and the setting that names it. */
export interface LoadedSecrets {
  readonly setting: string
  readonly versions: readonly LoadedSecret[]
  /** Versions of which the place that keeps the secret says that they exist and are disabled. */
  readonly disabled: readonly { readonly name: string; readonly version: string }[]
}

/** The server must not start like this; the message names the setting to mend. */
export class StartRefused extends Error {
  override readonly name = 'StartRefused'
}

/**
 * Compares the vault's name and the secrets with those that this database has been used with, and remembers new ones. A server with the
 * wrong storage key could read nothing, one with the wrong backup secret would make backups that nobody can open and
 * call itself another vault: neither may start. Nor may one under another name: keys are derived with the name, so
 * after a loss it would recognise no API key and open no backup from before the change.
 *
 * The version that the database was last used with may be missing only where two things show that it is the same
 * secret all the same: its place says that this version is disabled, and another one that was used here is enabled.
 * docs/spec/key-hierarchy.md, section 1
 * @throws StartRefused
 */
export async function checkSecrets(
  store: VaultStore,
  clock: Clock,
  mode: BackupMode,
  vaultName: string,
  secrets: { readonly storage: LoadedSecrets; readonly backup: LoadedSecrets | undefined },
  log: VaultLog,
): Promise<void> {
  const disabled = await store.run(async (uow) => {
    await compareName(uow, clock, vaultName)
    await compare(uow, clock, 'storage', secrets.storage)
    // In plaintext mode no backup secret is used, whether there is one or not.
    if (mode === 'plaintext') return
    if (secrets.backup === undefined || secrets.backup.versions.length === 0)
      throw new StartRefused('encrypted backups need a backup secret')
    return compare(uow, clock, 'backup', secrets.backup)
  })
  if (disabled !== undefined) log({ event: 'newest_secret_disabled', ...disabled })
}

async function compareName(uow: UnitOfWork, clock: Clock, name: string): Promise<void> {
  const [recorded] = await uow.secrets.list('vault')
  if (recorded === undefined) {
    const recordedAt = clock.now()
    await uow.secrets.record({ kind: 'vault', fingerprint: name, name, version: '', recordedAt })
  } else if (recorded.name !== name)
    throw new StartRefused(
      `VERTEX_VAULT_NAME: this database belongs to the vault ${recorded.name}, not ${name}; put that name back`,
    )
}

/** @returns what to tell when the version that was last used is disabled and the start may go on without it */
async function compare(
  uow: UnitOfWork,
  clock: Clock,
  kind: 'storage' | 'backup',
  { setting, versions, disabled }: LoadedSecrets,
): Promise<{ setting: string; version: string; newest: string } | undefined> {
  const recorded = await uow.secrets.list(kind)
  const last = recorded.at(-1)
  const isEnabled = (one: { readonly fingerprint: string }) =>
    versions.some(({ fingerprint }) => fingerprint === one.fingerprint)
  const missing = last === undefined || isEnabled(last) ? undefined : last
  if (missing !== undefined) {
    const { name, version } = missing
    if (!disabled.some((one) => one.name === name && one.version === version))
      throw new StartRefused(
        `${setting}: this is not the ${kind === 'storage' ? 'storage key' : 'backup secret'} that the ` +
          `database was last used with (${name}, version ${version}); put that one back`,
      )
    if (!recorded.some(isEnabled))
      throw new StartRefused(
        `${setting}: version ${version} of ${name}, which the database was last used with, is disabled, and no other ` +
          'version that it was used with is enabled; enable it, and disable it again when a server has started with ' +
          'it and the newer one',
      )
  }
  const recordedAt = clock.now()
  const [newest, ...older] = versions.map((one) => ({ kind, recordedAt, ...one }))
  for (const secret of older.reverse()) await uow.secrets.record(secret)
  await uow.secrets.recordNewest(newest!)
  return missing && { setting, version: missing.version, newest: newest!.version }
}

/**
 * Keeps the fingerprint of a backup secret that becomes the newest while the server runs. To be done before its first
 * use as that, so that no later start goes on without it.
 * @throws StorageUnavailable
 */
export async function recordBackupSecret(
  store: VaultStore,
  clock: Clock,
  secret: LoadedSecret,
): Promise<void> {
  const { fingerprint, name, version } = secret
  const recordedAt = clock.now()
  await store.run((uow) =>
    uow.secrets.recordNewest({ kind: 'backup', fingerprint, name, version, recordedAt }),
  )
}

/** Fingerprints of all backup secrets that this database has been used with. @throws StorageUnavailable */
export async function recordedBackupSecrets(store: VaultStore): Promise<string[]> {
  const recorded = await store.run((uow) => uow.secrets.list('backup'))
  return recorded.map(({ fingerprint }) => fingerprint)
}
