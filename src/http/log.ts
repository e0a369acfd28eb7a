import type { Logger } from 'pino'
import { errorCode } from '../error-code.js'

/** What the log may know of a request. Nothing else of it is ever written: no body, header, query, path value or key. */
export interface RequestRecord {
  readonly request_id: string
  readonly method: string
  /** The pattern of the route, not the path that was asked for. */
  readonly route: string
  readonly status: number
  readonly duration_ms: number
  readonly source: string
  readonly err_type?: string | undefined
  readonly user_id?: string | undefined
}

/** What the log may know of an error that nobody expected. */
export interface UnexpectedRecord {
  readonly request_id: string
  readonly route: string
  /** Its name. */
  readonly error: string
  readonly message: string | undefined
  readonly code: string | undefined
  readonly frames: readonly string[] | undefined
}

export function logRequest(logger: Logger, record: RequestRecord, quiet: boolean): void {
  logger[quiet ? 'debug' : 'info'](record, 'request')
}

/**
 * Logs an error nobody expected. Its message may quote what it failed on, so long runs of characters, which a key or
 * a blob would be, are blanked.
 */
export function logUnexpected(
  logger: Logger,
  requestId: string,
  route: string,
  error: unknown,
): void {
  const known = error instanceof Error
  const code = errorCode(error)
  const record: UnexpectedRecord = {
    request_id: requestId,
    route,
    error: known ? error.name : typeof error,
    message: known ? blank(error.message) : undefined,
    code: code === undefined ? undefined : blank(code),
    frames: known ? framesOf(error) : undefined,
  }
  logger.error(record, 'internal problem')
}

/** Blanks what could be a secret: 16 and more characters of hex, base64 or an API key in a row. */
export function blank(text: string): string {
  return text.replace(/[0-9A-Za-z+/_=-]{16,}/g, '[…]').slice(0, 300)
}

function framesOf(error: Error): string[] {
  return (error.stack ?? '')
    .split('\n')
    .filter((line) => line.startsWith('    at '))
    .slice(0, 12)
    .map((line) => line.trim())
}
