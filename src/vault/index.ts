export { Lifeline, localEngine } from './engine.js'
export type {
  Engine,
  KeygenWork,
  MadeKey,
  MadeShare,
  RoundTime,
  RunSetups,
  SignWork,
} from './engine.js'
export { VaultError, vaultErrorTypes } from './errors.js'
export type { VaultErrorDetails, VaultErrorType } from './errors.js'
export type {
  Backup,
  BackupMode,
  BackupSummary,
  BatchEntry,
  Caller,
  Coverage,
  CoverageRequest,
  CoverageSecret,
  CoverageState,
  CreateUserRequest,
  DeleteTombstoneRequest,
  DrilledBackup,
  DrillReportInfo,
  DrillRequest,
  IdentityContext,
  KeygenRequest,
  KeyCoverage,
  KeyInfo,
  Provenance,
  Readiness,
  RecipientBackup,
  RewrappedBackup,
  SignatureHex,
  SignRequest,
  Vault,
  VaultIdentityInfo,
  VaultUsage,
} from './facade.js'
export { limits } from './limits.js'
export { rateLimited, rateLimits } from './rates.js'
export type { RateCount, RateLimit, Rates } from './rates.js'
export type { VaultEvent, VaultLog } from './log.js'
export { recordBackupSecret, recordedBackupSecrets, StartRefused } from './startup.js'
export type { LoadedSecret, LoadedSecrets } from './startup.js'
export { openVault } from './vault.js'
export type { VaultParts } from './vault.js'
export { asRunError } from './run-errors.js'
