import type { EntityManager } from 'typeorm'
import type { HandleRecord, HandleVerbs, KeyRecord, ShareRecord } from '../vault/ports.js'
import { fromHex, hexText, isStorable, primaryText, table, text, time, toHex } from './columns.js'
import { toShareRecord, type ShareRow } from './shares.js'
import type { Unit } from './unit.js'

interface HandleRow {
  keyId: string
  userId: string
  shareId: string
  sourceDigest: string | null
  createdAt: number
}

const TABLE = 'key_handles'

export const handlesTable = () =>
  table<HandleRow>(TABLE, {
    columns: {
      keyId: primaryText('key_id', 'pk_key_handles'),
      userId: text('user_id'),
      shareId: text('share_id'),
      sourceDigest: hexText('source_digest', { nullable: true }),
      createdAt: time('created_at'),
    },
    uniques: [{ name: 'uq_key_handles_source', columns: ['userId', 'sourceDigest'] }],
    indices: [{ name: 'ix_key_handles_share', columns: ['shareId'] }],
    foreignKeys: [
      {
        // With the user, so that a handle can never lead to another user's share.
        name: 'fk_key_handles_share',
        target: 'shares',
        columnNames: ['userId', 'shareId'],
        referencedColumnNames: ['userId', 'shareId'],
      },
    ],
  })

export class Handles implements HandleVerbs {
  constructor(private readonly unit: Unit) {}

  insert(handle: HandleRecord): Promise<void> {
    return this.unit.verb(async (manager) => {
      const { keyId, userId, shareId, sourceDigest, createdAt } = handle
      await manager.insert<HandleRow>(TABLE, {
        keyId,
        userId,
        shareId,
        sourceDigest: sourceDigest === null ? null : toHex(sourceDigest),
        createdAt,
      })
    })
  }

  find(userId: string, keyId: string): Promise<KeyRecord | undefined> {
    return this.unit.verb(async (manager) =>
      isStorable(keyId) ? this.#find(manager, { userId, keyId }) : undefined,
    )
  }

  findByDigest(userId: string, sourceDigest: Uint8Array): Promise<KeyRecord | undefined> {
    return this.unit.verb((manager) =>
      this.#find(manager, { userId, sourceDigest: toHex(sourceDigest) }),
    )
  }

  listForUser(userId: string): Promise<readonly KeyRecord[]> {
    return this.unit.verb(async (manager) => {
      const handles = await manager.find<HandleRow>(TABLE, {
        where: { userId },
        order: { createdAt: 'ASC', keyId: 'ASC' },
      })
      const shares = new Map<string, ShareRecord>()
      for (const row of await manager.findBy<ShareRow>('shares', { userId }))
        shares.set(row.shareId, toShareRecord(row))
      return handles.flatMap((handle) => {
        const share = shares.get(handle.shareId)
        return share === undefined ? [] : [{ handle: toHandleRecord(handle), share }]
      })
    })
  }

  delete(
    userId: string,
    keyId: string,
  ): Promise<{ share: ShareRecord; remaining: number } | undefined> {
    return this.unit.verb(async (manager) => {
      if (!isStorable(keyId)) return undefined
      const key = await this.#find(manager, { userId, keyId })
      if (key === undefined) return undefined
      await manager.delete<HandleRow>(TABLE, { keyId, userId })
      const { share } = key
      const remaining = await manager.countBy<HandleRow>(TABLE, { userId, shareId: share.shareId })
      return { share, remaining }
    })
  }

  async #find(
    manager: EntityManager,
    where: { userId: string; keyId: string } | { userId: string; sourceDigest: string },
  ): Promise<KeyRecord | undefined> {
    const handle = await manager.findOneBy<HandleRow>(TABLE, where)
    if (handle === null) return undefined
    const { userId, shareId } = handle
    const share = await manager.findOneByOrFail<ShareRow>('shares', { userId, shareId })
    return { handle: toHandleRecord(handle), share: toShareRecord(share) }
  }
}

const toHandleRecord = (row: HandleRow): HandleRecord => ({
  ...row,
  sourceDigest: row.sourceDigest === null ? null : fromHex(row.sourceDigest),
})
