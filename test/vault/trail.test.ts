import { randomUUID } from 'node:crypto'
import { afterEach, describe, expect, it } from 'vitest'
import { parseLine, verifyLog } from '../../src/audit/index.js'
import { StorageKey } from '../../src/seal/index.js'
import { localEngine, type Engine } from '../../src/vault/index.js'
import type { VaultStore } from '../../src/vault/ports.js'
import {
  afterRestart,
  afterTotalLoss,
  cleanUp,
  openWorld,
  suite,
  type World,
  type WorldOptions,
} from './support/world.js'
import { makeKey, signTogether, verifies } from './support/client.js'

afterEach(cleanUp)

const lines = async ({ store }: World) => (await store.readAudit(0, 1_000)).map(({ line }) => line)
const records = async (world: World) => (await lines(world)).map((line) => parseLine(line)!.record)
const check = async (world: World) =>
  verifyLog(await lines(world), {
    chainKey: new StorageKey(world.secrets.storageKey, 'vertex').auditKeys().chain,
  })

/** A world with a key, whose audit log can be made to wait or to refuse, and in which it is seen who has sent. */
async function watched(options: WorldOptions = {}) {
  const local = localEngine(suite)
  const seen = { made: 0, arrived: 0 }
  let madeOne = () => {}
  const made = new Promise<void>((resolve) => (madeOne = resolve))
  const engine: Engine = {
    ...local,
    sign: (run) => {
      const { link } = run
      const send: typeof link.send = (to, bytes) => {
        seen.made++
        madeOne()
        link.send(to, bytes)
      }
      const watchedLink = {
        slot: link.slot,
        size: link.size,
        send,
        receive: () => link.receive(),
        leave: () => {
          link.leave()
        },
      }
      return local.sign({ ...run, link: watchedLink })
    },
  }
  const world = await openWorld({ ...options, engine })
  const caller = await world.newCaller()
  const key = await makeKey(world, caller)
  key.client.wrap = (link) => ({
    slot: link.slot,
    size: link.size,
    send: (to, bytes) => {
      link.send(to, bytes)
    },
    receive: async () => {
      const event = await link.receive()
      if (event.type === 'message') seen.arrived++
      return event
    },
    leave: () => {
      link.leave()
    },
  })
  const append = world.store.appendAudit.bind(world.store)
  return { world, caller, key, seen, made, append }
}

/** Signs with a new message, where an answer may be an error. */
const trySigning = async ({ world, caller, key }: Awaited<ReturnType<typeof watched>>) =>
  signTogether(world, caller, key, { message: 'hello' })

describe('a signature', () => {
  it('is computed while its beginning is recorded, and nothing of it leaves before', async () => {
    const there = await watched()
    const { world, key, seen } = there
    let letGo = () => {}
    const held = new Promise<void>((resolve) => (letGo = resolve))
    world.store.appendAudit = async (make, own) => {
      await held
      return there.append(make, own)
    }
    const signing = trySigning(there)
    await there.made
    await new Promise(setImmediate)
    expect(seen).toEqual({ made: 1, arrived: 0 })
    letGo()
    expect(verifies(key.pubkey, 'hello', await signing)).toBe(true)
    expect(seen.arrived).toBeGreaterThan(1)
    await world.close()
  })

  it('whose beginning cannot be recorded is refused, and nothing of it has left', async () => {
    const there = await watched()
    const { world, seen } = there
    const refused: VaultStore['appendAudit'] = async () => {
      await there.made
      throw new Error('no space left')
    }
    world.store.appendAudit = refused
    await expect(trySigning(there)).rejects.toMatchObject({ errType: 'storage_unavailable' })
    expect(seen).toEqual({ made: 1, arrived: 0 })
    expect(world.events).toContainEqual({ event: 'audit_refused' })
    world.store.appendAudit = there.append
    expect(await check(world)).toMatchObject({ ok: true, unfinished: [] })
  })

  it('is made all the same where the operator chose best effort, and the log of the server says so', async () => {
    const there = await watched({ signsUnrecorded: true })
    const { world, caller, key } = there
    const before = await lines(world)
    world.store.appendAudit = () => Promise.reject(new Error('no space left'))
    expect(verifies(key.pubkey, 'hello', await trySigning(there))).toBe(true)
    expect(world.events.filter(({ event }) => event === 'audit_unwritten')).toEqual([
      { event: 'audit_unwritten', action: 'sign' },
    ])
    expect(await lines(world)).toEqual(before)
    // Nothing else is left to chance.
    await expect(world.vault.exportBackup(caller, key.keyId)).rejects.toMatchObject({
      errType: 'storage_unavailable',
    })
    expect((await world.vault.readiness()).checks).toMatchObject({ audit: false })
    world.store.appendAudit = there.append
    expect((await world.vault.readiness()).checks).toMatchObject({ audit: true })
    await trySigning(there)
    await world.close()
  })

  it('is recorded with what was signed, hashed, and its end is durable when the server has stopped', async () => {
    const there = await watched()
    const { world, caller } = there
    await trySigning(there)
    await world.vault.close()
    const [begun, ended] = (await records(world)).slice(-2)
    expect(begun).toMatchObject({ action: 'sign', outcome: 'begun', user: caller.userId })
    expect(ended).toMatchObject({
      action: 'sign',
      outcome: 'done',
      of: begun!.seq,
      key: begun!.key,
    })
    expect(begun!.values.map(([name]) => name)).toEqual(['key_id', 'digests'])
  })

  it('that never had its turn is not recorded', async () => {
    const { world, caller, key } = await watched()
    const before = await lines(world)
    const { roomUuid } = await world.vault.createRoom(caller, 2)
    await world.vault.close()
    const request = { keyId: key.keyId, roomUuid, msg: '00', hashAlgo: 'sha256' }
    await expect(world.vault.sign(caller, request)).rejects.toMatchObject({ errType: 'too_busy' })
    expect(await lines(world)).toEqual(before)
  })
})

describe('what is done with secrets', () => {
  it('is recorded before and after, and never in the clear', async () => {
    const world = await openWorld()
    const caller = { ...(await world.newCaller('somebody')), requestId: 'e'.repeat(32) }
    const { keyId } = await makeKey(world, caller)
    const backup = await world.vault.exportBackup(caller, keyId)
    await world.vault.importBackup(caller, backup)
    await world.vault.verifyBackup(caller, backup)
    await world.vault.deleteKeyShare(caller, keyId)
    const story = (await records(world)).map(({ action, outcome, of }) => [action, outcome, of])
    expect(story).toEqual([
      ['log_opened', 'done', 0],
      ['create_user', 'begun', 0],
      ['create_user', 'done', 2],
      ['keygen', 'begun', 0],
      ['keygen', 'done', 4],
      ['export', 'begun', 0],
      ['export', 'done', 6],
      ['import', 'begun', 0],
      ['import', 'done', 8],
      ['verify', 'begun', 0],
      ['verify', 'done', 10],
      ['delete_key', 'begun', 0],
      ['delete_key', 'done', 12],
    ])
    expect(await check(world)).toMatchObject({ ok: true, unfinished: [] })
    const all = (await lines(world)).join()
    expect(all).toContain(caller.userId)
    expect(all).toContain('e'.repeat(32))
    for (const hidden of [backup.keyShare, caller.apiKey, 'somebody', keyId])
      expect(all).not.toContain(hidden)
    const keys = new Set((await records(world)).slice(4).map(({ key }) => key))
    // One key, and none where it was not known yet.
    expect([...keys].filter((key) => key !== '')).toHaveLength(1)
  })

  it('names the user and the API key that were made, by the hash that a revocation has', async () => {
    const world = await openWorld()
    const { userId } = await world.vault.createUser({ name: 'x' })
    const { apiKey } = await world.vault.generateApiKey(userId)
    await world.vault.revokeApiKey({ userId, apiKey })
    const all = await records(world)
    const ofKey = (action: string) =>
      all
        .filter((record) => record.action === action)
        .map(({ values }) => new Map(values).get('api_key'))
    expect(all.filter(({ outcome }) => outcome === 'done').map(({ user }) => user)).toEqual([
      '',
      userId,
      userId,
      userId,
    ])
    const [begun, revoked] = ofKey('revoke_api_key')
    expect(begun).toBe(revoked)
    expect(ofKey('generate_api_key')).toEqual([undefined, revoked])
    expect(ofKey('create_user')).toEqual([undefined, expect.not.stringMatching(revoked!)])
  })

  it('is not done when it cannot be recorded', async () => {
    const world = await openWorld()
    const caller = await world.newCaller()
    const { keyId } = await makeKey(world, caller)
    const backup = await world.vault.exportBackup(caller, keyId)
    const before = await lines(world)
    world.store.appendAudit = () => Promise.reject(new Error('disk full'))
    const unavailable = { errType: 'storage_unavailable' }
    await expect(world.vault.exportBackup(caller, keyId)).rejects.toMatchObject(unavailable)
    await expect(world.vault.verifyBackup(caller, backup)).rejects.toMatchObject(unavailable)
    expect(await world.vault.backupCoverage(caller, { limit: 1 })).toMatchObject({
      counts: { exported: 1, verified: 0 },
    })
    await expect(world.vault.createUser({ name: 'x' })).rejects.toMatchObject(unavailable)
    await expect(world.vault.deleteKeyShare(caller, keyId)).rejects.toMatchObject(unavailable)
    expect(await lines(world)).toEqual(before)
    expect(await world.vault.listKeys(caller)).toHaveLength(1)
  })

  it('is not done once the generation was changed under the server, until it is started again', async () => {
    const world = await openWorld()
    const caller = await world.newCaller()
    const { keyId } = await makeKey(world, caller)
    const before = await lines(world)
    await world.store.run((uow) => uow.meta.restored(world.time.now))
    await expect(world.vault.exportBackup(caller, keyId)).rejects.toMatchObject({
      errType: 'storage_unavailable',
    })
    expect(world.events).toContainEqual({ event: 'audit_refused' })
    expect(await lines(world)).toEqual(before)
    const again = await afterRestart(world)
    await again.vault.exportBackup(caller, keyId)
    const since = (await records(again)).slice(before.length)
    expect(since.map(({ action }) => action)).toEqual(['generation_changed', 'export', 'export'])
  })

  it('is not recorded where there is no such key', async () => {
    const world = await openWorld()
    const caller = await world.newCaller()
    const before = await lines(world)
    await expect(world.vault.deleteKeyShare(caller, randomUUID())).rejects.toMatchObject({
      errType: 'key_id_not_exists',
    })
    expect(await lines(world)).toEqual(before)
  })

  it('that fails is recorded with its err_type', async () => {
    const world = await openWorld()
    const caller = await world.newCaller()
    const blob = { exportType: 'encrypted', keyShare: 'AAAA' } as const
    await expect(world.vault.importBackup(caller, blob)).rejects.toMatchObject({
      errType: 'backup_invalid',
    })
    expect((await records(world)).at(-1)).toMatchObject({
      action: 'import',
      outcome: 'backup_invalid',
    })
    await expect(world.vault.verifyBackup(caller, blob)).rejects.toMatchObject({
      errType: 'backup_invalid',
    })
    expect((await records(world)).at(-1)).toMatchObject({
      action: 'verify',
      outcome: 'backup_invalid',
      key: '',
    })
  })
})

describe('an API key that brings its user back', () => {
  const denied = { errType: 'access_denied' }

  it('is recorded with the request that did it, once, and not one that may not', async () => {
    const world = await openWorld()
    const { apiKey, userId, apiKeyId } = await world.newCaller()
    const { apiKey: revoked } = await world.vault.generateApiKey(userId)
    const again = await afterTotalLoss(world)
    await again.vault.revokeApiKey({ userId, apiKey: revoked })
    const before = (await lines(again)).length
    await expect(again.vault.authenticate(revoked)).rejects.toMatchObject(denied)
    expect(await lines(again)).toHaveLength(before)
    const requestId = 'd'.repeat(32)
    await Promise.all([1, 2, 3].map(() => again.vault.authenticate(apiKey, requestId)))
    await again.vault.authenticate(apiKey, 'c'.repeat(32))
    const since = (await records(again)).slice(before)
    const by = { action: 'recover', actor: 'user', user: userId, apiKey: apiKeyId }
    expect(since).toMatchObject([
      { ...by, request: requestId, outcome: 'begun' },
      { ...by, request: requestId, outcome: 'done', of: before + 1 },
    ])
    expect(since).toHaveLength(2)
  })

  it('does not when that cannot be recorded, and does later', async () => {
    const world = await openWorld()
    const { apiKey, userId } = await world.newCaller()
    const again = await afterTotalLoss(world)
    const append = again.store.appendAudit.bind(again.store)
    again.store.appendAudit = () => Promise.reject(new Error('disk full'))
    await expect(again.vault.authenticate(apiKey)).rejects.toMatchObject({
      errType: 'storage_unavailable',
    })
    expect(await again.store.run((uow) => uow.users.byId(userId))).toBeUndefined()
    again.store.appendAudit = append
    expect(await again.vault.authenticate(apiKey)).toMatchObject({ userId })
  })
})
