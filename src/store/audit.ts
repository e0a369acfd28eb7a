import { MoreThan } from 'typeorm'
import type { AuditRow } from '../vault/ports.js'
import { table, text, wide } from './columns.js'
import type { DatabaseEngine } from './engine.js'
import { classify } from './errors.js'
import type { Unit } from './unit.js'

const TABLE = 'audit_records'

export const auditTable = () =>
  table<AuditRow>(TABLE, {
    columns: {
      seq: wide('seq', { primary: true, primaryKeyConstraintName: 'pk_audit_records' }),
      line: text('line'),
    },
  })

/** Whether there is a record at a place that somebody knows, and a later one: whoever appends then asks for both. */
export const isBefore = (own: number | undefined, last: AuditRow | undefined): own is number =>
  own !== undefined && last !== undefined && own < last.seq

/** How a log ended when somebody looked. */
export interface AuditEnd {
  readonly last: AuditRow | undefined
  readonly generation: string
}

/**
 * Appends in one statement, on condition that the log still ends as it is believed to. What the statement sees may be
 * older than its lock: then the number it has to give is taken, and the primary key refuses it. So whatever is believed,
 * what is appended follows the last record.
 * @returns false when the log does not end so, or no longer, and nothing was appended
 * @throws StorageUnavailable perhaps after it was appended
 */
export async function appendAfter(
  engine: DatabaseEngine,
  { last, generation }: AuditEnd,
  rows: readonly AuditRow[],
): Promise<boolean> {
  const count = rows.length * 2
  const places = rows.map((_, i) => `(CAST($${2 * i + 1} AS bigint), $${2 * i + 2})`).join()
  const insert = `WITH alone AS MATERIALIZED (${engine.aloneInAudit}), new (seq, line) AS (VALUES ${places})
    INSERT INTO ${TABLE} (seq, line) SELECT seq, line FROM new, alone
    WHERE coalesce((SELECT line FROM ${TABLE} ORDER BY seq DESC LIMIT 1), '') = $${count + 1}
      AND (SELECT generation FROM meta WHERE id = 1) = $${count + 2}
    RETURNING seq`
  const values = rows.flatMap(({ seq, line }) => [seq, line])
  try {
    const appended = await engine.statement(insert, [...values, last?.line ?? '', generation])
    return appended.length > 0
  } catch (thrown) {
    const failure = classify(thrown)
    if (failure.kind === 'lost_race' || failure.kind === 'conflict') return false
    throw failure.error
  }
}

/** Of the store itself: what appends must have the log for itself. */
export class Audit {
  constructor(private readonly unit: Unit) {}

  /** The last record. */
  async head(): Promise<AuditRow | undefined> {
    const [head] = await this.unit.verb((manager) =>
      manager.find<AuditRow>(TABLE, { order: { seq: 'DESC' }, take: 1 }),
    )
    return head
  }

  /** The record at one place. */
  async at(seq: number): Promise<AuditRow | undefined> {
    const [found] = await this.unit.verb((manager) =>
      manager.find<AuditRow>(TABLE, { where: { seq }, take: 1 }),
    )
    return found
  }

  async append(rows: readonly AuditRow[]): Promise<void> {
    if (rows.length === 0) return
    await this.unit.verb((manager) => manager.insert<AuditRow>(TABLE, [...rows]))
  }

  /** The next records after one, in order. */
  after(seq: number, most: number): Promise<readonly AuditRow[]> {
    return this.unit.verb((manager) =>
      manager.find<AuditRow>(TABLE, {
        where: { seq: MoreThan(seq) },
        order: { seq: 'ASC' },
        take: most,
      }),
    )
  }
}
