export { apiKeys } from './api-key.js'
export { azureKeyVault, textInKeyVault } from './azure-key-vault.js'
export type { AzureSecret, Patience } from './key-vault-client.js'
export {
  encryptedBackups,
  plaintextBackups,
  type BackupEnvelopeOptions,
} from './backup-envelope.js'
export { BackupSecrets, type BackupSecretsOptions, type SecretRecorder } from './backup-secrets.js'
export { SecretSettingError, SecretsUnavailable, type BackupFault } from './errors.js'
export {
  BackupSecret,
  secretFingerprint,
  StorageKey,
  type PartySecrets,
  type TagKey,
} from './hierarchy.js'
export {
  loadNewest,
  secretSource,
  type KeySourceSetting,
  type SecretSource,
  type SecretVersion,
  type SecretVersions,
} from './key-source.js'
export type { SealEvent, SealLog } from './log.js'
export { managedIdentity, type TokenFor } from './managed-identity.js'
export { recipientSeal } from './recipient-seal.js'
export { rowSeal } from './row-seal.js'
export { parseSecret, SECRET_BYTES } from './secret.js'
export { createSecretFile, secretFile } from './secret-file.js'
export { vaultIdentity } from './vault-identity.js'
