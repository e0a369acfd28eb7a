import { QueryFailedError, QueryRunnerAlreadyReleasedError, TypeORMError } from 'typeorm'
import {
  SealedValueInvalid,
  StorageUnavailable,
  StoreConflict,
  type Conflict,
} from '../vault/ports.js'

/** The server must not start on this database; the message tells the operator why and what to do. */
export class StoreRefused extends Error {
  override readonly name = 'StoreRefused'
}

/** A connection could not be made because nobody gives the password for it now. */
export class LoginUnavailable extends Error {
  override readonly name = 'LoginUnavailable'
}

/** What a failed statement means for the unit of work it stood in. */
export type Failure =
  /** The database cannot be asked. */
  | { readonly kind: 'unavailable'; readonly error: StorageUnavailable }
  /** The unit lost a race; nothing of it was kept, it may run again. */
  | { readonly kind: 'lost_race' }
  /** Something exists already, perhaps since a moment ago. */
  | { readonly kind: 'conflict'; readonly error: Error }
  /** Our own fault. */
  | { readonly kind: 'bug'; readonly error: Error }

/** Constraints of the tables, as Postgres names them and as SQLite lists their columns. */
const conflicts: Readonly<Record<string, Conflict>> = {
  pk_users: 'user_id',
  'users.user_id': 'user_id',
  uq_users_name: 'user_name',
  'users.name': 'user_name',
  pk_api_keys: 'api_key_id',
  'api_keys.api_key_id': 'api_key_id',
  pk_pending_keys: 'key_id',
  'pending_keys.key_id': 'key_id',
  pk_key_handles: 'key_id',
  'key_handles.key_id': 'key_id',
  uq_key_handles_source: 'source_digest',
  'key_handles.user_id, key_handles.source_digest': 'source_digest',
  pk_shares: 'share',
  'shares.share_id': 'share',
  uq_shares_identity: 'share',
  'shares.user_id, shares.public_key, shares.party, shares.epoch': 'share',
  pk_ot_setups: 'setup_id',
  'ot_setups.setup_id': 'setup_id',
}

/**
 * Sorts what a driver threw. The driver's error carries the statement and its values, so it is never passed on: only
 * its code is.
 */
export function classify(thrown: unknown): Failure {
  const cause = thrown instanceof QueryFailedError ? (thrown.driverError as unknown) : thrown
  const code = codeOf(cause)
  const message = cause instanceof Error ? cause.message : ''
  if (cause instanceof LoginUnavailable) return unavailable('login')
  if (code?.startsWith('SQLITE_') === true) return classifySqlite(code, message)
  if (code !== undefined && /^[0-9A-Z]{5}$/.test(code)) return classifyPostgres(code, cause)
  // TypeORM lets go of a connection as soon as it breaks; the next statement finds that out.
  if (thrown instanceof QueryRunnerAlreadyReleasedError) return unavailable('connection')
  if (thrown instanceof SealedValueInvalid || thrown instanceof TypeORMError) {
    if (!(thrown instanceof QueryFailedError)) return { kind: 'bug', error: thrown }
  }
  // A driver that fails without a code of its database has lost, or never had, its connection.
  if (systemCode.test(code ?? '') || connectionTrouble.test(message))
    return unavailable(code ?? 'connection')
  if (thrown instanceof QueryFailedError) return { kind: 'bug', error: refused('unknown') }
  return { kind: 'bug', error: thrown instanceof Error ? thrown : new Error('not an error') }
}

/** ECONNREFUSED, ENOTFOUND, …, and what TLS says of a certificate. */
const systemCode = /^E[A-Z]+$|^EAI_|^ERR_(TLS|SSL)_|CERT|^UNABLE_TO_/

const connectionTrouble =
  /^(Connection terminated|connection timeout|timeout e(xceeded|xpired)|Query read timeout|Client (was closed|has encountered)|The database connection is not open|The server does not support SSL|Cannot use a pool)/i

const sqliteUnavailable =
  /^SQLITE_(BUSY|LOCKED|FULL|IOERR|READONLY|CANTOPEN|CORRUPT|NOTADB|PROTOCOL|NOMEM|PERM|AUTH|INTERRUPT|SCHEMA)/

function classifySqlite(code: string, message: string): Failure {
  if (code === 'SQLITE_CONSTRAINT_UNIQUE' || code === 'SQLITE_CONSTRAINT_PRIMARYKEY') {
    const columns = message.replace(/^UNIQUE constraint failed: /, '')
    return { kind: 'conflict', error: conflictOn(columns) }
  }
  if (code === 'SQLITE_CONSTRAINT_FOREIGNKEY') return { kind: 'conflict', error: refused(code) }
  return sqliteUnavailable.test(code) ? unavailable(code) : { kind: 'bug', error: refused(code) }
}

/**
 * Classes of SQLSTATE that say "not now": connection, access, resources, operator, system, internal; and single codes:
 * read-only, standby, time out, missing table or database. https://www.postgresql.org/docs/15/errcodes-appendix.html
 */
const postgresUnavailable =
  /^(08|28|53|57|58|F0|XX)|^(25006|25P03|55P03|55000|3D000|42P01|42501|0A000)$/

function classifyPostgres(code: string, cause: unknown): Failure {
  if (code === '40001' || code === '40P01') return { kind: 'lost_race' }
  if (code === '23505') {
    const constraint = (cause as { constraint?: unknown }).constraint
    return { kind: 'conflict', error: conflictOn(String(constraint)) }
  }
  if (code === '23503') return { kind: 'conflict', error: refused(code) }
  return postgresUnavailable.test(code) ? unavailable(code) : { kind: 'bug', error: refused(code) }
}

function conflictOn(constraint: string): Error {
  const conflict = conflicts[constraint]
  return conflict === undefined ? refused('unique') : new StoreConflict(conflict)
}

const refused = (code: string) => new Error(`the database refused a statement (${code})`)

const unavailable = (code: string): Failure => ({
  kind: 'unavailable',
  error: new StorageUnavailable({ cause: new Error(`database error ${code}`) }),
})

export function codeOf(cause: unknown): string | undefined {
  if (typeof cause !== 'object' || cause === null) return undefined
  // Node tries all addresses of a host name and reports the failures together.
  if (cause instanceof AggregateError && !('code' in cause)) return codeOf(cause.errors[0])
  const code = (cause as { code?: unknown }).code
  return typeof code === 'string' ? code : undefined
}
