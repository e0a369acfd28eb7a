import { LessThan, type EntityManager } from 'typeorm'
import type { PendingKey, PendingKeyRecord, PendingKeyVerbs } from '../vault/ports.js'
import {
  fromHex,
  hexText,
  isStorable,
  primaryText,
  sealed,
  table,
  text,
  time,
  toHex,
  type Engine,
} from './columns.js'
import type { Unit } from './unit.js'
import { assertUser } from './users.js'

interface PendingKeyRow {
  keyId: string
  userId: string
  keygenId: string
  identitySecret: Buffer
  createdAt: number
}

const TABLE = 'pending_keys'

export const pendingKeysTable = (engine: Engine) =>
  table<PendingKeyRow>(TABLE, {
    columns: {
      keyId: primaryText('key_id', 'pk_pending_keys'),
      userId: text('user_id'),
      keygenId: hexText('keygen_id'),
      identitySecret: sealed(engine, 'identity_secret'),
      createdAt: time('created_at'),
    },
    indices: [{ name: 'ix_pending_keys_user', columns: ['userId'] }],
    foreignKeys: [
      {
        name: 'fk_pending_keys_user',
        target: 'users',
        columnNames: ['userId'],
        referencedColumnNames: ['userId'],
      },
    ],
  })

/** Bound together by the seal. */
const identityOf = (row: { keyId: string; userId: string; keygenId: string }) => [
  row.keyId,
  row.userId,
  row.keygenId,
]

export class PendingKeys implements PendingKeyVerbs {
  constructor(private readonly unit: Unit) {}

  insert(key: PendingKey): Promise<void> {
    return this.unit.verb(async (manager) => {
      const row = { keyId: key.keyId, userId: key.userId, keygenId: toHex(key.keygenId) }
      const identitySecret = this.unit.sealer.seal(
        TABLE,
        'identity_secret',
        identityOf(row),
        key.identitySecret,
      )
      await assertUser(manager, key.userId)
      await manager.insert<PendingKeyRow>(TABLE, {
        ...row,
        identitySecret,
        createdAt: key.createdAt,
      })
    })
  }

  find(userId: string, keyId: string): Promise<PendingKey | undefined> {
    return this.unit.verb(async (manager) => {
      const row = await this.#row(manager, userId, keyId)
      return row === undefined ? undefined : this.#open(row)
    })
  }

  take(userId: string, keyId: string): Promise<PendingKey | undefined> {
    return this.unit.verb(async (manager) => {
      const row = await this.#row(manager, userId, keyId)
      if (row === undefined) return undefined
      await manager.delete<PendingKeyRow>(TABLE, { keyId, userId })
      return this.#open(row)
    })
  }

  delete(userId: string, keyId: string): Promise<boolean> {
    return this.unit.verb(async (manager) => {
      const row = await this.#row(manager, userId, keyId)
      if (row === undefined) return false
      await manager.delete<PendingKeyRow>(TABLE, { keyId, userId })
      return true
    })
  }

  listForUser(userId: string): Promise<readonly PendingKeyRecord[]> {
    return this.unit.verb(async (manager) => {
      const rows = await manager.find<PendingKeyRow>(TABLE, {
        select: { keyId: true, userId: true, keygenId: true, createdAt: true },
        where: { userId },
        order: { createdAt: 'ASC', keyId: 'ASC' },
      })
      return rows.map(toRecord)
    })
  }

  sweep(userId: string, before: number): Promise<number> {
    return this.unit.verb(async (manager) => {
      await manager.delete<PendingKeyRow>(TABLE, { userId, createdAt: LessThan(before) })
      return manager.countBy<PendingKeyRow>(TABLE, { userId })
    })
  }

  async #row(
    manager: EntityManager,
    userId: string,
    keyId: string,
  ): Promise<PendingKeyRow | undefined> {
    if (!isStorable(keyId)) return undefined
    return (await manager.findOneBy<PendingKeyRow>(TABLE, { keyId, userId })) ?? undefined
  }

  #open(row: PendingKeyRow): PendingKey {
    const identitySecret = this.unit.sealer.open(
      TABLE,
      'identity_secret',
      identityOf(row),
      row.identitySecret,
    )
    return { ...toRecord(row), identitySecret }
  }
}

const toRecord = (row: Omit<PendingKeyRow, 'identitySecret'>): PendingKeyRecord => ({
  keyId: row.keyId,
  userId: row.userId,
  keygenId: fromHex(row.keygenId),
  createdAt: row.createdAt,
})
