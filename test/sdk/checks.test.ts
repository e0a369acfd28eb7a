import { bytesToHex, decodePairSetup, encodeKeyShare, nobleSuite } from '@vertex/mpc'
import { nativeSuite } from '@vertex/mpc/native'
import {
  MemoryShareStore,
  ProtocolError,
  RollbackDetectedError,
  type EcdsaKey,
  type Fetch,
  type ShareStore,
  type Vertex,
  type VertexOptions,
} from '@vertex/sdk'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { LiveKey } from '../../sdk/src/live-key.js'
import { decodeRecord, encodeRecord, type KeyRecord } from '../../sdk/src/record.js'
import type { TestServer } from '../support/server.js'
import { Harness, utf8 } from './support/harness.js'
import { opensslVerifies } from './support/verify.js'

const harness = new Harness()
const message = utf8('checked')
const tenMinutes = 10 * 60 * 1000
let server: TestServer
let apiKey: string
let store: MemoryShareStore
let vertex: Vertex
let key: EcdsaKey
let pristine: Uint8Array
let signRequests = 0

const counting: Fetch = (input, init) => {
  if (input.endsWith('/ecdsa/sign')) signRequests++
  return fetch(input, init)
}
const client = (options: Partial<VertexOptions> = {}) =>
  harness.client(server, { store, apiKey, fetch: counting, ...options })
const tries = (one: EcdsaKey) =>
  one.sign({ message, hashAlgo: 'sha256' }).then(
    () => undefined,
    (error: unknown) => error,
  )
const signs = async (one: EcdsaKey) => {
  const { der } = await one.sign({ message, hashAlgo: 'sha256' })
  expect(opensslVerifies(key.publicKey, message, der)).toBe(true)
}
const record = async () => decodeRecord((await store.get('key', key.id))!.value)
async function storedSetup() {
  const [id] = await store.list('setup')
  return decodePairSetup((await store.get('setup', id!))!.value)
}

/** The store as another process would find it, with a changed record: nothing is remembered in memory. */
async function withRecord(change: (record: KeyRecord) => KeyRecord): Promise<MemoryShareStore> {
  const copy = new MemoryShareStore()
  await copy.put('key', key.id, encodeRecord(change(await record())), 0)
  for (const id of await store.list('setup'))
    await copy.put('setup', id, (await store.get('setup', id))!.value, 0)
  return copy
}

beforeAll(async () => {
  server = await harness.server('vertex')
  apiKey = await server.createUser('checked')
  store = new MemoryShareStore()
  const made = await (await client()).ecdsa.createKey()
  pristine = (await store.get('key', made.id))!.value
})
beforeEach(async () => {
  // The one key, in a store that knows of nothing that earlier tests did.
  const { id } = decodeRecord(pristine)
  store = new MemoryShareStore()
  await store.put('key', id, pristine, 0)
  vertex = await client()
  key = await vertex.ecdsa.openKey(id)
  await signs(key)
  signRequests = 0
})
afterAll(() => harness.end())

describe('a failed check', () => {
  it('ends the call at once, retires the OT setup before anything else, and is not tried again', async () => {
    const before = await storedSetup()
    const suite = nativeSuite()
    const doubting = await client({
      suite: { ...suite, curve: { ...suite.curve, recover: () => undefined } },
    })
    const error = await tries(await doubting.ecdsa.openKey(key.id))
    expect(error).toBeInstanceOf(ProtocolError)
    expect(error).toMatchObject({
      errType: 'protocol_abort',
      code: 'signature_invalid',
      reaction: 'retire_setup',
    })
    expect(signRequests).toBe(1)
    expect(await store.list('setup')).toEqual([])
    expect((await record()).retiredSetups).toMatchObject([{ id: bytesToHex(before.id) }])
    // The next signature is on a new setup; the retired one is dead for this process and for every later one.
    await signs(key)
    expect((await storedSetup()).id).not.toEqual(before.id)
    expect(await LiveKey.of(store, key.id).setups.alive(before.id)).toBe(false)
  })

  it('is seen once, however many clients share the store', async () => {
    const { id, peer } = await storedSetup()
    /** Another client's view of the store, such as another process has. */
    const elsewhere = (): ShareStore => ({
      get: (kind, name) => store.get(kind, name),
      put: (kind, name, value, expected) => store.put(kind, name, value, expected),
      list: (kind) => store.list(kind),
      delete: (kind, name) => store.delete(kind, name),
    })
    const [one, two, three] = Array.from({ length: 3 }, () => {
      return LiveKey.of(elsewhere(), key.id).setups
    })
    for (const setups of [one!, two!, three!]) expect((await setups.load(peer))?.id).toEqual(id)
    const retire = (setups: typeof one) => setups!.retire(id, peer, 'ot_check_failed', true)
    expect((await Promise.all([retire(one), retire(two)])).sort()).toEqual([false, true])
    expect(await three!.alive(id)).toBe(false)
    expect(await three!.load(peer)).toBeUndefined()
    expect(await retire(three)).toBe(false)
    const { retiredSetups, failures } = await record()
    expect(retiredSetups).toHaveLength(1)
    expect(failures).toHaveLength(1)
  })

  it('that cannot be written down leaves the setup dead in memory', async () => {
    const { id, peer } = await storedSetup()
    const full: ShareStore = {
      get: (kind, name) => store.get(kind, name),
      put: () => Promise.reject(new Error('no space left')),
      list: (kind) => store.list(kind),
      delete: () => Promise.reject(new Error('no space left')),
    }
    const { setups } = LiveKey.of(full, key.id)
    expect((await setups.load(peer))?.id).toEqual(id)
    const retire = () => setups.retire(id, peer, 'ot_check_failed', true)
    await expect(retire()).rejects.toThrow('no space left')
    expect(await setups.alive(id)).toBe(false)
    expect(await setups.load(peer)).toBeUndefined()
    expect((await record()).failures).toEqual([])
  })

  it('locks the key after five by the same party within a day', async () => {
    const at = (ago: number, party: number) => ({ party, at: Date.now() - ago })
    const { index, peer } = await storedSetup().then((s) => ({ index: s.me, peer: s.peer }))
    const failed = (times: number, ago: number, party: number) =>
      withRecord((now) => ({
        ...now,
        failures: Array.from({ length: times }, () => at(ago, party)),
      }))
    const locked = await client({ store: await failed(5, tenMinutes, peer) })
    expect(await tries(await locked.ecdsa.openKey(key.id))).toMatchObject({ errType: 'key_locked' })
    expect(signRequests).toBe(0)
    for (const [times, ago, party] of [
      [4, tenMinutes, peer],
      [5, 25 * 60 * tenMinutes, peer],
      [5, tenMinutes, index],
    ] as const) {
      const free = await client({ store: await failed(times, ago, party) })
      await signs(await free.ecdsa.openKey(key.id))
    }
  })
})

describe('a Vertex that went back in time', () => {
  const rolledBack = async (copy: MemoryShareStore, reason: string) => {
    const reasons: string[] = []
    const later = await client({ store: copy })
    later.on('rollback-detected', (event) => reasons.push(event.reason))
    const error = await tries(await later.ecdsa.openKey(key.id))
    expect(error).toBeInstanceOf(RollbackDetectedError)
    expect(error).toMatchObject({ reason })
    expect(reasons).toEqual([reason])
  }

  it('is found out by the epoch of its share', async () => {
    const share = LiveKey.of(store, key.id).share(nobleSuite(), await record())
    await rolledBack(
      await withRecord((now) => ({
        ...now,
        epoch: 1,
        share: encodeKeyShare({ ...share, epoch: 1 }),
      })),
      'epoch_fell',
    )
  })

  it('is found out by an OT setup that it had left behind', async () => {
    const { id, peer } = await storedSetup()
    const retired = (left: boolean, ago: number) =>
      withRecord((now) => ({
        ...now,
        retiredSetups: [{ id: bytesToHex(id), party: peer, at: Date.now() - ago, left }],
      }))
    await rolledBack(await retired(true, tenMinutes), 'setup_returned')
    // One that it may not have heard of is simply not used again.
    const copy = await retired(false, tenMinutes)
    const fresh = await client({ store: copy })
    await signs(await fresh.ecdsa.openKey(key.id))
    // From then on the server is known to have left it.
    await signs(await fresh.ecdsa.openKey(key.id))
    const now = decodeRecord((await copy.get('key', key.id))!.value)
    expect(now.retiredSetups).toMatchObject([{ id: bytesToHex(id), left: true }])
  })
})

describe('the two suites', () => {
  it('work on one key, by turns', async () => {
    const browserLike = await client({ suite: nobleSuite() })
    await signs(await browserLike.ecdsa.openKey(key.id))
    await signs(key)
  })
})

describe('a stored share', () => {
  it('is refused when its parts do not belong together', async () => {
    const copy = await withRecord((now) => {
      const share = now.share.slice()
      share[40]! ^= 1
      return { ...now, share }
    })
    const later = await client({ store: copy })
    await expect(later.ecdsa.openKey(key.id)).rejects.toMatchObject({ errType: 'store_corrupt' })
    const torn = new MemoryShareStore()
    await torn.put('key', key.id, (await store.get('key', key.id))!.value.slice(0, 50), 0)
    const another = await client({ store: torn })
    await expect(another.ecdsa.openKey(key.id)).rejects.toMatchObject({ errType: 'store_corrupt' })
  })
})
