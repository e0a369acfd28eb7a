import type { EntityManager } from 'typeorm'
import type { UserRecord, UserVerbs } from '../vault/ports.js'
import { flag, isStorable, primaryText, table, text, time } from './columns.js'
import { addTombstone } from './tombstones.js'
import { conflict, type Unit } from './unit.js'

interface UserRow {
  userId: string
  name: string
  createdAt: number
  recovered: boolean
}

const TABLE = 'users'

export const usersTable = () =>
  table<UserRow>(TABLE, {
    columns: {
      userId: primaryText('user_id', 'pk_users'),
      name: text('name'),
      createdAt: time('created_at'),
      recovered: flag('recovered'),
    },
    uniques: [{ name: 'uq_users_name', columns: ['name'] }],
  })

export class Users implements UserVerbs {
  constructor(private readonly unit: Unit) {}

  insert(user: UserRecord): Promise<void> {
    return this.unit.verb(async (manager) => {
      const { userId, name, createdAt, recovered } = user
      await manager.insert<UserRow>(TABLE, { userId, name, createdAt, recovered })
    })
  }

  byId(userId: string): Promise<UserRecord | undefined> {
    return this.#find({ userId })
  }

  byName(name: string): Promise<UserRecord | undefined> {
    return this.#find({ name })
  }

  delete(userId: string, at: number): Promise<boolean> {
    return this.unit.verb(async (manager) => {
      if (await manager.existsBy('key_handles', { userId })) throw conflict('user_has_keys')
      await addTombstone(manager, { kind: 'user', userId }, at)
      const user = await manager.findOneBy<UserRow>(TABLE, { userId })
      if (user === null) return false
      await addTombstone(manager, { kind: 'user_name', name: user.name }, at)
      const apiKeys = await manager.find<{ apiKeyId: string; userId: string }>('api_keys', {
        select: { apiKeyId: true },
        where: { userId },
      })
      for (const { apiKeyId } of apiKeys)
        await addTombstone(manager, { kind: 'api_key', apiKeyId }, at)
      await manager.delete('api_keys', { userId })
      await manager.delete('pending_keys', { userId })
      await manager.delete(TABLE, { userId })
      return true
    })
  }

  #find(where: { userId: string } | { name: string }): Promise<UserRecord | undefined> {
    return this.unit.verb(async (manager) => {
      if (!Object.values(where).every(isStorable)) return undefined
      return (await manager.findOneBy<UserRow>(TABLE, where)) ?? undefined
    })
  }
}

/**
 * For what belongs to a user. Asked before the foreign key is, because SQLite does not say which one it missed; the key
 * still stands behind it, and a race on Postgres is run again and then ends here.
 * @throws StoreConflict `user_gone`
 */
export async function assertUser(manager: EntityManager, userId: string): Promise<void> {
  if (!(await manager.existsBy<UserRow>(TABLE, { userId }))) throw conflict('user_gone')
}
