import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openStore, type Database } from '../../src/store/index.js'
import type { BackupNote, BackupSecretHint, VaultStore } from '../../src/vault/ports.js'
import { clock, engines, sql, storageKey, testSeal } from './engines.js'
import { aHandle, bytes, id, insertKey } from './rows.js'

const aSecret = (version: string): BackupSecretHint => ({
  fingerprint: bytes(32),
  name: 'backup',
  version,
})

describe.each(engines)('what is known of backups on $name', (engine) => {
  describe.skipIf(engine.missing !== undefined)('is kept so that it', () => {
    let store: VaultStore
    let database: Database

    beforeAll(async () => {
      database = await engine.create()
      store = await openStore({ database, rowSeal: testSeal(storageKey), clock })
    })
    afterAll(async () => {
      await store.close()
      await engine.cleanUp()
    })

    /** A key, and notes of backups of it. */
    async function aKey(secret: BackupSecretHint | undefined = aSecret('v1')) {
      const { user, share, handle } = await insertKey(store)
      const note = (more: Partial<BackupNote> = {}): BackupNote => ({
        userId: user.userId,
        shareId: share.shareId,
        digest: bytes(32),
        exportedAt: 1_763_700_000_001,
        secret,
        ...more,
      })
      return { userId: user.userId, share, handle, note }
    }
    const exported = (note: BackupNote) => store.run((uow) => uow.backups.exported(note))
    const verified = (note: BackupNote, at: number) =>
      store.run((uow) => uow.backups.verified(note, at))
    const covered = (userId: string, after?: string, limit = 10) =>
      store.run((uow) => uow.backups.coverage({ userId, after, limit }))
    const backupOf = async (userId: string) => (await covered(userId))[0]?.backup

    it('shows a key without a backup, then its export, then that it was verified', async () => {
      const { userId, share, handle, note } = await aKey()
      expect(await covered(userId)).toEqual([{ keyId: handle.keyId, share, backup: undefined }])
      const backup = note()
      await exported(backup)
      expect(await backupOf(userId)).toEqual({ ...backup, verifiedAt: null, drilledAt: null })
      await verified(backup, 1_763_700_000_500)
      expect(await backupOf(userId)).toEqual({
        ...backup,
        verifiedAt: 1_763_700_000_500,
        drilledAt: null,
      })
    })

    it('keeps the last export while none is verified, and then the last verified one', async () => {
      const { userId, note } = await aKey()
      const [first, second, third, fourth] = [note(), note(), note(), note()]
      await exported(first)
      await exported(second)
      expect((await backupOf(userId))?.digest).toEqual(second.digest)
      await verified(first, 5)
      expect((await backupOf(userId))?.digest).toEqual(first.digest)
      // Nobody has seen the third one again.
      await exported(third)
      expect(await backupOf(userId)).toMatchObject({ digest: first.digest, verifiedAt: 5 })
      await verified(fourth, 6)
      expect(await backupOf(userId)).toMatchObject({ digest: fourth.digest, verifiedAt: 6 })
    })

    it('says that a backup was drilled of this very backup only', async () => {
      const { userId, share, note } = await aKey()
      const backup = note()
      await verified(backup, 5)
      await sql(database, `UPDATE backups SET drilled_at = 7 WHERE share_id = '${share.shareId}'`)
      await verified(backup, 8)
      expect(await backupOf(userId)).toMatchObject({ verifiedAt: 8, drilledAt: 7 })
      await verified(note(), 9)
      expect(await backupOf(userId)).toMatchObject({ verifiedAt: 9, drilledAt: null })
    })

    it('knows a backup in the clear by its missing secret', async () => {
      const { userId, note } = await aKey(undefined)
      const backup = { ...note(), secret: undefined }
      await verified(backup, 5)
      expect((await backupOf(userId))?.secret).toBeUndefined()
      expect(await store.run((uow) => uow.backups.count(userId))).toEqual([
        { secret: undefined, keys: 1, exported: 1, verified: 1, drilled: 0 },
      ])
    })

    it('is listed by key_id in pages, and counted by secret', async () => {
      const secret = aSecret('v1')
      const { userId, share, handle, note } = await aKey(secret)
      const more = [aHandle(share), aHandle(share)]
      await store.run(async (uow) => {
        for (const each of more) await uow.handles.insert(each)
      })
      const keyIds = [handle, ...more].map(({ keyId }) => keyId).sort()
      await exported(note())
      expect((await covered(userId)).map(({ keyId }) => keyId)).toEqual(keyIds)
      expect((await covered(userId, undefined, 2)).map(({ keyId }) => keyId)).toEqual(
        keyIds.slice(0, 2),
      )
      expect((await covered(userId, keyIds[1])).map(({ keyId }) => keyId)).toEqual(keyIds.slice(2))
      expect(await covered(userId, keyIds[2])).toEqual([])
      expect(await store.run((uow) => uow.backups.count(userId))).toEqual([
        { secret, keys: 3, exported: 3, verified: 0, drilled: 0 },
      ])
    })

    it('is of one user, or of everyone', async () => {
      const [mine, other] = [await aKey(), await aKey()]
      await exported(mine.note())
      expect((await covered(other.userId)).map(({ keyId }) => keyId)).toEqual([other.handle.keyId])
      expect(await covered(id())).toEqual([])
      expect(await store.run((uow) => uow.backups.count(id()))).toEqual([])
      const all = await store.run((uow) =>
        uow.backups.coverage({ userId: undefined, after: undefined, limit: 1000 }),
      )
      const found = new Set(all.map(({ keyId }) => keyId))
      expect([mine, other].every(({ handle }) => found.has(handle.keyId))).toBe(true)
      const counts = await store.run((uow) => uow.backups.count(undefined))
      expect(counts.reduce((sum, { keys }) => sum + keys, 0)).toBe(all.length)
    })

    it('is refused for a share that is gone or somebody else’s, and goes with the share', async () => {
      const { userId, share, handle, note } = await aKey()
      const gone = expect.objectContaining({ conflict: 'share_gone' }) as unknown
      await expect(exported(note({ shareId: id() }))).rejects.toEqual(gone)
      await expect(verified(note({ userId: (await aKey()).userId }), 5)).rejects.toEqual(gone)
      await verified(note(), 5)
      await store.run(async (uow) => {
        await uow.handles.delete(userId, handle.keyId)
        await uow.shares.erase(userId, share.shareId, 9)
      })
      expect(await covered(userId)).toEqual([])
      const left = await sql(
        database,
        `SELECT share_id FROM backups WHERE share_id = '${share.shareId}'`,
      )
      expect(left).toEqual([])
      await expect(exported(note())).rejects.toEqual(gone)
    })
  })
})
