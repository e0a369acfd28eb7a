import { MoreThan } from 'typeorm'
import type { AuditRow } from '../vault/ports.js'
import { table, text, wide } from './columns.js'
import type { Unit } from './unit.js'

const TABLE = 'audit_records'

export const auditTable = () =>
  table<AuditRow>(TABLE, {
    columns: {
      seq: wide('seq', { primary: true, primaryKeyConstraintName: 'pk_audit_records' }),
      line: text('line'),
    },
  })

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
