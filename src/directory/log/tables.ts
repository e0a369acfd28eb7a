import type { EntitySchema } from 'typeorm'
import { bytesType, integer, table, text, wide, type Engine } from '../../store/columns.js'

/** One entry of the log, or one that has not got its place yet. */
export interface LeafRow {
  /** In which order they were written. */
  id: number
  /** Its place in the tree; null until the appender has given it one. */
  idx: number | null
  kind: string
  /** Which row it is about; null once that was erased. */
  source: string | null
  /** Null once the row was erased. */
  salt: Buffer | null
  /** Its bytes: docs/spec/directory-log.md, section 2. */
  entry: Buffer
}

/** One tile of hashes; the last of each level grows. */
export interface TileRow {
  level: number
  n: number
  hashes: Buffer
}

/** How far the log is. There is one row. */
export interface StateRow {
  id: number
  /** Entries that have their place. */
  size: number
  /** The last record of the audit log that is committed to. */
  auditSeq: number
  /** The last checkpoint; empty before the first one. */
  checkpoint: string
}

export const LEAVES = 'log_leaves'
export const TILES = 'log_tiles'
export const STATE = 'log_state'
export const STATE_ID = 1

const bytes = (engine: Engine, name: string) => ({ type: bytesType(engine), name }) as const

/** The tables of the log. Migration 0007 makes them. */
export const logTables = (engine: Engine): EntitySchema[] => [
  table<LeafRow>(LEAVES, {
    columns: {
      id: {
        ...(engine === 'postgres' ? wide('id') : integer('id')),
        primary: true,
        generated: 'increment',
        ...(engine === 'postgres' ? { primaryKeyConstraintName: 'pk_log_leaves' } : {}),
      },
      idx: wide('idx', { nullable: true }),
      kind: text('kind'),
      source: text('source', { nullable: true }),
      salt: { ...bytes(engine, 'salt'), nullable: true },
      entry: bytes(engine, 'entry'),
    },
    uniques: [
      { name: 'uq_log_leaves_idx', columns: ['idx'] },
      { name: 'uq_log_leaves_source', columns: ['kind', 'source'] },
    ],
    indices: [{ name: 'ix_log_leaves_waiting', columns: ['id'], where: '"idx" IS NULL' }],
  }),
  table<TileRow>(TILES, {
    columns: {
      level: integer('level', { primary: true, primaryKeyConstraintName: 'pk_log_tiles' }),
      n: wide('n', { primary: true, primaryKeyConstraintName: 'pk_log_tiles' }),
      hashes: bytes(engine, 'hashes'),
    },
  }),
  table<StateRow>(STATE, {
    columns: {
      id: integer('id', { primary: true, primaryKeyConstraintName: 'pk_log_state' }),
      size: wide('size'),
      auditSeq: wide('audit_seq'),
      checkpoint: text('checkpoint'),
    },
  }),
]
