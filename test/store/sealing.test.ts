import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { StorageKey } from '../../src/seal/hierarchy.js'
import { rowSeal } from '../../src/seal/row-seal.js'
import { openStore, type Database } from '../../src/store/index.js'
import type { VaultStore } from '../../src/vault/ports.js'
import { clock, engines, sql, storageKey } from './engines.js'
import { aPendingKey, bytes, insertKey, insertUser } from './rows.js'

describe.each(engines)('secrets at rest on $name', (engine) => {
  describe.skipIf(engine.missing !== undefined)('are sealed', () => {
    let database: Database
    let store: VaultStore

    beforeAll(async () => {
      database = await engine.create()
      store = await openStore({
        database,
        rowSeal: rowSeal(new StorageKey(storageKey, 'vertex')),
        clock,
      })
    })
    afterAll(async () => {
      await store.close()
      await engine.cleanUp()
    })

    const invalid = (table: string): unknown =>
      expect.objectContaining({ name: 'SealedValueInvalid', table })

    it('never stand in any column of any table', async () => {
      const { user, share, record } = await insertKey(store)
      const pending = aPendingKey(user.userId)
      const setup = { setupId: bytes(32), record: bytes(64) }
      await store.run(async (uow) => {
        await uow.pendingKeys.insert(pending)
        await uow.setups.save(share.shareId, 1, setup, 1)
      })
      const secrets = [record, pending.identitySecret, setup.record].map((secret) =>
        Buffer.from(secret),
      )
      const tables = ['meta', 'pending_keys', 'shares', 'ot_setups', 'key_handles', 'users']
      let cells = 0
      for (const table of tables)
        for (const row of await sql(database, `SELECT * FROM ${table}`))
          for (const cell of Object.values(row)) {
            cells += 1
            const found = Buffer.isBuffer(cell) ? cell : Buffer.from(String(cell))
            for (const secret of secrets) {
              expect(found.includes(secret)).toBe(false)
              expect(found.includes(secret.toString('hex'))).toBe(false)
            }
          }
      expect(cells).toBeGreaterThan(20)
    })

    it('do not open in the row of another share, not even of the same user', async () => {
      const one = await insertKey(store)
      const other = await insertKey(store)
      await sql(
        database,
        `UPDATE shares SET record = (SELECT record FROM shares WHERE share_id = '${one.share.shareId}')
         WHERE share_id = '${other.share.shareId}'`,
      )
      const open = (key: typeof one) =>
        store.run((uow) => uow.shares.open(key.user.userId, key.share.shareId))
      expect(await open(one)).toEqual(one.record)
      await expect(open(other)).rejects.toEqual(invalid('shares'))
    })

    it.each([
      ['owner', (userId: string) => `user_id = '${userId}'`],
      ['epoch', () => 'epoch = 7'],
      ['party', () => 'party = 1'],
      ['public key', () => `public_key = '${'02'.repeat(33)}'`],
      ['provenance', () => `provenance = 'plaintext'`],
    ])('do not open when the %s of a share was changed', async (_, change) => {
      const { user, share, handle } = await insertKey(store, { provenance: 'encrypted' })
      const thief = await insertUser(store)
      await store.run((uow) => uow.handles.delete(user.userId, handle.keyId))
      await sql(
        database,
        `UPDATE shares SET ${change(thief.userId)} WHERE share_id = '${share.shareId}'`,
      )
      const where = `WHERE share_id = '${share.shareId}'`
      const [row] = await sql(database, `SELECT user_id FROM shares ${where}`)
      const owner = row?.['user_id'] as string
      const opening = store.run((uow) => uow.shares.open(owner, share.shareId))
      await expect(opening).rejects.toEqual(invalid('shares'))
    })

    it('do not open in the setup of another peer, nor under another id', async () => {
      const { share } = await insertKey(store)
      const setup = { setupId: bytes(32), record: bytes(64) }
      await store.run((uow) => uow.setups.save(share.shareId, 1, setup, 1))
      const change = (set: string) =>
        sql(database, `UPDATE ot_setups SET ${set} WHERE share_id = '${share.shareId}'`)
      await change('peer = 3')
      const load = (peer: number) => store.run((uow) => uow.setups.load(share.shareId, peer))
      await expect(load(3)).rejects.toEqual(invalid('ot_setups'))
      await change('peer = 1')
      expect(await load(1)).toEqual(setup)
      await change(`setup_id = '${'ab'.repeat(32)}'`)
      await expect(load(1)).rejects.toEqual(invalid('ot_setups'))
    })

    it('do not open in the pending key of another user', async () => {
      const [user, thief] = [await insertUser(store), await insertUser(store)]
      const key = aPendingKey(user.userId)
      await store.run((uow) => uow.pendingKeys.insert(key))
      await sql(
        database,
        `UPDATE pending_keys SET user_id = '${thief.userId}' WHERE key_id = '${key.keyId}'`,
      )
      const stealing = store.run((uow) => uow.pendingKeys.take(thief.userId, key.keyId))
      await expect(stealing).rejects.toEqual(invalid('pending_keys'))
    })

    it('of retired, superseded and erased setups are gone from the table', async () => {
      const { share } = await insertKey(store)
      const [first, second] = [
        { setupId: bytes(32), record: bytes(64) },
        { setupId: bytes(32), record: bytes(64) },
      ]
      await store.run((uow) => uow.setups.save(share.shareId, 1, first, 1))
      await store.run((uow) => uow.setups.save(share.shareId, 1, second, 2))
      await store.run((uow) => uow.setups.retire(share.shareId, 1, second.setupId, 3))
      const rows = await sql(
        database,
        `SELECT record, retired_at FROM ot_setups WHERE share_id = '${share.shareId}' ORDER BY created_at`,
      )
      expect(rows.map((row) => [row['record'], Number(row['retired_at'])])).toEqual([
        [null, 0],
        [null, 3],
      ])
    })
  })
})
