import { VertexError, type ErrType } from '@vertex/sdk'

/** What a call may end with while something is down, and what passes by itself. */
const passing: ReadonlySet<string> = new Set<ErrType>([
  'connection_failed',
  'deadline_exceeded',
  'room_closed',
  'room_not_found',
  'room_timeout',
  'room_used',
  'storage_unavailable',
  'too_busy',
])

const unavailable: ReadonlySet<string> = new Set<ErrType>([
  'storage_unavailable',
  'backup_key_unavailable',
  'too_busy',
])

/**
 * Whether a failed call ended as it is documented to: with an error that passes, or one that the scenario expects; and
 * if it is one of the 503 kind, as a 503 that says when to try again.
 * @returns what is wrong with it; undefined when nothing is
 */
export function complaint(error: unknown, expected: readonly ErrType[] = []): string | undefined {
  if (!(error instanceof VertexError)) return `not an error of the SDK: ${String(error)}`
  const { errType, status } = error
  const said = `${errType}${status === undefined ? '' : ` (${status})`}: ${error.message}`
  if (!passing.has(errType) && !expected.includes(errType)) return said
  if (!unavailable.has(errType)) return undefined
  const retryAfter = 'retryAfter' in error ? error.retryAfter : undefined
  if (status !== 503) return `${said}, and not a 503`
  if (typeof retryAfter !== 'number' || retryAfter < 1) return `${said}, without Retry-After`
  return undefined
}
