import type { z } from 'zod'
import { HttpProblem } from './errors.js'

/** How many complaints one answer names. */
const MAX_COMPLAINTS = 5

/**
 * Applies a schema to what a request brought.
 * @throws HttpProblem `bad_request_params` that names the members, never their values
 */
export function validate<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const result = schema.safeParse(value, { reportInput: false })
  if (result.success) return result.data
  const complaints = result.error.issues.slice(0, MAX_COMPLAINTS).map(complaint)
  throw new HttpProblem('bad_request_params', complaints.join('; '))
}

function complaint(issue: z.core.$ZodIssue): string {
  if (issue.code === 'unrecognized_keys')
    return `unknown: ${issue.keys.slice(0, MAX_COMPLAINTS).map(printable).join(', ')}`
  const where = issue.path.map((part, i) =>
    typeof part === 'number' ? `[${part}]` : `${i > 0 ? '.' : ''}${String(part)}`,
  )
  return `${where.join('') || 'the request'}: ${issue.message.replace(/^Invalid input: /, '')}`
}

/** A name the caller chose, fit for a log line. */
function printable(name: string): string {
  const short = name.length > 40 ? `${name.slice(0, 40)}…` : name
  return short.replace(/[^\x21-\x7e…]/g, '?')
}
