import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { openStore } from '../../src/store/index.js'
import { StoreConflict, type VaultStore } from '../../src/vault/ports.js'
import { clock, engines, storageKey, testSeal } from './engines.js'
import { aHandle, aPendingKey, aShare, aUser, bytes, id, insertKey, insertUser } from './rows.js'

const conflict = (what: string): unknown =>
  expect.objectContaining({ name: 'StoreConflict', conflict: what })

describe.each(engines)('the store on $name', (engine) => {
  describe.skipIf(engine.missing !== undefined)('keeps its contract', () => {
    let store: VaultStore

    beforeAll(async () => {
      const database = await engine.create()
      store = await openStore({ database, rowSeal: testSeal(storageKey), clock })
    })
    afterAll(async () => {
      await store.close()
      await engine.cleanUp()
    })

    describe('units of work', () => {
      it('keeps all of a unit or nothing', async () => {
        const user = aUser()
        const failing = store.run(async (uow) => {
          await uow.users.insert(user)
          throw new Error('changed my mind')
        })
        await expect(failing).rejects.toThrow('changed my mind')
        expect(await store.run((uow) => uow.users.byId(user.userId))).toBeUndefined()
      })

      it('rolls back after a conflict even when the work catches it', async () => {
        const old = await insertUser(store)
        const user = aUser()
        const failing = store.run(async (uow) => {
          await uow.users.insert(user)
          await uow.users.insert({ ...aUser(), name: old.name }).catch(() => undefined)
        })
        await expect(failing).rejects.toEqual(conflict('user_name'))
        expect(await store.run((uow) => uow.users.byId(user.userId))).toBeUndefined()
      })

      it('joins a unit inside a unit, and its failure ends both', async () => {
        const [outer, inner] = [aUser(), aUser()]
        await store.run(async (uow) => {
          await uow.users.insert(outer)
          await store.run((again) => again.users.insert(inner))
        })
        expect(await store.run((uow) => uow.users.byId(inner.userId))).toEqual(inner)
        const lost = aUser()
        const failing = store.run(async (uow) => {
          await uow.users.insert(lost)
          await store.run(() => Promise.reject(new Error('inner'))).catch(() => undefined)
        })
        await expect(failing).rejects.toThrow('inner')
        expect(await store.run((uow) => uow.users.byId(lost.userId))).toBeUndefined()
      })

      it('ends a unit that waits for something that never comes', async () => {
        vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
        try {
          const user = aUser()
          let began: () => void
          const begun = new Promise<void>((resolve) => (began = resolve))
          const stuck = store.run(async (uow) => {
            await uow.users.insert(user)
            began()
            await new Promise(() => undefined)
          })
          const outcome = expect(stuck).rejects.toMatchObject({ name: 'StorageUnavailable' })
          await begun
          vi.advanceTimersByTime(31_000)
          await outcome
          expect(await store.run((uow) => uow.users.byId(user.userId))).toBeUndefined()
        } finally {
          vi.useRealTimers()
        }
      })

      it('refuses verbs after the end of their unit', async () => {
        const kept = await store.run((uow) => Promise.resolve(uow))
        await expect(kept.users.insert(aUser())).rejects.toThrow('after its end')
      })

      it('waits for a verb that the work forgot, and keeps later ones out', async () => {
        const user = aUser()
        await store.run((uow) => {
          void uow.users.insert(user)
          return Promise.resolve()
        })
        expect(await store.run((uow) => uow.users.byId(user.userId))).toEqual(user)
      })
    })

    describe('meta', () => {
      it('has a random generation and a birth time', async () => {
        const meta = await store.run((uow) => uow.meta.get())
        expect(meta.generation).toMatch(/^[0-9a-f]{32}$/)
        expect(meta.bornAt).toBe(clock.now())
      })

      it('after a restore has another generation and birth time and no OT setups', async () => {
        const { share } = await insertKey(store)
        const setup = { setupId: bytes(32), record: bytes(50) }
        await store.run((uow) => uow.setups.save(share.shareId, 1, setup, 1))
        const before = await store.run((uow) => uow.meta.get())
        const after = await store.run((uow) => uow.meta.restored(1_800_000_000_000))
        expect(after.generation).not.toBe(before.generation)
        expect(await store.run((uow) => uow.meta.get())).toEqual(after)
        expect(after.bornAt).toBe(1_800_000_000_000)
        expect(await store.run((uow) => uow.setups.load(share.shareId, 1))).toBeUndefined()
        expect(await store.run((uow) => uow.setups.isAlive(setup.setupId))).toBe(false)
      })
    })

    describe('recorded secrets', () => {
      it('keeps the first entry of each secret, in the order in which they came', async () => {
        const secret = { kind: 'backup', name: 'n', version: 'v1', recordedAt: 50 } as const
        const record = (fingerprint: string, more = {}) =>
          store.run((uow) => uow.secrets.record({ ...secret, fingerprint, ...more }))
        expect(await record('aa')).toBe(true)
        expect(await record('bb', { recordedAt: 10 })).toBe(true)
        expect(await record('aa', { version: 'v9', recordedAt: 90 })).toBe(false)
        const listed = await store.run((uow) => uow.secrets.list('backup'))
        expect(listed.map((entry) => [entry.fingerprint, entry.version])).toEqual([
          ['aa', 'v1'],
          ['bb', 'v1'],
        ])
        expect(await store.run((uow) => uow.secrets.list('storage'))).toEqual([])
      })

      it('puts the newest last, under the name that it has now, whenever it first came', async () => {
        const secret = { kind: 'backup', name: 'n', version: 'v1', recordedAt: 50 } as const
        const newest = (fingerprint: string, more = {}) =>
          store.run((uow) => uow.secrets.recordNewest({ ...secret, fingerprint, ...more }))
        const listed = () => store.run((uow) => uow.secrets.list('backup'))
        const names = async () =>
          (await listed()).map((entry) => `${entry.fingerprint} ${entry.name} ${entry.version}`)
        await newest('aa')
        await newest('bb', { version: 'v2', recordedAt: 10 })
        expect(await names()).toEqual(['aa n v1', 'bb n v2'])
        await newest('aa', { name: 'm', recordedAt: 5 })
        expect(await names()).toEqual(['bb n v2', 'aa m v1'])
        const before = await listed()
        await newest('aa', { name: 'm', recordedAt: 900 })
        expect(await listed()).toEqual(before)
      })
    })

    describe('users', () => {
      it('are found by id and by name', async () => {
        const user = aUser({ name: 'Zoë 🦊', recovered: true })
        await store.run((uow) => uow.users.insert(user))
        expect(await store.run((uow) => uow.users.byId(user.userId))).toEqual(user)
        expect(await store.run((uow) => uow.users.byName('Zoë 🦊'))).toEqual(user)
        expect(await store.run((uow) => uow.users.byName('zoë 🦊'))).toBeUndefined()
      })

      it('have unique ids and names', async () => {
        const user = await insertUser(store)
        const again = (more: object) => store.run((uow) => uow.users.insert(aUser(more)))
        await expect(again({ userId: user.userId })).rejects.toEqual(conflict('user_id'))
        await expect(again({ name: user.name })).rejects.toEqual(conflict('user_name'))
      })

      it('leave tombstones of id, name and API keys when deleted', async () => {
        const user = await insertUser(store)
        const apiKeyId = id()
        await store.run(async (uow) => {
          await uow.apiKeys.insert({
            apiKeyId,
            userId: user.userId,
            secretHash: bytes(32),
            issuedAt: 1,
            expiresAt: null,
            recovered: false,
          })
          await uow.pendingKeys.insert(aPendingKey(user.userId))
        })
        expect(await store.run((uow) => uow.users.delete(user.userId, 9))).toBe(true)
        expect(await store.run((uow) => uow.users.delete(user.userId, 9))).toBe(false)
        await store.run(async ({ users, apiKeys, pendingKeys, tombstones }) => {
          expect(await users.byId(user.userId)).toBeUndefined()
          expect(await apiKeys.byId(apiKeyId)).toBeUndefined()
          expect(await pendingKeys.listForUser(user.userId)).toEqual([])
          expect(await tombstones.has({ kind: 'user', userId: user.userId })).toBe(true)
          expect(await tombstones.has({ kind: 'user_name', name: user.name })).toBe(true)
          expect(await tombstones.has({ kind: 'api_key', apiKeyId })).toBe(true)
        })
      })

      it('cannot be deleted while a key_id of theirs exists', async () => {
        const { user } = await insertKey(store)
        const deleting = store.run((uow) => uow.users.delete(user.userId, 9))
        await expect(deleting).rejects.toEqual(conflict('user_has_keys'))
        expect(
          await store.run((uow) => uow.tombstones.has({ kind: 'user', userId: user.userId })),
        ).toBe(false)
      })
    })

    describe('API keys', () => {
      const anApiKey = (userId: string) => ({
        apiKeyId: id(),
        userId,
        secretHash: bytes(32),
        issuedAt: 5,
        expiresAt: 4_102_444_800_000,
        recovered: true,
      })

      it('are found by id until they are revoked, and leave a tombstone', async () => {
        const user = await insertUser(store)
        const key = anApiKey(user.userId)
        await store.run((uow) => uow.apiKeys.insert(key))
        expect(await store.run((uow) => uow.apiKeys.byId(key.apiKeyId))).toEqual(key)
        await expect(store.run((uow) => uow.apiKeys.insert(key))).rejects.toEqual(
          conflict('api_key_id'),
        )
        expect(await store.run((uow) => uow.apiKeys.revoke(user.userId, key.apiKeyId, 9))).toBe(
          true,
        )
        await store.run(async ({ apiKeys, tombstones }) => {
          expect(await apiKeys.byId(key.apiKeyId)).toBeUndefined()
          expect(await tombstones.has({ kind: 'api_key', apiKeyId: key.apiKeyId })).toBe(true)
        })
      })

      it('are not revoked under another user', async () => {
        const [user, other] = [await insertUser(store), await insertUser(store)]
        const key = anApiKey(user.userId)
        await store.run((uow) => uow.apiKeys.insert(key))
        expect(await store.run((uow) => uow.apiKeys.revoke(other.userId, key.apiKeyId, 9))).toBe(
          false,
        )
        expect(await store.run((uow) => uow.apiKeys.byId(key.apiKeyId))).toEqual(key)
      })

      it('that are not known leave a tombstone all the same', async () => {
        const apiKeyId = id()
        expect(await store.run((uow) => uow.apiKeys.revoke(id(), apiKeyId, 9))).toBe(false)
        expect(await store.run((uow) => uow.tombstones.has({ kind: 'api_key', apiKeyId }))).toBe(
          true,
        )
      })

      it('need a user', async () => {
        const inserting = store.run((uow) => uow.apiKeys.insert(anApiKey(id())))
        await expect(inserting).rejects.toEqual(conflict('user_gone'))
      })
    })

    describe('pending keys', () => {
      it('need a user', async () => {
        const inserting = store.run((uow) => uow.pendingKeys.insert(aPendingKey(id())))
        await expect(inserting).rejects.toEqual(conflict('user_gone'))
      })

      it('are found by their user only, and taken once', async () => {
        const [user, other] = [await insertUser(store), await insertUser(store)]
        const key = aPendingKey(user.userId)
        await store.run((uow) => uow.pendingKeys.insert(key))
        const take = (userId: string) => store.run((uow) => uow.pendingKeys.take(userId, key.keyId))
        expect(await store.run((uow) => uow.pendingKeys.find(user.userId, key.keyId))).toEqual(key)
        expect(
          await store.run((uow) => uow.pendingKeys.find(other.userId, key.keyId)),
        ).toBeUndefined()
        expect(await take(other.userId)).toBeUndefined()
        const taken = await Promise.all([take(user.userId), take(user.userId), take(user.userId)])
        expect(taken.filter((one) => one !== undefined)).toEqual([key])
        expect(await take(user.userId)).toBeUndefined()
      })

      it('are listed without their secret, and deleted', async () => {
        const user = await insertUser(store)
        const key = aPendingKey(user.userId)
        await store.run((uow) => uow.pendingKeys.insert(key))
        const { keyId, userId, keygenId, createdAt } = key
        const listed = { keyId, userId, keygenId, createdAt }
        expect(await store.run((uow) => uow.pendingKeys.listForUser(user.userId))).toEqual([listed])
        expect(await store.run((uow) => uow.pendingKeys.delete(user.userId, key.keyId))).toBe(true)
        expect(await store.run((uow) => uow.pendingKeys.delete(user.userId, key.keyId))).toBe(false)
      })
    })

    describe('old pending keys', () => {
      it('are swept, those of others are not', async () => {
        const [user, other] = [await insertUser(store), await insertUser(store)]
        const young = aPendingKey(user.userId, { createdAt: 100 })
        await store.run(async ({ pendingKeys }) => {
          await pendingKeys.insert(aPendingKey(user.userId, { createdAt: 99 }))
          await pendingKeys.insert(young)
          await pendingKeys.insert(aPendingKey(other.userId, { createdAt: 1 }))
        })
        await store.run(async ({ pendingKeys }) => {
          expect(await pendingKeys.sweep(user.userId, 100)).toBe(1)
          expect(await pendingKeys.listForUser(user.userId)).toMatchObject([{ keyId: young.keyId }])
          expect(await pendingKeys.listForUser(other.userId)).toHaveLength(1)
        })
      })
    })

    describe('shares', () => {
      it('need a user', async () => {
        const inserting = store.run((uow) => uow.shares.insert(aShare(id()), bytes(9)))
        await expect(inserting).rejects.toEqual(conflict('user_gone'))
      })

      it('are opened by their user only', async () => {
        const { user, share, record } = await insertKey(store)
        const other = await insertUser(store)
        const open = (userId: string) => store.run((uow) => uow.shares.open(userId, share.shareId))
        expect(await open(user.userId)).toEqual(record)
        expect(await open(other.userId)).toBeUndefined()
        const found = (userId: string) =>
          store.run((uow) => uow.shares.findForUser(userId, share.publicKey))
        expect(await found(user.userId)).toEqual([share])
        expect(await found(other.userId)).toEqual([])
      })

      it('exist once per user, public key, party and epoch', async () => {
        const { user, share } = await insertKey(store)
        const insert = (more: object, userId = user.userId) =>
          store.run((uow) =>
            uow.shares.insert({ ...share, shareId: id(), ...more, userId }, bytes(9)),
          )
        await expect(insert({})).rejects.toEqual(conflict('share'))
        await insert({ epoch: 1 })
        await insert({ party: 1 })
        const other = await insertUser(store)
        await insert({}, other.userId)
        const found = await store.run((uow) => uow.shares.findForUser(user.userId, share.publicKey))
        expect(found.map(({ epoch, party }) => [epoch, party])).toEqual([
          [0, 1],
          [0, 2],
          [1, 2],
        ])
      })

      it('are confirmed once', async () => {
        const { user, share } = await insertKey(store)
        const confirm = (at: number) =>
          store.run((uow) => uow.shares.confirm(user.userId, share.shareId, at))
        expect(await confirm(77)).toBe(true)
        expect(await confirm(88)).toBe(true)
        const [found] = await store.run((uow) =>
          uow.shares.findForUser(user.userId, share.publicKey),
        )
        expect(found?.confirmedAt).toBe(77)
        expect(await store.run((uow) => uow.shares.confirm(id(), share.shareId, 1))).toBe(false)
      })

      it('that came in encrypted stay so and still open', async () => {
        const { user, share, record } = await insertKey(store, { provenance: 'plaintext' })
        const mark = () => store.run((uow) => uow.shares.markEncrypted(user.userId, share.shareId))
        expect(await mark()).toBe(true)
        expect(await mark()).toBe(true)
        await store.run(async ({ shares }) => {
          const [found] = await shares.findForUser(user.userId, share.publicKey)
          expect(found?.provenance).toBe('encrypted')
          expect(await shares.open(user.userId, share.shareId)).toEqual(record)
        })
      })

      it('are erased with the last key_id only, leave a tombstone and end their setups', async () => {
        const { user, share, handle } = await insertKey(store)
        const setupId = bytes(32)
        await store.run((uow) =>
          uow.setups.save(share.shareId, 1, { setupId, record: bytes(9) }, 1),
        )
        const erase = () => store.run((uow) => uow.shares.erase(user.userId, share.shareId, 5))
        await expect(erase()).rejects.toEqual(conflict('share_has_handles'))
        await store.run((uow) => uow.handles.delete(user.userId, handle.keyId))
        expect(await store.run((uow) => uow.shares.erase(id(), share.shareId, 5))).toBe(false)
        expect(await erase()).toBe(true)
        expect(await erase()).toBe(false)
        const { userId, publicKey, party } = share
        await store.run(async ({ shares, setups, tombstones }) => {
          expect(await shares.findForUser(userId, publicKey)).toEqual([])
          expect(await setups.isAlive(setupId)).toBe(false)
          const subject = { kind: 'share', userId, publicKey, party } as const
          expect(await tombstones.has(subject)).toBe(true)
          expect(await tombstones.has({ ...subject, party: 1 })).toBe(false)
          expect(await tombstones.lift(subject)).toBe(true)
          expect(await tombstones.lift(subject)).toBe(false)
          expect(await tombstones.has(subject)).toBe(false)
        })
      })
    })

    describe('key_ids', () => {
      it("answer another user's exactly as a random one", async () => {
        const { user, share, handle } = await insertKey(store)
        const other = await insertUser(store)
        await store.run(async ({ handles }) => {
          expect(await handles.find(user.userId, handle.keyId)).toEqual({ handle, share })
          expect(await handles.find(other.userId, handle.keyId)).toBeUndefined()
          expect(await handles.find(other.userId, id())).toBeUndefined()
          expect(await handles.find(user.userId, 'a\0b')).toBeUndefined()
          expect(await handles.find(user.userId, '\ud800')).toBeUndefined()
          expect(await handles.delete(other.userId, handle.keyId)).toBeUndefined()
          expect(await handles.listForUser(other.userId)).toEqual([])
        })
      })

      it('of one blob and user exist once', async () => {
        const { user, share } = await insertKey(store)
        const sourceDigest = bytes(32)
        const imported = aHandle(share, { sourceDigest, createdAt: 5_000 })
        await store.run((uow) => uow.handles.insert(imported))
        const again = store.run((uow) => uow.handles.insert(aHandle(share, { sourceDigest })))
        await expect(again).rejects.toEqual(conflict('source_digest'))
        await store.run(async ({ handles }) => {
          const found = await handles.findByDigest(user.userId, sourceDigest)
          expect(found).toEqual({ handle: imported, share })
          expect(await handles.findByDigest(id(), sourceDigest)).toBeUndefined()
          const listed = await handles.listForUser(user.userId)
          expect(listed.map((key) => key.handle.keyId)[1]).toBe(imported.keyId)
          const left = await handles.delete(user.userId, imported.keyId)
          expect(left).toEqual({ share, remaining: 1 })
        })
      })

      it('are unique', async () => {
        const { share, handle } = await insertKey(store)
        const again = store.run((uow) =>
          uow.handles.insert(aHandle(share, { keyId: handle.keyId })),
        )
        await expect(again).rejects.toEqual(conflict('key_id'))
      })

      it("never lead to another user's share", async () => {
        const { share } = await insertKey(store)
        const other = await insertUser(store)
        const stealing = store.run((uow) =>
          uow.handles.insert(aHandle(share, { userId: other.userId })),
        )
        await expect(stealing).rejects.toThrow('refused a statement')
      })
    })

    describe('OT setups', () => {
      const aSetup = () => ({ setupId: bytes(32), record: bytes(100) })

      it('are loaded for their peer; a newer one takes the place, the older stays alive', async () => {
        const { shareId } = (await insertKey(store)).share
        const [first, second] = [aSetup(), aSetup()]
        await store.run((uow) => uow.setups.save(shareId, 1, first, 10))
        await store.run((uow) => uow.setups.save(shareId, 1, second, 20))
        await store.run(async ({ setups }) => {
          expect(await setups.load(shareId, 1)).toEqual(second)
          expect(await setups.load(shareId, 3)).toBeUndefined()
          expect(await setups.load(id(), 1)).toBeUndefined()
          expect(await setups.isAlive(first.setupId)).toBe(true)
          expect(await setups.isAlive(second.setupId)).toBe(true)
          expect(await setups.isAlive(bytes(32))).toBe(false)
        })
      })

      it('live for another hour after a newer one took their place, however old they are', async () => {
        const { shareId } = (await insertKey(store)).share
        const hour = 3_600_000
        const [first, second, third, fourth] = [aSetup(), aSetup(), aSetup(), aSetup()]
        await store.run((uow) => uow.setups.save(shareId, 1, first, 0))
        await store.run((uow) => uow.setups.save(shareId, 1, second, 9 * hour))
        await store.run((uow) => uow.setups.save(shareId, 1, third, 10 * hour))
        expect(await store.run((uow) => uow.setups.isAlive(first.setupId))).toBe(true)
        await store.run((uow) => uow.setups.save(shareId, 1, fourth, 10 * hour + 1))
        await store.run(async ({ setups }) => {
          expect(await setups.isAlive(first.setupId)).toBe(false)
          expect(await setups.isAlive(second.setupId)).toBe(true)
          expect(await setups.isAlive(third.setupId)).toBe(true)
          expect(await setups.load(shareId, 1)).toEqual(fourth)
        })
      })

      it('are read for a signature with the share and the count of failures, of one moment', async () => {
        const { user, share, handle, record } = await insertKey(store)
        const { shareId } = share
        const read = (keyId = handle.keyId, userId = user.userId) =>
          store.readForSigning(userId, keyId, 100)
        expect(await read()).toEqual({ share, record, setups: [], unreadable: [], failures: 0 })
        const [old, current, dead] = [aSetup(), aSetup(), aSetup()]
        await store.run(async ({ setups, failures, shares }) => {
          await setups.save(shareId, 1, old, 10)
          await setups.save(shareId, 1, current, 20)
          await setups.save(shareId, 3, dead, 30)
          await setups.retire(shareId, 3, dead.setupId, 40)
          for (const at of [99, 100, 101, 102]) await failures.add(shareId, at % 2, at)
          await shares.confirm(user.userId, shareId, 50)
        })
        expect(await read()).toEqual({
          share: { ...share, confirmedAt: 50 },
          record,
          setups: [{ peer: 1, ...current }],
          unreadable: [],
          failures: 2,
        })
        expect(await read(id())).toBeUndefined()
        expect(await read('\0')).toBeUndefined()
        expect(await read(handle.keyId, id())).toBeUndefined()
      })

      it('are not read for a signature from inside a unit that may still be undone', async () => {
        const { user, share, handle } = await insertKey(store)
        const setup = aSetup()
        let read: ReturnType<typeof store.readForSigning> | undefined
        const undone = store.run(async ({ setups }) => {
          await setups.save(share.shareId, 1, setup, 10)
          read = store.readForSigning(user.userId, handle.keyId, 0)
          await setups.load(share.shareId, 1)
          throw new Error('undone')
        })
        await expect(undone).rejects.toThrow('undone')
        expect(await read).toMatchObject({ setups: [] })
      })

      it('need a share', async () => {
        const { user, share, handle } = await insertKey(store)
        await store.run(async ({ handles, shares }) => {
          await handles.delete(user.userId, handle.keyId)
          await shares.erase(user.userId, share.shareId, 1)
        })
        const setup = aSetup()
        const late = store.run((uow) => uow.setups.save(share.shareId, 1, setup, 2))
        await expect(late).rejects.toEqual(conflict('share_gone'))
        expect(await store.run((uow) => uow.setups.isAlive(setup.setupId))).toBe(false)
      })

      it('that are retired are dead and cannot come back', async () => {
        const { shareId } = (await insertKey(store)).share
        const setup = aSetup()
        await store.run((uow) => uow.setups.save(shareId, 1, setup, 10))
        const retire = (at: number) =>
          store.run((uow) => uow.setups.retire(shareId, 1, setup.setupId, at))
        expect(await retire(20)).toBe(true)
        expect(await retire(30)).toBe(false)
        expect(await store.run((uow) => uow.setups.load(shareId, 1))).toBeUndefined()
        expect(await store.run((uow) => uow.setups.isAlive(setup.setupId))).toBe(false)
        const again = store.run((uow) => uow.setups.save(shareId, 1, setup, 40))
        await expect(again).rejects.toEqual(conflict('setup_id'))
      })

      it('can be retired before they were ever saved, and when superseded', async () => {
        const { shareId } = (await insertKey(store)).share
        const [unsaved, first, second] = [aSetup(), aSetup(), aSetup()]
        await store.run((uow) => uow.setups.retire(shareId, 1, unsaved.setupId, 20))
        const late = store.run((uow) => uow.setups.save(shareId, 1, unsaved, 40))
        await expect(late).rejects.toEqual(conflict('setup_id'))
        await store.run((uow) => uow.setups.save(shareId, 1, first, 50))
        await store.run((uow) => uow.setups.save(shareId, 1, second, 60))
        await store.run((uow) => uow.setups.retire(shareId, 1, first.setupId, 70))
        await store.run(async ({ setups }) => {
          expect(await setups.isAlive(first.setupId)).toBe(false)
          expect(await setups.load(shareId, 1)).toEqual(second)
        })
      })
    })

    describe('crypto failures', () => {
      it('are counted per share and peer since a moment', async () => {
        const shareId = id()
        for (const at of [100, 200, 300]) await store.run((uow) => uow.failures.add(shareId, 1, at))
        await store.run((uow) => uow.failures.add(shareId, 2, 300))
        const count = (peer: number, since: number) =>
          store.run((uow) => uow.failures.countSince(shareId, peer, since))
        expect(await count(1, 0)).toBe(3)
        expect(await count(1, 100)).toBe(2)
        expect(await count(1, 300)).toBe(0)
        expect(await count(2, 0)).toBe(1)
      })
    })

    describe('after it was closed', () => {
      it('says that the database is not available', async () => {
        const database = await engine.create()
        const other = await openStore({ database, rowSeal: testSeal(storageKey), clock })
        await other.check()
        await Promise.all([other.close(), other.close()])
        const late = other.run((uow) => uow.meta.get())
        await expect(late).rejects.toMatchObject({ name: 'StorageUnavailable' })
      })
    })
  })
})

describe('a conflict', () => {
  it('says what was in the way and nothing of the database', () => {
    expect(new StoreConflict('source_digest').message).toBe(
      'the store refuses: source digest conflict',
    )
  })
})
