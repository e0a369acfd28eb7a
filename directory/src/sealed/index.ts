export type { BackupSubject, SealedFor } from './format.js'
export {
  openSealedBackup,
  readSealedBackup,
  sealBackup,
  SealedBackupRefused,
  type SealedBackup,
  type SealedRefusal,
} from './seal.js'
