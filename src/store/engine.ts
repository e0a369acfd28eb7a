import type { DataSource, QueryRunner } from 'typeorm'
import type { Engine } from './columns.js'

/** A row as the driver gives it: wide integers may be text. */
export type Row = Readonly<Record<string, unknown>>

/** What a statement is given for one of its parameters. */
export type SqlValue = string | number | Uint8Array | null

/** What differs between the databases, once they are connected. */
export interface DatabaseEngine {
  readonly kind: Engine
  readonly dataSource: DataSource
  /** The statement that opens a unit of work. */
  readonly begin: string
  /** The statements that open a transaction in which nobody else, on no other server either, appends to the audit log. */
  readonly beginAppending: readonly string[]
  /** The same, of the directory's log. */
  readonly beginLogging: readonly string[]
  /** The same, of the keyserver's chain. */
  readonly beginChaining: readonly string[]
  /** A SELECT that gives one row and, to the end of its transaction, the same. */
  readonly aloneInAudit: string
  /** Whether all units share one connection and must therefore run one after the other. */
  readonly oneConnection: boolean
  /** Brings the tables up to date; safe to run by several processes at once. @throws StoreRefused */
  migrate(): Promise<void>
  /** That what is acknowledged will be durable, here and now. @throws StoreRefused */
  assertDurable(): Promise<void>
  /**
   * Runs one statement that answers with rows by itself, outside of every unit: what it sees is of one moment, and
   * committed, and so is what it writes when this resolves. Its parameters are $1, $2, …, each used once and in order.
   * Where there is one connection, the caller sees to it that no unit is open on it.
   */
  statement(sql: string, values: readonly SqlValue[]): Promise<Row[]>
  /** Lets go of a connection that did not end its transaction. */
  discard(runner: QueryRunner): Promise<void>
  close(): Promise<void>
}
