import { sealBackup, SealedBackupRefused } from '@vertex/directory/sealed'
import type { RecipientSeal } from '../vault/ports.js'

/** Backups sealed to a recipient by HPKE. docs/spec/sealed-backup.md */
export const recipientSeal: RecipientSeal = {
  async seal(backup, to) {
    try {
      return await sealBackup(backup, to)
    } catch (error) {
      // Of a backup of our own nothing else can be wrong than the key.
      if (error instanceof SealedBackupRefused && error.reason === 'bad_key') return undefined
      throw error
    }
  },
}
