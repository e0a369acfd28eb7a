import { ProtocolAbort, type AbortCode, type Reaction } from '@vertex/mpc'
import {
  AuthenticationError,
  BackupError,
  KeyLockedError,
  KeyNotFoundError,
  ProtocolError,
  RequestError,
  RoomTimeoutError,
  UnavailableError,
  VertexError,
  type VertexErrorInit,
  type WireErrType,
} from './errors.js'
import { responseOf, type TextAnswer } from './exchange.js'

const reactions: readonly unknown[] = ['restart', 'stop', 'retire_setup'] satisfies Reaction[]

/** The typed error for an answer that is not 2xx. */
export function errorOf(answer: TextAnswer): VertexError {
  const { status } = answer
  const body = parse(answer.text)
  const { err_type: type, err_msg: message, ...details } = body
  const init: VertexErrorInit = {
    status,
    response: responseOf(answer),
    details,
  }
  if (typeof type !== 'string')
    return status >= 500 || status === 429
      ? new UnavailableError('bad_response', `the answer is ${status} without a reason`, {
          ...init,
          retryAfter: retryAfterOf(answer, body),
        })
      : new VertexError('bad_response', `the answer is ${status} without a reason`, init)
  return typed(
    type as WireErrType,
    typeof message === 'string' ? message : type.replaceAll('_', ' '),
    details,
    init,
    retryAfterOf(answer, body),
  )
}

function typed(
  type: WireErrType,
  message: string,
  details: Record<string, unknown>,
  init: VertexErrorInit,
  retryAfter: number | undefined,
): VertexError {
  switch (type) {
    case 'access_denied':
    case 'you_have_to_be_admin':
      return new AuthenticationError(type, message, init)
    case 'key_id_not_exists':
      return new KeyNotFoundError(message, init)
    case 'room_timeout':
      return new RoomTimeoutError(message, { ...init, missing: missingOf(details['missing']) })
    case 'protocol_abort':
    case 'session_mismatch':
      return new ProtocolError(type, message, abortOf(type, details), init)
    case 'key_locked':
      return new KeyLockedError(type, message, init)
    case 'backup_invalid':
    case 'export_mode_refused':
    case 'share_tombstoned':
      return new BackupError(type, message, init)
    case 'backup_key_unavailable':
    case 'relay_unavailable':
    case 'storage_unavailable':
    case 'too_busy':
    case 'rate_limited':
      return new UnavailableError(type, message, { ...init, retryAfter })
    case 'already_performed_keygen':
    case 'api_key_not_found':
    case 'bad_n_and_t_params':
    case 'bad_request_params':
    case 'batch_too_large':
    case 'body_too_large':
    case 'key_operation_before_keygen':
    case 'not_found':
    case 'room_creation_problem':
    case 'room_not_found':
    case 'room_problem':
    case 'room_used':
    case 'tombstone_not_found':
    case 'unique_violation':
    case 'unsupported_media_type':
    case 'user_has_associated_keys':
    case 'user_id_not_exists':
    case 'user_name_already_exists':
      return new RequestError(type, message, init)
    case 'internal_problem':
      return new VertexError(type, message, init)
    default:
      // A newer Vertex may know more types than this SDK; the base class carries them as they are.
      return new VertexError(type, message, init)
  }
}

/** The error for a check that failed on this side. */
export function abortError(abort: ProtocolAbort): ProtocolError {
  const type = abort.code === 'session_mismatch' ? 'session_mismatch' : 'protocol_abort'
  return new ProtocolError(type, abort.message, abort, { cause: abort })
}

function parse(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : {}
  } catch {
    return {}
  }
}

/** An entry of a batch has no header, and says it in its body. */
function retryAfterOf({ headers }: TextAnswer, body: Record<string, unknown>): number | undefined {
  const inBody = body['retry_after']
  const seconds =
    headers['retry-after'] ?? (typeof inBody === 'number' ? String(inBody) : undefined)
  return seconds !== undefined && /^\d{1,6}$/.test(seconds) ? Number(seconds) : undefined
}

function missingOf(value: unknown): { index?: number; keygenId?: string }[] {
  if (!Array.isArray(value)) return []
  return value.slice(0, 64).map((party: unknown) => {
    const { index, keygen_id } = (party ?? {}) as Record<string, unknown>
    return {
      ...(typeof index === 'number' ? { index } : {}),
      ...(typeof keygen_id === 'string' ? { keygenId: keygen_id } : {}),
    }
  })
}

function abortOf(type: 'protocol_abort' | 'session_mismatch', details: Record<string, unknown>) {
  const { code, round, culprits, reaction } = details
  return {
    code: (typeof code === 'string' ? code : 'session_mismatch') as AbortCode,
    round: typeof round === 'number' ? round : 0,
    culprits: Array.isArray(culprits)
      ? culprits.filter((party): party is number => typeof party === 'number')
      : [],
    reaction: (reactions.includes(reaction)
      ? reaction
      : type === 'session_mismatch'
        ? 'restart'
        : 'stop') as Reaction,
  }
}
