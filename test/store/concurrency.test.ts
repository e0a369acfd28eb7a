import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openStore, type OpenStore } from '../../src/store/index.js'
import { StoreConflict } from '../../src/vault/ports.js'
import { clock, engines, storageKey, testSeal } from './engines.js'
import { aHandle, aPendingKey, aShare, aUser, bytes, insertKey, insertUser } from './rows.js'

describe.each(engines)('concurrent units of work on $name', (engine) => {
  describe.skipIf(engine.missing !== undefined)('behave as if one ran after the other', () => {
    let store: OpenStore

    beforeAll(async () => {
      const database = await engine.create()
      store = await openStore({ database, rowSeal: testSeal(storageKey), clock })
    })
    afterAll(async () => {
      await store.close()
      await engine.cleanUp()
    })

    it('loses no acknowledged row and keeps none that was rolled back', async () => {
      const wanted = new Map<string, boolean>()
      const one = async (index: number) => {
        const [first, second] = [aUser(), aUser()]
        await sleep(Math.random() * 30)
        if (index % 3 === 0) {
          await store.run(async (uow) => {
            await uow.users.insert(first)
            await sleep(Math.random() * 3)
            await store.run((inner) => inner.users.insert(second))
          })
          wanted.set(first.userId, true).set(second.userId, true)
        } else if (index % 3 === 1) {
          wanted.set(first.userId, false)
          const failing = store.run(async (uow) => {
            await uow.users.insert(first)
            await sleep(Math.random() * 3)
            throw new Error('rolled back on purpose')
          })
          await expect(failing).rejects.toThrow('on purpose')
        } else {
          await store.run((uow) => uow.users.insert(first))
          wanted.set(first.userId, true)
        }
      }
      await Promise.all(Array.from({ length: 150 }, (_, index) => one(index)))
      const wrong: string[] = []
      await store.run(async (uow) => {
        for (const [userId, present] of wanted)
          if (((await uow.users.byId(userId)) !== undefined) !== present) wrong.push(userId)
      })
      expect(wanted.size).toBe(200)
      expect(wrong).toEqual([])
    })

    it('says how many of them there are, those that wait included', async () => {
      let open: () => void = () => undefined
      const gate = new Promise<void>((resolve) => (open = resolve))
      const units = Array.from({ length: 4 }, () => store.run(() => gate))
      expect(store.pending).toBe(4)
      const reading = store.readForSigning('nobody', 'nothing', 0)
      expect(store.pending).toBe(5)
      open()
      await Promise.all([...units, reading])
      expect(store.pending).toBe(0)
    })

    it('never shows a row that is not committed', async () => {
      const user = aUser()
      let seen: unknown = 'nothing read'
      const writing = store.run(async (uow) => {
        await uow.users.insert(user)
        await sleep(30)
        throw new Error('rolled back on purpose')
      })
      const reading = sleep(10).then(async () => {
        seen = await store.run((uow) => uow.users.byId(user.userId))
      })
      await Promise.allSettled([writing, reading])
      expect(seen).toBeUndefined()
    })

    it('makes one key_id of one blob, however many import it at once', async () => {
      const { user, share } = await insertKey(store)
      const sourceDigest = bytes(32)
      const runs = Array.from({ length: 16 }, () =>
        store.run(async (uow) => {
          const known = await uow.handles.findByDigest(user.userId, sourceDigest)
          if (known !== undefined) return known.handle.keyId
          const handle = aHandle(share, { sourceDigest })
          await uow.handles.insert(handle)
          return handle.keyId
        }),
      )
      expect(new Set(await Promise.all(runs)).size).toBe(1)
      expect(await store.run((uow) => uow.handles.listForUser(user.userId))).toHaveLength(2)
    })

    it('gives a user who is being deleted nothing more, or deletes that too', async () => {
      for (let round = 0; round < 8; round++) {
        const { userId } = await insertUser(store)
        const [inserting, deleting] = await Promise.allSettled([
          store.run((uow) => uow.pendingKeys.insert(aPendingKey(userId))),
          store.run((uow) => uow.users.delete(userId, 1)),
        ])
        expect(deleting).toEqual({ status: 'fulfilled', value: true })
        if (inserting.status === 'rejected')
          expect(inserting.reason).toEqual(new StoreConflict('user_gone'))
        expect(await store.run((uow) => uow.pendingKeys.listForUser(userId))).toEqual([])
      }
    })

    it('never leaves a key_id without its share when import and deletion race', async () => {
      for (let round = 0; round < 5; round++) {
        const { user, share, handle } = await insertKey(store)
        const importing = store.run(async (uow) => {
          const [found] = await uow.shares.findForUser(user.userId, share.publicKey)
          if (found === undefined) return false
          await uow.handles.insert(aHandle(found, { sourceDigest: bytes(32) }))
          return true
        })
        const deleting = store.run(async (uow) => {
          const left = await uow.handles.delete(user.userId, handle.keyId)
          if (left?.remaining === 0) await uow.shares.erase(user.userId, share.shareId, 1)
          return left?.remaining === 0
        })
        const [imported, erased] = await Promise.all([importing, deleting])
        expect(imported).toBe(!erased)
        const keys = await store.run((uow) => uow.handles.listForUser(user.userId))
        expect(keys).toHaveLength(imported ? 1 : 0)
      }
    })

    it('counts every failure once and lets one unit see the fifth', async () => {
      const shareId = 'ab'.repeat(16)
      const counts = await Promise.all(
        Array.from({ length: 5 }, () =>
          store.run(async (uow) => {
            await uow.failures.add(shareId, 1, 10)
            return uow.failures.countSince(shareId, 1, 0)
          }),
        ),
      )
      expect(counts.sort()).toEqual([1, 2, 3, 4, 5])
    })

    it('keeps one of two shares that are the same', async () => {
      const user = await insertUser(store)
      const share = aShare(user.userId)
      const insert = (shareId: string) =>
        store.run((uow) => uow.shares.insert({ ...share, shareId }, bytes(20)))
      const results = await Promise.allSettled([
        insert('aa'.repeat(16)),
        insert('bb'.repeat(16)),
        insert('cc'.repeat(16)),
      ])
      const refused = results.flatMap((one): unknown[] =>
        one.status === 'rejected' ? [one.reason] : [],
      )
      expect(refused).toHaveLength(2)
      for (const reason of refused) expect(reason).toBeInstanceOf(StoreConflict)
    })
  })
})
