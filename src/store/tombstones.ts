import type { EntityManager } from 'typeorm'
import type { TombstoneSubject, TombstoneVerbs } from '../vault/ports.js'
import { isStorable, primaryText, table, time, toHex } from './columns.js'
import type { Unit } from './unit.js'

interface TombstoneRow {
  kind: TombstoneSubject['kind']
  /** Empty where the subject stands for itself. */
  userId: string
  subject: string
  createdAt: number
}

const TABLE = 'tombstones'

export const tombstonesTable = () =>
  table<TombstoneRow>(TABLE, {
    columns: {
      kind: primaryText('kind', 'pk_tombstones'),
      userId: primaryText('user_id', 'pk_tombstones'),
      subject: primaryText('subject', 'pk_tombstones'),
      createdAt: time('created_at'),
    },
  })

export class Tombstones implements TombstoneVerbs {
  constructor(private readonly unit: Unit) {}

  has(subject: TombstoneSubject): Promise<boolean> {
    return this.unit.verb(async (manager) => {
      const key = keyOf(subject)
      return isStorable(key.subject) && isStorable(key.userId) && manager.existsBy(TABLE, key)
    })
  }

  lift(subject: TombstoneSubject): Promise<boolean> {
    return this.unit.verb(async (manager) => {
      const key = keyOf(subject)
      if (!isStorable(key.subject) || !isStorable(key.userId)) return false
      const existed = await manager.existsBy(TABLE, key)
      if (existed) await manager.delete(TABLE, key)
      return existed
    })
  }
}

/** For the verbs of other tables that must leave one in the same unit. The first time stays. */
export async function addTombstone(
  manager: EntityManager,
  subject: TombstoneSubject,
  at: number,
): Promise<void> {
  const key = keyOf(subject)
  if (await manager.existsBy<TombstoneRow>(TABLE, key)) return
  await manager.insert<TombstoneRow>(TABLE, { ...key, createdAt: at })
}

function keyOf(subject: TombstoneSubject): Pick<TombstoneRow, 'kind' | 'userId' | 'subject'> {
  const { kind } = subject
  switch (kind) {
    case 'share':
      return {
        kind,
        userId: subject.userId,
        subject: `${toHex(subject.publicKey)}/${subject.party}`,
      }
    case 'user':
      return { kind, userId: '', subject: subject.userId }
    case 'user_name':
      return { kind, userId: '', subject: subject.name }
    case 'api_key':
      return { kind, userId: '', subject: subject.apiKeyId }
  }
}
