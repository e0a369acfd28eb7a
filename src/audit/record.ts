import { createHash } from 'node:crypto'

/** Who asked: a user, whoever holds the admin token, or the server itself. */
export type AuditActor = 'user' | 'admin' | 'server'

/** One record, before it has a hash. Every text is ASCII of the form that `parseLine` asks for. */
export interface AuditRecord {
  /** From 1, without a gap. */
  readonly seq: number
  /** Milliseconds since 1970. */
  readonly at: number
  /** Of the database, 32 hex digits. */
  readonly generation: string
  /** The request's id in log and answer, 32 hex digits; empty for what the server does by itself. */
  readonly request: string
  readonly actor: AuditActor
  /** Whose keys it is about, and the API key that was used; empty where there is none. */
  readonly user: string
  readonly apiKey: string
  readonly action: string
  /** Keyed hash of the public key, 64 hex digits; empty where there is no key yet, or none at all. */
  readonly key: string
  /** For what ends something: the `seq` of the record that began it. Otherwise 0. */
  readonly of: number
  /** `begun`, `done`, or the err_type with which it ended. */
  readonly outcome: string
  /** Further values by name, as keyed hashes of 64 hex digits. */
  readonly values: readonly (readonly [name: string, hash: string])[]
  /** Hash of the record before, 64 hex digits; zeros in the first one. */
  readonly prev: string
}

export const BEGUN = 'begun'
export const DONE = 'done'

/** What the server does by itself, in one record; what differs is said beside it. */
export const ofServer = {
  request: '',
  actor: 'server',
  user: '',
  apiKey: '',
  key: '',
  of: 0,
  outcome: DONE,
  values: [],
} as const

/** What the first record has in the place of the hash of the one before. */
export const NO_HASH = '0'.repeat(64)

const TAG = 'vertex/v1/audit-record'

/** The bytes that are hashed: every item after its length, lists after their count. docs/spec/audit-log.md, section 3. */
export function encodeRecord(record: AuditRecord): Uint8Array {
  const { values } = record
  const items: (string | number)[] = [
    TAG,
    record.seq,
    record.at,
    record.generation,
    record.request,
    record.actor,
    record.user,
    record.apiKey,
    record.action,
    record.key,
    record.of,
    record.outcome,
    values.length,
    ...values.flat(),
    record.prev,
  ]
  return Buffer.concat(items.flatMap(withLength))
}

/** 64 hex digits that stand for the record and, through `prev`, for all before it. */
export function hashRecord(record: AuditRecord): string {
  return createHash('sha256').update(encodeRecord(record)).digest('hex')
}

/** An item and, before it, its length in 8 bytes. Numbers have 8 bytes, big-endian. */
export function withLength(item: string | number): Buffer[] {
  const bytes = typeof item === 'string' ? Buffer.from(item, 'utf8') : u64(item)
  return [u64(bytes.length), bytes]
}

function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(value))
  return bytes
}
