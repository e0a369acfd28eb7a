import {
  decodeEntry,
  equal,
  leafHash,
  openCheckpoint,
  rootOf,
  subjectHash,
  tileHashes,
  TILE_WIDTH,
  type Checkpoint,
  type Hash,
  type TilePlace,
  type VerifierKey,
} from '@vertex/directory/log'
import type { Snapshot } from '../../store/index.js'
import { checkTree } from './check-tree.js'
import { LogBad, type GoodLog, type Progress } from './problem.js'
import { type LoggedRows } from './rows.js'
import { LEAVES, STATE, TILES } from './tables.js'

export interface DatabaseToCheck {
  readonly snapshot: Snapshot
  readonly key: VerifierKey
  /** Further checkpoints of this log, verified. */
  readonly kept: readonly Checkpoint[]
  readonly rows: readonly LoggedRows[]
  /** Names the first record of a run of the audit log that does not fit the chain, if one does not. */
  readonly badRecord: (lines: readonly string[]) => number | undefined
  readonly progress: Progress
}

/** A log in its database that is in order. */
export interface GoodDatabase extends GoodLog {
  /** Rows that were compared with their entries. */
  readonly rows: number
  /** Entries whose rows were erased. */
  readonly erased: number
  /** Audit records that are committed to. */
  readonly auditRecords: number
  /** Entries that wait for their place. */
  readonly waiting: number
}

/** Checks the log of a database, of one moment. 7 @throws LogBad, StorageUnavailable */
export async function verifyDatabase(asked: DatabaseToCheck): Promise<GoodDatabase> {
  const { snapshot, key, kept, progress } = asked
  const [state] = await all(snapshot, `SELECT size, audit_seq, checkpoint FROM ${STATE}`)
  const checkpoint = openCheckpoint(state === undefined ? '' : String(state['checkpoint']), key)
  if (checkpoint === undefined)
    throw new LogBad(
      'checkpoint_unsigned',
      `the checkpoint is not signed by ${key.name}+${key.keyId}`,
    )
  const size = Number(state!['size'])
  if (size < checkpoint.size)
    throw new LogBad(
      'entry_missing',
      `the log has ${size} entries, and ${checkpoint.size} were signed`,
    )
  const kinds: Record<string, number> = {}
  await checkTree({
    checkpoint,
    kept,
    progress,
    entries: entriesIn(snapshot, size),
    tile: (place) => tileIn(snapshot, place),
    each: ({ kind }) => (kinds[kind] = (kinds[kind] ?? 0) + 1),
  })
  let rows = 0
  for (const one of asked.rows) rows += await checkRows(snapshot, one)
  const auditRecords = await checkAudit(asked, Number(state!['audit_seq']))
  const count = async (where: string) =>
    Number((await all(snapshot, `SELECT count(*) AS n FROM ${LEAVES} WHERE ${where}`))[0]!['n'])
  return {
    origin: checkpoint.origin,
    size: checkpoint.size,
    root: checkpoint.root,
    kinds,
    rows,
    erased: await count('salt IS NULL'),
    auditRecords,
    waiting: await count('idx IS NULL'),
  }
}

/** @throws LogBad where one is missing or too many */
async function* entriesIn(snapshot: Snapshot, size: number): AsyncGenerator<Uint8Array[]> {
  for (let from = 0; from < size; from += TILE_WIDTH) {
    const to = Math.min(from + TILE_WIDTH, size)
    const rows = await all(
      snapshot,
      `SELECT idx, kind, entry FROM ${LEAVES} WHERE idx >= ${from} AND idx < ${to} ORDER BY idx`,
    )
    for (let i = 0; i < to - from; i++)
      if (Number(rows[i]?.['idx'] ?? NaN) !== from + i)
        throw new LogBad('entry_missing', `entry ${from + i} is not there`, from + i)
    yield rows.map((row, i) => {
      const entry = new Uint8Array(row['entry'] as Buffer)
      const { kind } = decodeEntry(entry) ?? { kind: row['kind'] }
      if (kind === row['kind']) return entry
      const what = `entry ${from + i} is of another kind than its row says`
      throw new LogBad('entry_changed', what, from + i)
    })
  }
  const [last] = await all(snapshot, `SELECT max(idx) AS last FROM ${LEAVES}`)
  if (last?.['last'] != null && Number(last['last']) >= size)
    throw new LogBad('entry_missing', `entry ${Number(last['last'])} is beyond the end of the log`)
}

async function tileIn(snapshot: Snapshot, { level, n }: TilePlace): Promise<Hash[] | undefined> {
  const [row] = await all(
    snapshot,
    `SELECT hashes FROM ${TILES} WHERE level = ${level} AND n = ${n}`,
  )
  if (row === undefined) return undefined
  const bytes = new Uint8Array(row['hashes'] as Buffer)
  return tileHashes(bytes, Math.floor(bytes.length / 32))
}

/** Compares the rows of one kind with their entries. @throws LogBad */
async function checkRows(snapshot: Snapshot, of: LoggedRows): Promise<number> {
  let compared = 0
  const where = of.where === undefined ? '' : `WHERE ${of.where}`
  for await (const row of snapshot.rows(
    `SELECT ${of.source} AS source, l.idx AS idx, l.salt AS salt, l.entry AS entry, ${of.columns}
    FROM ${of.table} r LEFT JOIN ${LEAVES} l ON l.kind = '${of.kind}' AND l.source = ${of.source} ${where}`,
  )) {
    const name = `${of.kind} ${String(row['source'])}`
    if (row['entry'] === null) throw new LogBad('row_not_logged', `${name} has no entry in the log`)
    const index = row['idx'] === null ? undefined : Number(row['idx'])
    const entry = decodeEntry(new Uint8Array(row['entry'] as Buffer))
    const salt = row['salt'] as Buffer | null
    const digest = of.digest(row)
    const same =
      entry !== undefined &&
      salt !== null &&
      digest !== undefined &&
      equal(entry.digest, digest) &&
      equal(entry.subject, subjectHash(of.kind, new Uint8Array(salt), of.subject(row)))
    if (!same) throw new LogBad('row_changed', `${name} is not what was logged`, index)
    compared++
  }
  const [logged] = await all(
    snapshot,
    `SELECT count(*) AS n FROM ${LEAVES} WHERE kind = '${of.kind}' AND (source IS NOT NULL OR salt IS NOT NULL)`,
  )
  if (Number(logged!['n']) === compared) return compared
  // Only where one is missing, since it is slow: which one.
  const [missing] = await all(
    snapshot,
    `SELECT l.idx AS idx, l.source AS source FROM ${LEAVES} l WHERE l.kind = '${of.kind}' AND (l.source IS NOT NULL OR l.salt IS NOT NULL)
      AND NOT EXISTS (SELECT 1 FROM ${of.table} r WHERE ${of.source} = l.source) ORDER BY l.id LIMIT 1`,
  )
  const index = missing?.['idx'] == null ? undefined : Number(missing['idx'])
  throw new LogBad(
    'row_missing',
    `${of.kind} ${String(missing?.['source'])} is gone, and was not erased`,
    index,
  )
}

/** Compares the audit log with the batches that commit to it. 2.7 @throws LogBad */
async function checkAudit({ snapshot, badRecord }: DatabaseToCheck, upTo: number): Promise<number> {
  let done = 0
  for (let id = 0; ;) {
    const rows = await all(
      snapshot,
      `SELECT id, idx, source, salt, entry FROM ${LEAVES} WHERE kind = 'audit-batch' AND id > ${id} ORDER BY id LIMIT 100`,
    )
    for (const row of rows) {
      const index = Number(row['idx'])
      const { first, last, digest } = batchOf(row, index)
      if (first !== done + 1 || last < first)
        throw new LogBad(
          'audit_gap',
          `a batch begins with record ${first}, and the one before ended with ${done}`,
          index,
        )
      const records = await all(
        snapshot,
        `SELECT seq, line FROM audit_records WHERE seq >= ${first} AND seq <= ${last} ORDER BY seq`,
      )
      const lines = records.map(({ seq, line }, i) => {
        if (Number(seq) === first + i) return String(line)
        throw new LogBad(
          'audit_changed',
          `record ${first + i} of the audit log is not there`,
          index,
        )
      })
      const same =
        lines.length === last - first + 1 &&
        equal(rootOf(lines.map((line) => leafHash(Buffer.from(line, 'utf8')))), digest)
      if (!same) throw auditChanged(first, last, badRecord(lines), index)
      done = last
    }
    if (rows.length === 0) break
    id = Number(rows.at(-1)!['id'])
  }
  if (done !== upTo)
    throw new LogBad(
      'audit_gap',
      `the batches end with record ${done}, and ${upTo} were committed to`,
    )
  return done
}

/** @throws LogBad for a row whose range is not the one that was logged */
function batchOf(row: Readonly<Record<string, unknown>>, index: number) {
  const source = String(row['source'])
  const [, first, last] = /^([0-9]+)-([0-9]+)$/.exec(source) ?? []
  const entry = decodeEntry(new Uint8Array(row['entry'] as Buffer))
  const salt = row['salt'] as Buffer | null
  if (
    entry === undefined ||
    salt === null ||
    !equal(entry.subject, subjectHash('audit-batch', new Uint8Array(salt), source))
  )
    throw new LogBad(
      'row_changed',
      `the range of the batch in entry ${index} is not what was logged`,
      index,
    )
  return { first: Number(first), last: Number(last), digest: entry.digest }
}

function auditChanged(first: number, last: number, bad: number | undefined, index: number): LogBad {
  const which = bad === undefined ? '' : `; the first that does not fit is ${bad}`
  const what = `the records ${first} to ${last} of the audit log are not those that were committed to${which}`
  return new LogBad('audit_changed', what, index)
}

async function all(snapshot: Snapshot, select: string) {
  const rows = []
  for await (const row of snapshot.rows(select)) rows.push(row)
  return rows
}
