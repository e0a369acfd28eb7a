import { VaultError, type VaultErrorDetails, type VaultErrorType } from '../vault/index.js'

/** An answer that is not a success: what the caller is told, and how long to wait before trying again. */
export interface Problem {
  readonly status: number
  readonly body: Readonly<Record<string, unknown>> & {
    readonly err_msg: string
    readonly err_type: VaultErrorType
  }
  /** Seconds. */
  readonly retryAfter: number | undefined
  /** The error was not thrown on purpose: the log gets it, the caller does not. */
  readonly unexpected: boolean
}

/** Refused by HTTP itself, before the vault was asked. */
export class HttpProblem extends Error {
  override readonly name = 'HttpProblem'
  constructor(
    readonly errType: VaultErrorType,
    message: string,
    readonly options: { readonly retryAfter?: number; readonly closeConnection?: boolean } = {},
  ) {
    super(message)
  }
}

/** The only place where an error meets a status. A new type does not compile until it stands here. */
const statuses: Readonly<Record<VaultErrorType, number>> = {
  access_denied: 401,
  already_performed_keygen: 400,
  api_key_not_found: 400,
  backup_invalid: 400,
  backup_key_unavailable: 503,
  bad_n_and_t_params: 400,
  bad_request_params: 400,
  batch_too_large: 400,
  body_too_large: 413,
  export_mode_refused: 400,
  internal_problem: 500,
  key_id_not_exists: 400,
  key_locked: 400,
  key_operation_before_keygen: 400,
  not_found: 404,
  protocol_abort: 400,
  rate_limited: 429,
  relay_unavailable: 503,
  room_creation_problem: 400,
  room_not_found: 400,
  room_problem: 400,
  room_timeout: 400,
  room_used: 400,
  session_mismatch: 400,
  share_tombstoned: 400,
  storage_unavailable: 503,
  tombstone_not_found: 400,
  too_busy: 503,
  unique_violation: 400,
  unsupported_media_type: 415,
  user_has_associated_keys: 400,
  user_id_not_exists: 400,
  user_name_already_exists: 400,
  you_have_to_be_admin: 400,
}

/** Seconds to wait, for the problems that pass by themselves. */
const patience: Partial<Readonly<Record<VaultErrorType, number>>> = {
  backup_key_unavailable: 5,
  relay_unavailable: 2,
  storage_unavailable: 2,
  too_busy: 1,
  rate_limited: 10,
}

/** Turns anything thrown into an answer; of an error that was not thrown on purpose nothing is told but a request id. */
export function problemOf(error: unknown, requestId: string): Problem {
  if (error instanceof VaultError && error.errType !== 'internal_problem')
    return answer(error.errType, error.message, error.details)
  if (error instanceof HttpProblem)
    return answer(error.errType, error.message, {}, error.options.retryAfter)
  if (isUndecodablePath(error))
    return answer('bad_request_params', 'the path is not valid percent-encoding')
  return {
    status: statuses.internal_problem,
    body: {
      err_msg: 'something went wrong here',
      err_type: 'internal_problem',
      request_id: requestId,
    },
    retryAfter: undefined,
    unexpected: true,
  }
}

/** The body of one failed entry of a batch. It has no header, so how long to wait is in it. */
export function problemBody(error: VaultError): Problem['body'] {
  const { body, retryAfter } = answer(error.errType, error.message, error.details)
  return retryAfter === undefined ? body : { ...body, retry_after: retryAfter }
}

function answer(
  errType: VaultErrorType,
  message: string,
  details: VaultErrorDetails = {},
  retryAfter?: number,
): Problem {
  // How long to wait travels in the header, where every client looks for it.
  const { retry_after: asked, ...rest } = details
  const said = { err_msg: message, err_type: errType }
  const wait = retryAfter ?? (typeof asked === 'number' ? asked : patience[errType])
  return {
    status: statuses[errType],
    // First for those who read it, and last so that no detail can stand in for it.
    body: { ...said, ...rest, ...said },
    retryAfter: wait === undefined ? undefined : Math.max(1, Math.ceil(wait)),
    unexpected: false,
  }
}

/** The router's own complaint about a path such as `/%ff`. */
function isUndecodablePath(error: unknown): boolean {
  return error instanceof URIError && 'status' in error && error.status === 400
}
