import type { EntityManager } from 'typeorm'
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
      const { kind, fingerprint } = secret
      if (await manager.existsBy<SecretRow>(TABLE, { kind, fingerprint })) return false
      await manager.insert<SecretRow>(TABLE, await this.#last(manager, secret))
      return true
    })
  }

  async recordNewest(secret: RecordedSecret): Promise<void> {
    if (await this.record(secret)) return
    await this.unit.verb(async (manager) => {
      const { kind, fingerprint, name, version } = secret
      const [last] = await manager.find<SecretRow>(TABLE, {
        where: { kind },
        order: { recordedAt: 'DESC' },
        take: 1,
      })
      if (last!.fingerprint === fingerprint && last!.name === name && last!.version === version)
        return
      await manager.update<SecretRow>(
        TABLE,
        { kind, fingerprint },
        await this.#last(manager, secret),
      )
    })
  }

  /** The row of a secret that is to stand at the end of the list, even if a clock went back. */
  async #last(manager: EntityManager, secret: RecordedSecret): Promise<SecretRow> {
    const { kind, fingerprint, name, version } = secret
    const last = await manager.maximum<SecretRow>(TABLE, 'recordedAt', { kind })
    const recordedAt = Math.max(secret.recordedAt, last === null ? 0 : last + 1)
    return { kind, fingerprint, name, version, recordedAt }
  }

  list(kind: SecretKind): Promise<readonly RecordedSecret[]> {
    return this.unit.verb((manager) =>
      manager.find<SecretRow>(TABLE, { where: { kind }, order: { recordedAt: 'ASC' } }),
    )
  }
}
