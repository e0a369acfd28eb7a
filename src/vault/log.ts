/**
 * What the vault tells its operator. Each event lists what may be in it: ids and codes, never a secret, a message or
 * a body.
 */
export type VaultEvent =
  /** A user or an API key of the time before this database came back by a valid API key. */
  | { readonly event: 'recovered'; readonly user_id: string; readonly api_key_id: string }
  | { readonly event: 'user_created' | 'user_deleted'; readonly user_id: string }
  | {
      readonly event: 'api_key_issued' | 'api_key_revoked'
      readonly user_id: string
      readonly api_key_id: string
    }
  | { readonly event: 'tombstone_lifted'; readonly kind: string }
  | {
      readonly event:
        | 'key_created'
        | 'key_generated'
        | 'key_deleted'
        | 'backup_exported'
        | 'backup_drilled'
        /** Exported to a recipient. */
        | 'backup_sealed'
        | 'backup_rewrapped'
      readonly user_id: string
      readonly key_id: string
    }
  | {
      readonly event: 'backup_imported'
      readonly user_id: string
      readonly key_id: string
      /** False when this backup had been imported before. */
      readonly first: boolean
    }
  /** Details that the caller of an import is not told. */
  | { readonly event: 'backup_refused'; readonly user_id: string; readonly reason: string }
  | {
      readonly event: 'setup_retired' | 'setup_retirement_unwritten'
      readonly share_id: string
      readonly peer: number
      readonly code: string
    }
  | { readonly event: 'setup_unreadable'; readonly share_id: string; readonly peer: number }
  | { readonly event: 'key_locked'; readonly share_id: string }
  | {
      readonly event: 'run_aborted'
      readonly share_id: string
      readonly code: string
      readonly round: number
    }
  /** A thread that computed runs has ended by itself; another one takes its place. `error` is the name of the error. */
  | { readonly event: 'thread_ended'; readonly error: string | undefined }
  /** The last record of the audit log when it was opened. */
  | { readonly event: 'audit_head'; readonly seq: number; readonly hash: string }
  /** The head of the audit log, as it is anchored; `line` is the anchor. */
  | {
      readonly event: 'audit_anchor'
      readonly seq: number
      readonly hash: string
      readonly line: string
    }
  /** An anchor could not be kept outside; it is tried again. `reason` is a code. */
  | {
      readonly event: 'audit_anchor_failed'
      readonly place: 'file' | 'blob'
      readonly reason: string
    }
  /** The end of something, or a signature whose recording is left to chance, is not in the audit log. */
  | { readonly event: 'audit_unwritten'; readonly action: string }
  /** The audit log refuses new records, because its last one is damaged. */
  | { readonly event: 'audit_refused' }
  /** The directory's log, and what its checkpoints are verified with. */
  | { readonly event: 'log_opened'; readonly origin: string; readonly verifier_key: string }
  /** The directory's log is not as this server left it, and is not continued. */
  | { readonly event: 'log_refused'; readonly reason: string }
  /** Entries wait for the directory's log, which could not be written for a while; it is tried again. */
  | { readonly event: 'log_delayed'; readonly reason: string; readonly retry_s: number }
  | { readonly event: 'database_restored'; readonly generation: string }
  /** The version that this database was last used with is disabled; `newest` seals from now on. */
  | {
      readonly event: 'newest_secret_disabled'
      readonly setting: string
      readonly version: string
      readonly newest: string
    }

export type VaultLog = (event: VaultEvent) => void
