import { bytesToHex, drillCanary, encodeKeyShare, hexToBytes, verifyDrillReport } from '@vertex/mpc'
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest'
import { parseLine } from '../../src/audit/index.js'
import { BackupSecrets } from '../../src/seal/index.js'
import { backupKeyUnavailable } from '../../src/seal/errors.js'
import type { Database } from '../../src/store/index.js'
import { limits, localEngine, type DrillRequest } from '../../src/vault/index.js'
import { StorageUnavailable } from '../../src/vault/ports.js'
import { engines, sql } from '../store/engines.js'
import {
  makeKey,
  settleBoth,
  settleDrill,
  signTogether,
  verifies,
  type DrillSide,
} from './support/client.js'
import {
  afterRestart,
  afterTotalLoss,
  cleanUp,
  openWorld,
  sealFor,
  suite,
  withVerbs,
  type World,
  type WorldOptions,
} from './support/world.js'

afterEach(cleanUp)

const nobodys = '00000000-0000-4000-8000-000000000000'
const nonce = 'ab'.repeat(32)

async function withBackup(options: WorldOptions = {}) {
  const world = await openWorld(options)
  const caller = await world.newCaller()
  const key = await makeKey(world, caller)
  const backup = await world.vault.exportBackup(caller, key.keyId)
  const before = await contentOf(world.database)
  /** A drill by both sides that must fail; gives the vault's error. */
  const failing = async (side: DrillSide = {}, given = backup) => {
    const [vaults] = await settleDrill(world, caller, key, given, side)
    if (vaults.status === 'fulfilled') throw new Error('the drill went well')
    return vaults.reason as Error
  }
  /** The drill of a backup for which no client has to come; gives the error. */
  const refused = async (given: Partial<DrillRequest> = {}, by = caller) => {
    const { roomUuid } = await world.vault.createRoom(by, 2)
    return world.vault.drillBackup(by, { ...backup, roomUuid, nonce, ...given }).then(
      () => undefined,
      (error: unknown) => error,
    )
  }
  const leftNothing = async () => expect(await contentOf(world.database)).toEqual(before)
  return { world, vault: world.vault, caller, key, backup, before, failing, refused, leftNothing }
}

/** Every row of every table but the audit log, which grows with whatever is tried and holds nothing of a share. */
async function contentOf(database: Database): Promise<Record<string, Record<string, unknown>[]>> {
  const names =
    database.kind === 'sqlite'
      ? "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
      : "SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
  const content: Record<string, Record<string, unknown>[]> = {}
  for (const { name } of await sql(database, names)) {
    if (name === 'audit_records') continue
    const rows = await sql(database, `SELECT * FROM "${String(name)}"`)
    content[String(name)] = rows.sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
  }
  expect(Object.keys(content)).toEqual(expect.arrayContaining(['shares', 'ot_setups', 'backups']))
  return content
}

const drilledAtOf = async ({ vault }: World) =>
  (await vault.backupCoverage(undefined, { limit: 10 })).keys[0]?.drilledAt

describe('a recovery drill', () => {
  it('signs the canary with the share in the backup, and reports it under the vault identity', async () => {
    const { world, caller, key, backup } = await withBackup()
    const [vaults, clients] = await settleDrill(world, caller, key, backup)
    if (vaults.status === 'rejected') throw vaults.reason
    if (clients.status === 'rejected') throw clients.reason
    const { drilledAt, digest, signature, report } = vaults.value
    expect(drilledAt.getTime()).toBe(world.time.now)
    expect(signature.r).toBe(bytesToHex(clients.value[0]!.r))
    const { generation } = await world.store.run((uow) => uow.meta.get())
    expect(report).toMatchObject({
      vaultName: 'vertex',
      generation,
      userId: caller.userId,
      keyId: key.keyId,
      pubkey: key.pubkey,
      epoch: 0,
      digest,
      r: signature.r,
      s: signature.s,
      drilledAt,
    })
    const subject = {
      publicKey: hexToBytes(key.pubkey),
      epoch: 0,
      blobDigest: hexToBytes(digest),
      nonce: hexToBytes(report!.nonce),
    }
    const { r, s, v } = signature
    const signer = suite.curve.recover(
      { r: hexToBytes(r), s: hexToBytes(s), v },
      drillCanary(subject),
    )
    expect(bytesToHex(suite.curve.encode(signer!))).toBe(key.pubkey)
    const { vaultIdentity } = await world.vault.createKey(caller)
    expect(report!.identity).toBe(vaultIdentity!.publicKey)
    const said = {
      ...subject,
      vaultName: 'vertex',
      generation,
      userId: caller.userId,
      keyId: key.keyId,
      party: 3 - key.client.share!.index,
      secretFingerprint: hexToBytes(report!.secretFingerprint),
      signature: hexToBytes(r + s),
      drilledAt: drilledAt.getTime(),
    }
    const identity = hexToBytes(report!.identity)
    expect(verifyDrillReport(identity, said, hexToBytes(report!.signature))).toBe(true)
  })

  it.each(engines.filter(({ missing }) => missing === undefined))(
    'leaves nothing in the whole database but when it was, on $name',
    async (engine) => {
      const { world, caller, key, backup, before } = await withBackup({
        database: await engine.create(),
      })
      world.time.now += 60_000
      for (const result of await settleDrill(world, caller, key, backup))
        expect(result.status).toBe('fulfilled')
      const noted = await contentOf(world.database)
      const at = Number(noted['backups']![0]!['drilled_at'])
      expect(at).toBe(world.time.now)
      expect(Number(noted['backups']![0]!['verified_at'])).toBe(at)
      for (const content of [before, noted])
        for (const row of content['backups']!) {
          delete row['verified_at']
          delete row['drilled_at']
        }
      expect(noted).toEqual(before)
      // With the setup that was there before.
      const [setup] = [...key.client.setups.values()]
      expect(verifies(key.pubkey, 'hello', await signTogether(world, caller, key))).toBe(true)
      expect([...key.client.setups.values()]).toEqual([setup])
    },
  )
  afterAll(() => Promise.all(engines.map((engine) => engine.cleanUp())))

  it('is seen in the coverage, until a backup that was not drilled takes its place', async () => {
    const { world, vault, caller, key, backup } = await withBackup()
    await settleDrill(world, caller, key, backup)
    const drilledAt = new Date(world.time.now)
    const coverage = () => vault.backupCoverage(caller, { limit: 10 })
    expect(await coverage()).toMatchObject({
      keys: [{ state: 'verified', verifiedAt: drilledAt, drilledAt }],
      counts: { none: 0, exported: 0, verified: 1, drilled: 1 },
    })
    world.time.now += 1000
    await vault.verifyBackup(caller, backup)
    expect((await coverage()).keys).toMatchObject([
      { verifiedAt: new Date(world.time.now), drilledAt },
    ])
    await vault.verifyBackup(caller, await vault.exportBackup(caller, key.keyId))
    expect(await coverage()).toMatchObject({ keys: [{ drilledAt: null }], counts: { drilled: 0 } })
  })

  it('works while a signature of the live share is under way, on both sides', async () => {
    const { world, caller, key, backup } = await withBackup()
    const results = await Promise.all([
      settleBoth(world, caller, key),
      settleDrill(world, caller, key, backup),
      settleBoth(world, caller, key, { message: 'another' }),
      settleDrill(world, caller, key, backup),
    ])
    for (const both of results) for (const one of both) expect(one.status).toBe('fulfilled')
  })

  it('takes one of the live share’s places, and waits for it', async () => {
    const { world, caller, key, backup } = await withBackup()
    const many = Array.from({ length: limits.runsPerShare + 3 }, () =>
      settleDrill(world, caller, key, backup),
    )
    for (const both of await Promise.all(many))
      for (const one of both) expect(one.status).toBe('fulfilled')
  })

  it('has no report in plaintext mode, where nobody could sign it', async () => {
    const { world, caller, key, backup } = await withBackup({ mode: 'plaintext' })
    const [vaults] = await settleDrill(world, caller, key, backup)
    expect(vaults).toMatchObject({ status: 'fulfilled', value: { report: null } })
    expect(await drilledAtOf(world)).toEqual(new Date(world.time.now))
  })

  it('is signed by the identity that the client pinned, before and after a rotation', async () => {
    const { world, caller, key, backup } = await withBackup()
    const { vaultIdentity: pinned } = await world.vault.createKey(caller)
    const secrets = {
      ...world.secrets,
      backup: [{ bytes: new Uint8Array(32).fill(9), version: '2' }, ...world.secrets.backup],
    }
    const rotated = await afterRestart(world, { secrets })
    const drillBackup = rotated.vault.drillBackup.bind(rotated.vault)
    const identities: (string | undefined)[] = []
    for (const identity of [pinned!.fingerprint.toUpperCase(), undefined, 'ff'.repeat(32)]) {
      Object.assign(rotated.vault, {
        drillBackup: (by: typeof caller, request: DrillRequest) =>
          drillBackup(by, request, { identity }),
      })
      const [vaults] = await settleDrill(rotated, caller, key, backup)
      identities.push(vaults.status === 'fulfilled' ? vaults.value.report?.identity : undefined)
    }
    const { vaultIdentity: newest } = await rotated.vault.createKey(caller)
    expect(newest!.publicKey).not.toBe(pinned!.publicKey)
    expect(identities).toEqual([pinned!.publicKey, newest!.publicKey, newest!.publicKey])
  })

  it('leaves no share unwiped in the engine', async () => {
    const records: Uint8Array[] = []
    const engine = localEngine(suite)
    const { world, caller, key, backup } = await withBackup({
      engine: {
        ...engine,
        sign: (work) => {
          records.push(work.record)
          return engine.sign(work)
        },
      },
    })
    await settleDrill(world, caller, key, backup)
    expect(records).toHaveLength(1)
    expect(records[0]!.every((byte) => byte === 0)).toBe(true)
  })
})

describe('a drill goes wrong', () => {
  it('blob damaged, foreign, of another mode: as an import', async () => {
    const { world, caller, key, backup, refused } = await withBackup()
    const damaged = Buffer.from(backup.keyShare, 'base64')
    damaged[damaged.length - 1]! ^= 1
    const stranger = await world.newCaller()
    const before = await contentOf(world.database)
    const seal = await sealFor(world)
    const subject = { userId: caller.userId, keyId: key.keyId, createdAt: world.time.now }
    const clients = (await seal.seal(subject, encodeKeyShare(key.client.share!))).text
    for (const keyShare of [damaged.toString('base64'), 'nonsense', clients])
      expect(await refused({ keyShare })).toMatchObject({ errType: 'backup_invalid' })
    expect(await refused({ exportType: 'plaintext' })).toMatchObject({
      errType: 'export_mode_refused',
    })
    expect(await refused({}, stranger)).toMatchObject({ errType: 'backup_invalid' })
    expect(await contentOf(world.database)).toEqual(before)
  })

  it('its secret disabled, Key Vault down: backup_key_unavailable', async () => {
    const { refused, leftNothing } = await withBackup()
    const find = vi.spyOn(BackupSecrets.prototype, 'find').mockRejectedValue(backupKeyUnavailable())
    try {
      expect(await refused()).toMatchObject({ errType: 'backup_key_unavailable' })
    } finally {
      find.mockRestore()
    }
    await leftNothing()
  })

  it('share tombstoned: share_tombstoned', async () => {
    const { vault, caller, key, refused } = await withBackup()
    await vault.deleteKeyShare(caller, key.keyId)
    expect(await refused()).toMatchObject({ errType: 'share_tombstoned' })
  })

  it('none here: key_id_not_exists, and nothing is imported', async () => {
    const { world, caller, backup } = await withBackup()
    const fresh = await afterTotalLoss(world)
    await fresh.vault.authenticate(caller.apiKey)
    const before = await contentOf(fresh.database)
    const { roomUuid } = await fresh.vault.createRoom(caller, 2)
    await expect(
      fresh.vault.drillBackup(caller, { ...backup, roomUuid, nonce }),
    ).rejects.toMatchObject({ errType: 'key_id_not_exists', details: {} })
    expect(await contentOf(fresh.database)).toEqual(before)
  })

  it('share deleted during the run: key_id_not_exists', async () => {
    const { world, vault, caller, key, backup } = await withBackup()
    const { roomUuid } = await vault.createRoom(caller, 2)
    const joined = vi.spyOn(world.rooms, 'join')
    const drill = vault.drillBackup(caller, { ...backup, roomUuid, nonce })
    drill.catch(() => undefined)
    await vi.waitFor(() => expect(joined).toHaveBeenCalled())
    await vault.deleteKeyShare(caller, key.keyId)
    await expect(drill).rejects.toMatchObject({ errType: 'key_id_not_exists' })
  })

  it('share deleted while the drill waits for its place: nothing of it signs', async () => {
    const { world, vault, caller, key, backup } = await withBackup()
    const joined = vi.spyOn(world.rooms, 'join')
    const drills = []
    for (let i = 0; i <= limits.runsPerShare; i++) {
      const { roomUuid } = await vault.createRoom(caller, 2)
      drills.push(vault.drillBackup(caller, { ...backup, roomUuid, nonce }))
    }
    const all = Promise.allSettled(drills)
    await vi.waitFor(() => expect(joined).toHaveBeenCalledTimes(limits.runsPerShare))
    await vault.deleteKeyShare(caller, key.keyId)
    const types = (await all).map(
      (one) => one.status === 'rejected' && (one.reason as { errType: string }).errType,
    )
    expect(types.slice(0, -1)).toEqual(Array(limits.runsPerShare).fill('key_id_not_exists'))
    expect(types.at(-1)).toBe('share_tombstoned')
    expect(joined).toHaveBeenCalledTimes(limits.runsPerShare)
  })

  it('peer locked out: key_locked, before a room is joined', async () => {
    const { world, key, refused } = await withBackup()
    const [share] = await sql(world.database, 'SELECT share_id FROM shares')
    await world.store.run(async (uow) => {
      for (let i = 0; i < limits.failures; i++)
        await uow.failures.add(String(share!['share_id']), key.client.share!.index, world.time.now)
    })
    const joined = vi.spyOn(world.rooms, 'join')
    expect(await refused()).toMatchObject({ errType: 'key_locked' })
    expect(joined).not.toHaveBeenCalled()
  })

  it('client not in the room: room_timeout', async () => {
    const { world, caller, backup } = await withBackup()
    const hasty = await afterRestart(world, { runDeadlineMs: 150 })
    const before = await contentOf(hasty.database)
    const { roomUuid } = await hasty.vault.createRoom(caller, 2)
    const request: DrillRequest = { ...backup, roomUuid, nonce }
    await expect(hasty.vault.drillBackup(caller, request)).rejects.toMatchObject({
      errType: 'room_timeout',
    })
    await expect(hasty.vault.drillBackup(caller, request)).rejects.toMatchObject({
      errType: 'room_used',
    })
    expect(await contentOf(hasty.database)).toEqual(before)
  })

  it('client gone in the middle: room_problem', async () => {
    const { key, failing, leftNothing } = await withBackup()
    let sent = 0
    key.client.wrap = (link) => ({
      slot: link.slot,
      size: link.size,
      receive: () => link.receive(),
      leave: () => link.leave(),
      send: (to, bytes) => {
        link.send(to, bytes)
        if (++sent === 2) link.leave()
      },
    })
    expect(await failing()).toMatchObject({ errType: 'room_problem' })
    await leftNothing()
  })

  it('a room that is none, and malformed requests', async () => {
    const { refused, leftNothing } = await withBackup()
    expect(await refused({ roomUuid: nobodys })).toMatchObject({ errType: 'room_not_found' })
    for (const bad of [
      { roomUuid: 'a room' },
      { nonce: 'ab' },
      { nonce: 'zz'.repeat(32) },
      { relayAddress: 'elsewhere.example:443' },
    ])
      expect(await refused(bad)).toMatchObject({ errType: 'bad_request_params' })
    await leftNothing()
  })

  it('a failed check: protocol_abort, one failure on the live share and a retired id', async () => {
    const { world, caller, key, before, failing } = await withBackup()
    expect(await failing({ cheats: true })).toMatchObject({
      errType: 'protocol_abort',
      details: { reaction: 'retire_setup', culprits: [key.client.share!.index] },
    })
    const after = await contentOf(world.database)
    const [live] = before['ot_setups']!
    expect(after['ot_setups']).toHaveLength(2)
    expect(after['ot_setups']).toContainEqual(live)
    const [retired] = after['ot_setups']!.filter(({ setup_id }) => setup_id !== live!['setup_id'])
    expect(retired).toMatchObject({ share_id: live!['share_id'], record: null })
    const failures = Object.keys(after).filter((name) => name.includes('fail'))
    expect(failures).toHaveLength(1)
    expect(after[failures[0]!]).toHaveLength(1)
    expect(before[failures[0]!]).toHaveLength(0)
    const changed = ['ot_setups', failures[0]!]
    for (const name of changed) after[name] = before[name]!
    expect(after).toEqual(before)
    await signTogether(world, caller, key)
  })

  it('five failed checks of drills lock the live share: they have one budget', async () => {
    const { vault, caller, key, failing, refused } = await withBackup()
    for (let i = 0; i < limits.failures; i++)
      expect(await failing({ cheats: true })).toMatchObject({ errType: 'protocol_abort' })
    expect(await refused()).toMatchObject({ errType: 'key_locked' })
    const { roomUuid } = await vault.createRoom(caller, 2)
    const request = { keyId: key.keyId, roomUuid, msg: '00', hashAlgo: 'sha256' }
    await expect(vault.sign(caller, request)).rejects.toMatchObject({ errType: 'key_locked' })
  })

  it('a failed check that cannot be written: 503, and nothing is drilled until it is', async () => {
    const { world, caller, key, backup, refused } = await withBackup()
    world.store.tamper = (uow) => ({
      ...uow,
      failures: withVerbs(uow.failures, { add: () => Promise.reject(new StorageUnavailable()) }),
    })
    const cheated = await settleDrill(world, caller, key, backup, { cheats: true })
    expect(cheated[0]).toMatchObject({ reason: { errType: 'storage_unavailable' } })
    expect(await refused()).toMatchObject({ errType: 'storage_unavailable' })
    world.store.tamper = undefined
    const [good] = await settleDrill(world, caller, key, backup)
    expect(good.status).toBe('fulfilled')
  })

  it('a peer that is locked out while the drill is under way gets no setup', async () => {
    const { world, failing, leftNothing } = await withBackup()
    let asked = 0
    world.store.tamper = (uow) => ({
      ...uow,
      failures: withVerbs(uow.failures, {
        countSince: () => Promise.resolve(asked++ === 0 ? 0 : limits.failures),
      }),
    })
    expect(await failing()).toMatchObject({ errType: 'key_locked' })
    expect(asked).toBe(2)
    await leftNothing()
  })

  it.each([
    ['another nonce', { nonce: new Uint8Array(32) }],
    ['another blob', { blobDigest: new Uint8Array(32) }],
  ])('%s on one side: session_mismatch, and nobody is blamed', async (_, subject) => {
    const { failing, leftNothing } = await withBackup()
    expect(await failing({ subject })).toMatchObject({ errType: 'session_mismatch' })
    await leftNothing()
  })

  it('the audit log cannot be written: storage_unavailable, before a room is joined', async () => {
    const { world, caller, key, backup, refused, leftNothing } = await withBackup()
    const appendAudit = world.store.appendAudit.bind(world.store)
    world.store.appendAudit = () => Promise.reject(new StorageUnavailable())
    const joined = vi.spyOn(world.rooms, 'join')
    expect(await refused()).toMatchObject({ errType: 'storage_unavailable' })
    expect(joined).not.toHaveBeenCalled()
    await leftNothing()
    world.store.appendAudit = appendAudit
    await settleDrill(world, caller, key, backup)
    const rows = await world.store.readAudit(0, 1000)
    const [begun, done] = rows.slice(-2).map(({ line }) => parseLine(line)!.record)
    expect([begun, done]).toMatchObject([
      { action: 'drill', outcome: 'begun', user: caller.userId },
      { action: 'drill', outcome: 'done', of: begun!.seq },
    ])
    expect(rows.map(({ line }) => line).join()).not.toContain(backup.keyShare)
  })

  it('drilled_at cannot be written: storage_unavailable, and the drill counts as not run', async () => {
    const { world, failing, leftNothing } = await withBackup()
    world.store.tamper = (uow) => ({
      ...uow,
      backups: withVerbs(uow.backups, { drilled: () => Promise.reject(new StorageUnavailable()) }),
    })
    expect(await failing()).toMatchObject({ errType: 'storage_unavailable' })
    await leftNothing()
    expect(world.events.filter(({ event }) => event === 'backup_drilled')).toEqual([])
  })

  it('the run answers a signature of another key: no drill', async () => {
    const engine = localEngine(suite)
    const { failing, leftNothing } = await withBackup({
      engine: {
        ...engine,
        sign: async (work) => {
          const [signature] = await engine.sign(work)
          return [{ ...signature!, r: signature!.s, s: signature!.r }]
        },
      },
    })
    expect((await failing()).message).toMatch(/another key/)
    await leftNothing()
  })

  it('too many by one user in an hour, or of one key in a minute: rate_limited', async () => {
    const few = await withBackup({ rates: { imports: 2 } })
    for (let i = 0; i < 2; i++)
      expect(await few.refused({ keyShare: '' })).toMatchObject({ errType: 'backup_invalid' })
    expect(await few.refused({ keyShare: '' })).toMatchObject({
      errType: 'rate_limited',
      message: expect.stringMatching(/^at most 2 imports, verifications and drills/) as string,
    })
    const { world, caller, key, backup, refused } = await withBackup({ rates: { signatures: 1 } })
    for (const one of await settleDrill(world, caller, key, backup))
      expect(one.status).toBe('fulfilled')
    expect(await refused()).toMatchObject({
      errType: 'rate_limited',
      message: expect.stringMatching(/^at most 1 signatures of one key/) as string,
    })
  })
})
