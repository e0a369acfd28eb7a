import type { Suite } from '@vertex/mpc'
import type { Config } from '../config.js'
import {
  apiKeys,
  BackupSecrets,
  encryptedBackups,
  plaintextBackups,
  secretSource,
  vaultIdentity,
  type BackupSecret,
  type PartySecrets,
  type SealLog,
  type StorageKey,
} from '../seal/index.js'
import type { VaultParts } from '../vault/index.js'
import type { Clock } from '../vault/ports.js'
import { shown, type TakeNote } from './notes.js'

interface BackupParts {
  readonly port: VaultParts['backup']
  readonly apiKeys: VaultParts['apiKeys']
  readonly identityPem: () => string
  readonly loaded: VaultParts['secrets']['backup']
  /** Who this vault is in the directory, and before that was; the newest first. As of the start. */
  readonly parties: readonly [PartySecrets, ...PartySecrets[]]
  readonly secrets?: BackupSecrets
}

export async function composeBackup(
  config: Config,
  suite: Suite,
  storage: { readonly key: StorageKey },
  clock: Clock,
  log: SealLog,
  note: TakeNote,
): Promise<BackupParts> {
  const envelope = { vaultName: config.vaultName, suite }
  if (config.backup.mode === 'plaintext') {
    note(
      'warn',
      'PLAINTEXT BACKUPS: exported shares leave this server unencrypted, for everyone who sees them to use',
    )
    note('warn', 'in plaintext mode there is no vault identity: recovery after a loss is by hand')
    if (config.backup.unusedSecret)
      note('warn', 'a backup secret is set and not used in plaintext mode')
    return {
      port: {
        seal: plaintextBackups(envelope),
        identity: undefined,
        ready: () => Promise.resolve(true),
      },
      apiKeys: apiKeys(() => [storage.key.tagKey()]),
      identityPem: () => storage.key.identityPem(),
      loaded: undefined,
      parties: [storage.key.party()],
    }
  }
  const secrets = await BackupSecrets.load(secretSource(config.backup.source, log), {
    vaultName: config.vaultName,
    clock,
    log,
    storageFingerprint: storage.key.fingerprint,
  })
  const from =
    config.backup.source.kind === 'azure'
      ? `the secret ${config.backup.source.name} in ${config.backup.source.vaultUrl}`
      : shown(config.backup.source.path)
  note('info', `backups are encrypted under ${from}, as vault ${config.vaultName}`)
  if (config.apiKeysNotBefore === undefined)
    note(
      'info',
      'after a loss of the database, API keys revoked before it work again unless VERTEX_API_KEYS_NOT_BEFORE is set',
    )
  const versions = secrets
    .all()
    .map(({ id, name, version }) => ({ fingerprint: id, name, version }))
  return {
    port: {
      seal: encryptedBackups(envelope, secrets),
      identity: vaultIdentity(secrets),
      ready: () =>
        secrets.newest().then(
          () => true,
          () => false,
        ),
    },
    apiKeys: apiKeys(() => secrets.all().map((secret) => secret.tagKey())),
    identityPem: () => newestOf(secrets).identityPem(),
    loaded: { setting: config.backup.source.setting, versions, disabled: secrets.disabled },
    parties: [
      newestOf(secrets).party(),
      ...secrets
        .all()
        .slice(1)
        .map((one) => one.party()),
    ],
    secrets,
  }
}

function newestOf(secrets: BackupSecrets): BackupSecret {
  const newest = secrets.all()[0]
  if (newest === undefined) throw new Error('backup secrets are never empty')
  return newest
}
