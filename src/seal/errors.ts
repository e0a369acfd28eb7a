import { VaultError } from '../vault/errors.js'

/** A secret that the operator gave cannot be used. Names the setting, never the value. */
export class SecretSettingError extends Error {
  override readonly name = 'SecretSettingError'
  constructor(
    readonly setting: string,
    problem: string,
  ) {
    super(`${setting}: ${problem}`)
  }
}

/** The place where secrets are kept cannot be read now. */
export class SecretsUnavailable extends Error {
  override readonly name = 'SecretsUnavailable'
  constructor(
    /** For the log: a status or a system error code. */
    readonly code: string,
    readonly status?: number,
    /** Seconds to wait, where the key vault said so. */
    readonly retryAfter?: number,
  ) {
    super('the key vault cannot be read at the moment')
  }
}

/**
 * Why a blob was refused. For the log only: outside there is one `backup_invalid`, so that nobody can ask this server
 * about a secret, a key or another user by sending altered blobs.
 */
export type BackupFault =
  | 'encoding'
  | 'layout'
  | 'checksum'
  | 'secret_unknown'
  | 'commitment'
  | 'tag'
  | 'share'
  | 'header_differs'
  | 'vault_name'
  | 'user'

/** @param fault becomes the message of `cause` and goes no further than the log */
export function backupInvalid(fault: BackupFault): VaultError {
  return new VaultError(
    'backup_invalid',
    'this backup cannot be used here',
    {},
    { cause: new Error(fault) },
  )
}

/** @param retryAfter seconds, where known */
export function backupKeyUnavailable(retryAfter?: number, cause?: unknown): VaultError {
  return new VaultError(
    'backup_key_unavailable',
    'the backup secret cannot be had at the moment',
    retryAfter === undefined ? {} : { retry_after: retryAfter },
    cause === undefined ? {} : { cause },
  )
}
