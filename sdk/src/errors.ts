import type { AbortCode, Reaction } from '@vertex/mpc'
import type { components } from './generated/api.js'

/** The `err_type` values a Vertex answers with. */
export type WireErrType = components['schemas']['ErrType']

/** Troubles that arise on this side. */
export type LocalErrType =
  | 'bad_argument'
  | 'bad_response'
  | 'deadline_exceeded'
  | 'connection_failed'
  | 'room_closed'
  | 'rollback_detected'
  | 'identity_mismatch'
  | 'key_mismatch'
  | 'share_not_found'
  | 'keygen_unfinished'
  | 'backup_missing'
  | 'store_conflict'
  | 'store_corrupt'
  | 'store_locked'
  | 'wrong_passphrase'
  | 'party_not_found'
  | 'name_taken'
  | 'payment_needed'
  | 'escrow_key_wrong'
  | 'chain_invalid'
  | 'code_not_found'
  | 'contact_unverified'
  | 'contact_mismatch'

export type ErrType = WireErrType | LocalErrType

export interface VertexErrorInit {
  readonly status?: number | undefined
  readonly response?: Response | undefined
  readonly details?: Readonly<Record<string, unknown>> | undefined
  readonly cause?: unknown
}

/**
 * Every error of this SDK. `errType` is stable and meant for code, `message` for people.
 * `status` and `response` (with a body that can still be read) are there when a Vertex answered.
 */
export class VertexError extends Error {
  override readonly name: string = 'VertexError'
  readonly errType: ErrType
  readonly status: number | undefined
  readonly response: Response | undefined
  /** The further members of the error's body. */
  readonly details: Readonly<Record<string, unknown>>

  constructor(errType: ErrType, message: string, init: VertexErrorInit = {}) {
    super(message, init.cause === undefined ? undefined : { cause: init.cause })
    this.errType = errType
    this.status = init.status
    this.details = init.details ?? {}
    // Not enumerable: a logged error shows no body.
    Object.defineProperty(this, 'response', { value: init.response, enumerable: false })
  }
}

/** The request or an argument is not valid; sending it again does not help. */
export class RequestError extends VertexError {
  override readonly name = 'RequestError'
}

/** The API key is missing, unknown, revoked or expired. */
export class AuthenticationError extends VertexError {
  override readonly name = 'AuthenticationError'
}

/** Why a missing key was not recovered by itself. */
export type RecoveryRefusal =
  /** Recovery is switched off, or the app's approval said no. */
  | 'off'
  /** The answer carries no valid signature of the pinned vault identity. */
  | 'unsigned'
  /** The database is the one that the key was last seen in: the key was deleted there, not lost. */
  | 'same_generation'
  /** The vault has no identity that survives a loss (plaintext backups): import by hand. */
  | 'plaintext'
  /** No backup of the server's share is stored here. */
  | 'no_backup'
  /** The key went missing again right after it was recovered. */
  | 'again'

/** The Vertex does not know this key_id. `refusal` says why the SDK did not recover it. */
export class KeyNotFoundError extends VertexError {
  override readonly name = 'KeyNotFoundError'
  /** Undefined where no recovery was tried at all, as in calls by hand. */
  readonly refusal: RecoveryRefusal | undefined

  constructor(
    message: string,
    init: VertexErrorInit & { readonly refusal?: RecoveryRefusal } = {},
  ) {
    super('key_id_not_exists', message, init)
    this.refusal = init.refusal
  }
}

/** A party did not come into the room before the deadline. */
export class RoomTimeoutError extends VertexError {
  override readonly name = 'RoomTimeoutError'
  /** Who was missing, as far as known. */
  readonly missing: readonly { readonly index?: number; readonly keygenId?: string }[]

  constructor(
    message: string,
    init: VertexErrorInit & { readonly missing?: RoomTimeoutError['missing'] } = {},
  ) {
    super('room_timeout', message, init)
    this.missing = init.missing ?? []
  }
}

/** Everything took longer than the deadline allows. Whether the work was done is unknown. */
export class DeadlineError extends VertexError {
  override readonly name = 'DeadlineError'
}

/** The Vertex, or something it needs, cannot be reached now. Nothing is lost; trying again later is right. */
export class UnavailableError extends VertexError {
  override readonly name = 'UnavailableError'
  /** Seconds to wait, when the Vertex said so. */
  readonly retryAfter: number | undefined

  constructor(
    errType: ErrType,
    message: string,
    init: VertexErrorInit & { readonly retryAfter?: number | undefined } = {},
  ) {
    super(errType, message, init)
    this.retryAfter = init.retryAfter
  }
}

/** A protocol check failed. Never retried automatically: see `reaction`. */
export class ProtocolError extends VertexError {
  override readonly name = 'ProtocolError'
  readonly code: AbortCode
  readonly round: number
  /** Indices of the parties whom the check proves guilty. */
  readonly culprits: readonly number[]
  readonly reaction: Reaction

  constructor(
    errType: 'protocol_abort' | 'session_mismatch',
    message: string,
    abort: { code: AbortCode; round: number; culprits: readonly number[]; reaction: Reaction },
    init: VertexErrorInit = {},
  ) {
    super(errType, message, init)
    this.code = abort.code
    this.round = abort.round
    this.culprits = abort.culprits
    this.reaction = abort.reaction
  }
}

/** Too many failed checks with one party in 24 hours; the key does not sign with it meanwhile. */
export class KeyLockedError extends VertexError {
  override readonly name = 'KeyLockedError'
}

/** The backup was refused: damaged, foreign, of another epoch, or not of the mode this Vertex works in. */
export class BackupError extends VertexError {
  override readonly name = 'BackupError'
}

/** What showed that a Vertex went back to an older state. */
export type RollbackReason =
  /** A database that was left behind answers again. */
  | 'generation_returned'
  /** The server's share is of an older epoch than the one here. */
  | 'epoch_fell'
  /** An OT setup was offered that this side has retired. */
  | 'setup_returned'

/** The Vertex was put back to an older state. Work on the key stops until its operator has looked at it. */
export class RollbackDetectedError extends VertexError {
  override readonly name = 'RollbackDetectedError'
  readonly reason: RollbackReason

  constructor(reason: RollbackReason, message: string, init: VertexErrorInit = {}) {
    super('rollback_detected', message, init)
    this.reason = reason
  }
}

/** The vault identity, or the key behind a key_id, is not the pinned one. */
export class IdentityError extends VertexError {
  override readonly name = 'IdentityError'
}

/** Trouble with the share store. */
export class ShareStoreError extends VertexError {
  override readonly name: string = 'ShareStoreError'
}

/** The passphrase does not open the store or the archive. */
export class WrongPassphraseError extends ShareStoreError {
  override readonly name = 'WrongPassphraseError'
  constructor(message: string) {
    super('wrong_passphrase', message)
  }
}

/** Another process has the store open. */
export class StoreLockedError extends ShareStoreError {
  override readonly name = 'StoreLockedError'
  constructor(message: string) {
    super('store_locked', message)
  }
}

/** An item was changed by someone else since it was read. */
export class StoreConflictError extends ShareStoreError {
  override readonly name = 'StoreConflictError'
  constructor(message: string) {
    super('store_conflict', message)
  }
}

/** A stored item is damaged, or not what its name says. */
export class StoreCorruptError extends ShareStoreError {
  override readonly name = 'StoreCorruptError'
  constructor(message: string) {
    super('store_corrupt', message)
  }
}
