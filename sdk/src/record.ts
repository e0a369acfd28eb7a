import { StoreCorruptError } from './errors.js'

/** The vault identity that a key trusts: only it may call for the backup. All hex. */
export interface PinnedIdentity {
  readonly publicKey: string
  readonly fingerprint: string
  readonly vaultName: string
}

/** A server share as a Vertex exports it. */
export interface Backup {
  readonly export_type: 'encrypted' | 'plaintext'
  readonly key_share: string
}

/** What is known of one Vertex that holds a share of the key. */
export interface VertexRecord {
  readonly url: string
  /** The handle of its share now. */
  readonly keyId: string
  /** Its public identity for this key, hex. */
  readonly keygenId: string
  /** Null where backups are in the clear: such a Vertex has no identity that survives a loss. */
  readonly identity: PinnedIdentity | null
  /** The database it was last seen with; null with `identity`. */
  readonly generation: string | null
  /** Databases that were left behind. One of them answering again is a rollback. */
  readonly formerGenerations: readonly string[]
  /** The last verified backup of its share. */
  readonly backup: Backup | null
}

/** An OT setup that a failed check has retired: never used again. */
export interface RetiredSetup {
  /** 32 bytes, hex. */
  readonly id: string
  readonly party: number
  /** Unix time in milliseconds. */
  readonly at: number
  /** Whether the other side has been seen without it since. Only then its return says something. */
  readonly left: boolean
}

/** A failed check that this side saw, for the lock. */
export interface Failure {
  readonly party: number
  /** Unix time in milliseconds. */
  readonly at: number
}

/** Everything that this party keeps of one key. `share` is secret; the rest is not. */
export interface KeyRecord {
  readonly id: string
  /** `unconfirmed`: keygen or the first backup has not been seen through yet. */
  readonly state: 'unconfirmed' | 'ready'
  readonly createdAt: string
  /** 33 bytes, compressed, hex. */
  readonly publicKey: string
  readonly epoch: number
  readonly threshold: number
  readonly parties: number
  readonly vertices: readonly VertexRecord[]
  /** Newest last. */
  readonly retiredSetups: readonly RetiredSetup[]
  readonly failures: readonly Failure[]
  /** The encoded key share. */
  readonly share: Uint8Array
}

const MAGIC = 'VTXKEY01'
const MAX_META_BYTES = 4 * 1024 * 1024

/** magic ‖ u32 length ‖ JSON of the public part ‖ share. The secret never becomes a string. */
export function encodeRecord(record: KeyRecord): Uint8Array {
  const { share, ...meta } = record
  const json = new TextEncoder().encode(JSON.stringify(meta))
  const bytes = new Uint8Array(MAGIC.length + 4 + json.length + share.length)
  bytes.set(new TextEncoder().encode(MAGIC))
  new DataView(bytes.buffer).setUint32(MAGIC.length, json.length)
  bytes.set(json, MAGIC.length + 4)
  bytes.set(share, MAGIC.length + 4 + json.length)
  return bytes
}

/** @throws StoreCorruptError unless every member is there and of its type */
export function decodeRecord(bytes: Uint8Array): KeyRecord {
  try {
    const start = MAGIC.length + 4
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    const length = view.getUint32(MAGIC.length)
    const magic = new TextDecoder().decode(bytes.subarray(0, MAGIC.length))
    if (magic !== MAGIC || length > MAX_META_BYTES || start + length >= bytes.length) throw bad
    const json = new TextDecoder('utf-8', { fatal: true }).decode(
      bytes.subarray(start, start + length),
    )
    return keyRecord(JSON.parse(json), bytes.slice(start + length))
  } catch {
    throw new StoreCorruptError('the stored key cannot be read')
  }
}

const bad = new Error('malformed record')

function keyRecord(value: unknown, share: Uint8Array): KeyRecord {
  const o = object(value)
  return {
    id: text(o['id']),
    state: oneOf(o['state'], ['unconfirmed', 'ready'] as const),
    createdAt: text(o['createdAt']),
    publicKey: hex(o['publicKey'], 33),
    epoch: count(o['epoch']),
    threshold: count(o['threshold']),
    parties: count(o['parties']),
    vertices: list(o['vertices'], vertexRecord),
    retiredSetups: list(o['retiredSetups'], retiredSetup),
    failures: list(o['failures'], (failure) => ({
      party: count(object(failure)['party']),
      at: count(object(failure)['at']),
    })),
    share,
  }
}

function vertexRecord(value: unknown): VertexRecord {
  const o = object(value)
  return {
    url: text(o['url']),
    keyId: text(o['keyId']),
    keygenId: hex(o['keygenId'], 33),
    identity: o['identity'] === null ? null : identityOf(o['identity']),
    generation: o['generation'] === null ? null : text(o['generation']),
    formerGenerations: list(o['formerGenerations'], text),
    backup: o['backup'] === null ? null : backupOf(o['backup']),
  }
}

function retiredSetup(value: unknown): RetiredSetup {
  const o = object(value)
  if (typeof o['left'] !== 'boolean') throw bad
  return { id: hex(o['id'], 32), party: count(o['party']), at: count(o['at']), left: o['left'] }
}

function identityOf(value: unknown): PinnedIdentity {
  const o = object(value)
  return {
    publicKey: hex(o['publicKey'], 32),
    fingerprint: hex(o['fingerprint'], 32),
    vaultName: text(o['vaultName']),
  }
}

/** Reads a backup as it travels. @throws Error */
export function backupOf(value: unknown): Backup {
  const o = object(value)
  return {
    export_type: oneOf(o['export_type'], ['encrypted', 'plaintext'] as const),
    key_share: text(o['key_share']),
  }
}

function object(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw bad
  return value as Record<string, unknown>
}

function text(value: unknown): string {
  if (typeof value !== 'string') throw bad
  return value
}

function hex(value: unknown, bytes: number): string {
  if (typeof value !== 'string' || !/^[0-9a-f]*$/.test(value) || value.length !== 2 * bytes)
    throw bad
  return value
}

function count(value: unknown): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) throw bad
  return value
}

function oneOf<T extends string>(value: unknown, values: readonly T[]): T {
  const found = values.find((one) => one === value)
  if (found === undefined) throw bad
  return found
}

function list<T>(value: unknown, item: (value: unknown) => T): T[] {
  if (!Array.isArray(value)) throw bad
  return value.map(item)
}
