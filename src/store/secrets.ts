import type { RecordedSecret, SecretKind, SecretVerbs } from '../vault/ports.js'
import { primaryText, table, text, time } from './columns.js'
import type { Unit } from './unit.js'

interface SecretRow {
  kind: SecretKind
  fingerprint: string
  name: string
  version: string
  recordedAt: number
}

const TABLE = 'recorded_secrets'

export const secretsTable = () =>
  table<SecretRow>(TABLE, {
    columns: {
      kind: primaryText('kind', 'pk_recorded_secrets'),
      fingerprint: primaryText('fingerprint', 'pk_recorded_secrets'),
      name: text('name'),
      version: text('version'),
      recordedAt: time('recorded_at'),
    },
  })

export class Secrets implements SecretVerbs {
  constructor(private readonly unit: Unit) {}

  record(secret: RecordedSecret): Promise<boolean> {
    return this.unit.verb(async (manager) => {
      const { kind, fingerprint, name, version } = secret
      if (await manager.existsBy<SecretRow>(TABLE, { kind, fingerprint })) return false
      const last = await manager.maximum<SecretRow>(TABLE, 'recordedAt', { kind })
      // Strictly increasing, so that "the newest" is the last recorded one even if a clock went back.
      const recordedAt = Math.max(secret.recordedAt, last === null ? 0 : last + 1)
      await manager.insert<SecretRow>(TABLE, { kind, fingerprint, name, version, recordedAt })
      return true
    })
  }

  list(kind: SecretKind): Promise<readonly RecordedSecret[]> {
    return this.unit.verb((manager) =>
      manager.find<SecretRow>(TABLE, { where: { kind }, order: { recordedAt: 'ASC' } }),
    )
  }
}
