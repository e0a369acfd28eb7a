export { VaultError, vaultErrorTypes } from './errors.js'
export type { VaultErrorDetails, VaultErrorType } from './errors.js'
export type {
  Backup,
  BackupMode,
  BackupSummary,
  BatchEntry,
  Caller,
  CreateUserRequest,
  DeleteTombstoneRequest,
  IdentityContext,
  KeygenRequest,
  KeyInfo,
  Provenance,
  Readiness,
  SignatureHex,
  SignRequest,
  Vault,
  VaultIdentityInfo,
} from './facade.js'
