import type { BackupMode } from './facade.js'
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
 * @throws StartRefused
 */
export async function checkSecrets(
  store: VaultStore,
  clock: Clock,
  mode: BackupMode,
  vaultName: string,
  secrets: { readonly storage: LoadedSecrets; readonly backup: LoadedSecrets | undefined },
): Promise<void> {
  await store.run(async (uow) => {
    await compareName(uow, clock, vaultName)
    await compare(uow, clock, 'storage', secrets.storage)
    // In plaintext mode no backup secret is used, whether there is one or not.
    if (mode === 'plaintext') return
    if (secrets.backup === undefined || secrets.backup.versions.length === 0)
      throw new StartRefused('encrypted backups need a backup secret')
    await compare(uow, clock, 'backup', secrets.backup)
  })
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

async function compare(
  uow: UnitOfWork,
  clock: Clock,
  kind: 'storage' | 'backup',
  { setting, versions }: LoadedSecrets,
): Promise<void> {
  const recorded = await uow.secrets.list(kind)
  const newest = recorded.at(-1)
  if (newest !== undefined && !versions.some((v) => v.fingerprint === newest.fingerprint))
    throw new StartRefused(
      `${setting}: this is not the ${kind === 'storage' ? 'storage key' : 'backup secret'} that the ` +
        `database was last used with (${newest.name}, version ${newest.version}); put that one back`,
    )
  const recordedAt = clock.now()
  for (const { fingerprint, name, version } of [...versions].reverse())
    await uow.secrets.record({ kind, fingerprint, name, version, recordedAt })
}

/**
 * Keeps the fingerprint of a backup secret that appeared while the server runs. To be done before its first use, so
 * that no later start goes on without it.
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
    uow.secrets.record({ kind: 'backup', fingerprint, name, version, recordedAt }),
  )
}

/** Fingerprints of all backup secrets that this database has been used with. @throws StorageUnavailable */
export async function recordedBackupSecrets(store: VaultStore): Promise<string[]> {
  const recorded = await store.run((uow) => uow.secrets.list('backup'))
  return recorded.map(({ fingerprint }) => fingerprint)
}
