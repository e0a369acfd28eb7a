import type { ApiKeyRecord, ApiKeyVerbs } from '../vault/ports.js'
import {
  flag,
  fromHex,
  hexText,
  isStorable,
  primaryText,
  table,
  text,
  time,
  toHex,
} from './columns.js'
import { addTombstone } from './tombstones.js'
import type { Unit } from './unit.js'
import { assertUser } from './users.js'

interface ApiKeyRow {
  apiKeyId: string
  userId: string
  secretHash: string
  issuedAt: number
  expiresAt: number | null
  recovered: boolean
}

const TABLE = 'api_keys'

export const apiKeysTable = () =>
  table<ApiKeyRow>(TABLE, {
    columns: {
      apiKeyId: primaryText('api_key_id', 'pk_api_keys'),
      userId: text('user_id'),
      secretHash: hexText('secret_hash'),
      issuedAt: time('issued_at'),
      expiresAt: time('expires_at', { nullable: true }),
      recovered: flag('recovered'),
    },
    indices: [{ name: 'ix_api_keys_user', columns: ['userId'] }],
    foreignKeys: [
      {
        name: 'fk_api_keys_user',
        target: 'users',
        columnNames: ['userId'],
        referencedColumnNames: ['userId'],
      },
    ],
  })

export class ApiKeys implements ApiKeyVerbs {
  constructor(private readonly unit: Unit) {}

  insert(apiKey: ApiKeyRecord): Promise<void> {
    return this.unit.verb(async (manager) => {
      const { apiKeyId, userId, secretHash, issuedAt, expiresAt, recovered } = apiKey
      await assertUser(manager, userId)
      await manager.insert<ApiKeyRow>(TABLE, {
        apiKeyId,
        userId,
        secretHash: toHex(secretHash),
        issuedAt,
        expiresAt,
        recovered,
      })
    })
  }

  byId(apiKeyId: string): Promise<ApiKeyRecord | undefined> {
    return this.unit.verb(async (manager) => {
      if (!isStorable(apiKeyId)) return undefined
      const row = await manager.findOneBy<ApiKeyRow>(TABLE, { apiKeyId })
      return row === null ? undefined : { ...row, secretHash: fromHex(row.secretHash) }
    })
  }

  revoke(userId: string, apiKeyId: string, at: number): Promise<boolean> {
    return this.unit.verb(async (manager) => {
      const row = await manager.findOneBy<ApiKeyRow>(TABLE, { apiKeyId })
      // Naming somebody else's key must not be a way to kill it.
      if (row !== null && row.userId !== userId) return false
      await addTombstone(manager, { kind: 'api_key', apiKeyId }, at)
      if (row === null) return false
      await manager.delete(TABLE, { apiKeyId, userId })
      return true
    })
  }
}
