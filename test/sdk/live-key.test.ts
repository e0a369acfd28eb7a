import { describe, expect, it } from 'vitest'
import { LiveKey } from '../../sdk/src/live-key.js'
import { decodeRecord, encodeRecord, type KeyRecord } from '../../sdk/src/record.js'
import { MemoryShareStore } from '../../sdk/src/store/memory.js'
import type { StoredItem } from '../../sdk/src/store/share-store.js'

const record: KeyRecord = {
  id: 'key-1',
  state: 'ready',
  createdAt: '2026-01-01T00:00:00.000Z',
  publicKey: '02'.repeat(33),
  epoch: 0,
  threshold: 2,
  parties: 2,
  vertices: [],
  retiredSetups: [],
  failures: [],
  share: new Uint8Array(237).fill(7),
}

/** A store whose items stand where the allocator of their reader happened to put them. */
class Unaligned extends MemoryShareStore {
  constructor(readonly offset: number) {
    super()
  }

  override async get(kind: 'key' | 'setup', id: string): Promise<StoredItem | undefined> {
    const item = await super.get(kind, id)
    if (item === undefined) return undefined
    const value = new Uint8Array(item.value.length + this.offset).subarray(this.offset)
    value.set(item.value)
    return { ...item, value }
  }
}

describe('the record of a key in memory', () => {
  it.each([0, 1, 2, 4])(
    'is the stored one, whichever byte of it changes (offset %i)',
    async (at) => {
      const store = new Unaligned(at)
      const key = LiveKey.of(store, record.id)
      expect(await key.recordIfAny()).toBeUndefined()
      await key.create(record)
      const first = await key.recordIfAny()
      expect(first).toEqual(record)
      expect(await key.recordIfAny()).toBe(first)
      expect(await key.record()).toBe(first)
      let version = 1
      for (let place = record.share.length - 9; place < record.share.length; place++) {
        const share = record.share.slice()
        share[place]! ^= 1
        await store.put('key', record.id, encodeRecord({ ...record, share }), version++)
        expect((await key.record()).share).toEqual(share)
      }
      const longer = { ...record, share: new Uint8Array(240).fill(7) }
      await store.put('key', record.id, encodeRecord(longer), version)
      expect(await key.recordIfAny()).toEqual(longer)
    },
  )

  it('tells of every setup that another client has retired since', async () => {
    const store = new MemoryShareStore()
    const key = LiveKey.of(store, record.id)
    await key.create(record)
    const ids = [1, 2].map((byte) => new Uint8Array(32).fill(byte))
    const alive = () => Promise.all(ids.map((id) => key.setups.alive(id)))
    expect(await alive()).toEqual([true, true])
    for (const [at, expected] of [
      [0, [false, true]],
      [1, [false, false]],
    ] as const) {
      const { value, version } = (await store.get('key', record.id))!
      const now = decodeRecord(value)
      const retired = { id: Buffer.from(ids[at]!).toString('hex'), party: 2, at: 0, left: false }
      const changed = { ...now, retiredSetups: [...now.retiredSetups, retired] }
      await store.put('key', record.id, encodeRecord(changed), version)
      expect(await alive()).toEqual(expected)
    }
  })
})
