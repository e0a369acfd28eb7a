import { randomUUID } from 'node:crypto'
import { MoreThan } from 'typeorm'
import type { FailureVerbs } from '../vault/ports.js'
import { integer, primaryText, table, text, time } from './columns.js'
import type { Unit } from './unit.js'

interface FailureRow {
  failureId: string
  shareId: string
  peer: number
  at: number
}

const TABLE = 'crypto_failures'

/** No foreign key to the share: a share that is erased and comes back under the same id keeps its count. */
export const failuresTable = () =>
  table<FailureRow>(TABLE, {
    columns: {
      failureId: primaryText('failure_id', 'pk_crypto_failures'),
      shareId: text('share_id'),
      peer: integer('peer'),
      at: time('at'),
    },
    indices: [{ name: 'ix_crypto_failures_peer', columns: ['shareId', 'peer', 'at'] }],
  })

export class Failures implements FailureVerbs {
  constructor(private readonly unit: Unit) {}

  add(shareId: string, peer: number, at: number): Promise<void> {
    return this.unit.verb(async (manager) => {
      await manager.insert<FailureRow>(TABLE, { failureId: randomUUID(), shareId, peer, at })
    })
  }

  countSince(shareId: string, peer: number, since: number): Promise<number> {
    return this.unit.verb((manager) =>
      manager.countBy<FailureRow>(TABLE, { shareId, peer, at: MoreThan(since) }),
    )
  }
}
