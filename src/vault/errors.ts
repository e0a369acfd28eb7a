/**
 * Every `err_type` the service answers with. The documented ones never change; `src/http/errors.ts` alone decides which
 * status each of them has, so that a new one does not compile until someone has decided.
 */
export const vaultErrorTypes = [
  'access_denied',
  'already_performed_keygen',
  'api_key_not_found',
  'backup_invalid',
  'backup_key_unavailable',
  'bad_n_and_t_params',
  'bad_request_params',
  'batch_too_large',
  'body_too_large',
  'export_mode_refused',
  'internal_problem',
  'key_id_not_exists',
  'key_locked',
  'key_operation_before_keygen',
  'not_found',
  'protocol_abort',
  'rate_limited',
  'relay_unavailable',
  'room_creation_problem',
  'room_not_found',
  'room_problem',
  'room_timeout',
  'room_used',
  'session_mismatch',
  'share_tombstoned',
  'storage_unavailable',
  'tombstone_not_found',
  'too_busy',
  'unique_violation',
  'unsupported_media_type',
  'user_has_associated_keys',
  'user_id_not_exists',
  'user_name_already_exists',
  'you_have_to_be_admin',
] as const

export type VaultErrorType = (typeof vaultErrorTypes)[number]

/**
 * Further members of the answer, in the words of the wire (snake_case), ready to be spread into the JSON body.
 * Never a secret, never anything internal.
 */
export type VaultErrorDetails = Readonly<Record<string, unknown>>

/**
 * The one error the domain throws on purpose. Anything else that leaves the vault is a bug of ours and becomes
 * `internal_problem`.
 */
export class VaultError extends Error {
  override readonly name = 'VaultError'

  constructor(
    readonly errType: VaultErrorType,
    message: string,
    readonly details: VaultErrorDetails = {},
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}

/** What a caller learns when a key is not accepted: never why. */
export const denied = () => new VaultError('access_denied', 'this API key is not accepted')

/** What a run ends with when its key goes away under it. */
export const deletedMeanwhile = () =>
  new VaultError('key_id_not_exists', 'the key was deleted while it was used')
