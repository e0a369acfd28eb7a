import { decodeKeyShare, encodeKeyShare } from '@vertex/mpc'
import { afterEach, describe, expect, it } from 'vitest'
import { encodeScalar } from '../../mpc/src/math/scalar.js'
import { StorageUnavailable } from '../../src/vault/ports.js'
import type { Backup, Caller } from '../../src/vault/index.js'
import { makeKey, settleBoth, signTogether, verifies, type SharedKey } from './support/client.js'
import {
  afterRestart,
  afterTotalLoss,
  cleanUp,
  newSecrets,
  openWorld,
  sealFor,
  suite,
  type World,
} from './support/world.js'

afterEach(cleanUp)

const invalid = {
  errType: 'backup_invalid',
  message: 'this is no backup that this server can take',
}

async function withBackup(options: Parameters<typeof openWorld>[0] = {}) {
  const world = await openWorld(options)
  const caller = await world.newCaller()
  const key = await makeKey(world, caller)
  const backup = await world.vault.exportBackup(caller, key.keyId)
  return { world, vault: world.vault, caller, key, backup }
}

/** What the database holds of one key. */
async function held(world: World, caller: Caller, key: SharedKey) {
  return world.store.run(async (uow) => ({
    shares: await uow.shares.findForUser(caller.userId, Buffer.from(key.pubkey, 'hex')),
    handles: await uow.handles.listForUser(caller.userId),
  }))
}

describe('a backup', () => {
  it('brings a key back after the server and its disk are lost', async () => {
    const { world, caller, key, backup } = await withBackup()
    const fresh = await afterTotalLoss(world)
    await fresh.vault.authenticate(caller.apiKey)
    await expect(fresh.vault.getKey(caller, key.keyId)).rejects.toMatchObject({
      errType: 'key_id_not_exists',
    })
    const { keyId } = await fresh.vault.importBackup(caller, backup)
    expect(keyId).not.toBe(key.keyId)
    const signature = await signTogether(fresh, caller, { ...key, keyId })
    expect(verifies(key.pubkey, 'hello', signature)).toBe(true)
    expect(await fresh.vault.getKey(caller, keyId)).toMatchObject({
      pubkey: key.pubkey,
      provenance: 'encrypted',
    })
  })

  it('can be checked without changing anything', async () => {
    const { world, vault, caller, key, backup } = await withBackup()
    const before = await held(world, caller, key)
    const summary = { keyId: key.keyId, pubkey: key.pubkey, epoch: 0, secretVersion: '1' }
    expect(await vault.verifyBackup(caller, backup)).toEqual(summary)
    expect(await held(world, caller, key)).toEqual(before)
    const fresh = await afterTotalLoss(world)
    await fresh.vault.authenticate(caller.apiKey)
    expect(await fresh.vault.verifyBackup(caller, backup)).toEqual(summary)
    expect(await fresh.vault.listKeys(caller)).toEqual([])
  })

  it('is sealed anew each time, and never with the share in the clear', async () => {
    const { world, vault, caller, key, backup } = await withBackup()
    const second = await vault.exportBackup(caller, key.keyId)
    expect(second.exportType).toBe('encrypted')
    expect(second.keyShare).not.toBe(backup.keyShare)
    const { record } = await (await sealFor(world)).open(backup.keyShare, caller.userId)
    const secret = Buffer.from(encodeScalar(decodeKeyShare(suite, record).secret.reveal()))
    expect(Buffer.from(record).includes(secret)).toBe(true)
    expect(Buffer.from(backup.keyShare, 'base64').includes(secret)).toBe(false)
  })

  it('made before the secret was rotated opens after it', async () => {
    const secrets = newSecrets()
    const { world, caller, key, backup } = await withBackup({ secrets })
    const rotated = {
      ...secrets,
      backup: [{ ...newSecrets().backup[0]!, version: '2' }, ...secrets.backup],
    }
    const fresh = await afterTotalLoss(world, { secrets: rotated })
    await fresh.vault.authenticate(caller.apiKey)
    expect(await fresh.vault.verifyBackup(caller, backup)).toMatchObject({ secretVersion: '1' })
    const { keyId } = await fresh.vault.importBackup(caller, backup)
    const newer = await fresh.vault.exportBackup(caller, keyId)
    expect(await fresh.vault.verifyBackup(caller, newer)).toMatchObject({
      secretVersion: '2',
      keyId,
      pubkey: key.pubkey,
    })
  })
})

describe('an import', () => {
  it('of one blob twenty times at once makes one share and one handle', async () => {
    const { world, caller, key, backup } = await withBackup()
    const fresh = await afterTotalLoss(world)
    await fresh.vault.authenticate(caller.apiKey)
    const made = await Promise.all(
      Array.from({ length: 20 }, () => fresh.vault.importBackup(caller, backup)),
    )
    expect(new Set(made.map(({ keyId }) => keyId)).size).toBe(1)
    const { shares, handles } = await held(fresh, caller, key)
    expect([shares.length, handles.length]).toEqual([1, 1])
    const imports = fresh.events.filter((one) => one.event === 'backup_imported')
    expect(imports.filter(({ first }) => first)).toHaveLength(1)
  })

  it('of the same blob gives the handle of its first import, never the original', async () => {
    const { world, vault, caller, key, backup } = await withBackup()
    const first = await vault.importBackup(caller, backup)
    expect(first.keyId).not.toBe(key.keyId)
    expect(await vault.importBackup(caller, backup)).toEqual(first)
    const again = await afterRestart(world)
    expect(await again.vault.importBackup(caller, backup)).toEqual(first)
    for (const keyId of [key.keyId, first.keyId])
      expect(
        verifies(key.pubkey, 'hello', await signTogether(again, caller, { ...key, keyId })),
      ).toBe(true)
    const { shares, handles } = await held(again, caller, key)
    expect([shares.length, handles.length]).toEqual([1, 2])
  })

  it('of two blobs of one key at once makes two handles of one share', async () => {
    const { world, caller, key, backup } = await withBackup()
    const other = await world.vault.exportBackup(caller, key.keyId)
    const fresh = await afterTotalLoss(world)
    await fresh.vault.authenticate(caller.apiKey)
    const made = await Promise.all(
      [backup, other, backup, other].map((one) => fresh.vault.importBackup(caller, one)),
    )
    expect(made[0]).toEqual(made[2])
    expect(made[1]).toEqual(made[3])
    expect(made[0]).not.toEqual(made[1])
    const { shares, handles } = await held(fresh, caller, key)
    expect([shares.length, handles.length]).toEqual([1, 2])
  })

  it('is proved by the first run with the other party, and not before', async () => {
    const { world, caller, key, backup } = await withBackup()
    const fresh = await afterTotalLoss(world)
    await fresh.vault.authenticate(caller.apiKey)
    const { keyId } = await fresh.vault.importBackup(caller, backup)
    const confirmedAt = async () => (await held(fresh, caller, key)).shares[0]!.confirmedAt
    expect(await confirmedAt()).toBeNull()
    await fresh.vault.exportBackup(caller, keyId)
    expect(await confirmedAt()).toBeNull()
    await signTogether(fresh, caller, { ...key, keyId })
    expect(await confirmedAt()).not.toBeNull()
  })

  it('that was written although nobody was told gives the same handle when it is tried again', async () => {
    const { world, caller, key, backup } = await withBackup()
    const fresh = await afterTotalLoss(world)
    await fresh.vault.authenticate(caller.apiKey)
    fresh.store.afterCommit = () => {
      throw new StorageUnavailable()
    }
    await expect(fresh.vault.importBackup(caller, backup)).rejects.toMatchObject({
      errType: 'storage_unavailable',
    })
    fresh.store.afterCommit = undefined
    const { keyId } = await fresh.vault.importBackup(caller, backup)
    const { shares, handles } = await held(fresh, caller, key)
    expect(shares).toHaveLength(1)
    expect(handles.map(({ handle }) => handle.keyId)).toEqual([keyId])
  })

  it('is refused alike for whatever is wrong with the blob', async () => {
    const { world, vault, caller, backup } = await withBackup()
    const stranger = await world.newCaller()
    const bytes = Buffer.from(backup.keyShare, 'base64')
    const flipped = [0, 5, 40, 100, bytes.length - 100, bytes.length - 1].map((at) => {
      const copy = Buffer.from(bytes)
      copy[at]! ^= 1
      return copy.toString('base64')
    })
    const texts = [
      ...flipped,
      '',
      'nonsense',
      'AAAA',
      ' ' + backup.keyShare,
      backup.keyShare.slice(0, -4),
      backup.keyShare + 'AAAA',
      bytes.toString('hex'),
    ]
    for (const keyShare of texts) {
      const bad: Backup = { exportType: 'encrypted', keyShare }
      await expect(vault.importBackup(caller, bad), keyShare).rejects.toMatchObject(invalid)
      await expect(vault.verifyBackup(caller, bad), keyShare).rejects.toMatchObject(invalid)
    }
    await expect(vault.importBackup(stranger, backup)).rejects.toMatchObject(invalid)
    const elsewhere = await openWorld()
    await expect(elsewhere.vault.importBackup(caller, backup)).rejects.toMatchObject(invalid)
    const renamed = await openWorld({ secrets: world.secrets, vaultName: 'staging' })
    await expect(renamed.vault.importBackup(caller, backup)).rejects.toMatchObject(invalid)
    expect(world.events.filter(({ event }) => event === 'backup_refused').length).toBeGreaterThan(
      20,
    )
    expect(await vault.listKeys(stranger)).toEqual([])
  })

  it('is refused when it contradicts the share that is here', async () => {
    const { world, vault, caller, key } = await withBackup()
    const seal = await sealFor(world)
    const subject = { userId: caller.userId, keyId: key.keyId, createdAt: world.time.now }
    // The client's own share of the same key: sound, of this user, and not this vault's.
    const keyShare = (await seal.seal(subject, encodeKeyShare(key.client.share!))).text
    const foreign: Backup = { exportType: 'encrypted', keyShare }
    await expect(vault.importBackup(caller, foreign)).rejects.toMatchObject(invalid)
    await expect(vault.verifyBackup(caller, foreign)).rejects.toMatchObject(invalid)
    await signTogether(world, caller, key)
  })
})

describe('deleting', () => {
  it('one of two handles leaves the share; the last one erases it for ever', async () => {
    const { world, vault, caller, key, backup } = await withBackup()
    const { keyId } = await vault.importBackup(caller, backup)
    await vault.deleteKeyShare(caller, key.keyId)
    expect(
      verifies(key.pubkey, 'hello', await signTogether(world, caller, { ...key, keyId })),
    ).toBe(true)
    await vault.deleteKeyShare(caller, keyId)
    expect((await held(world, caller, key)).shares).toEqual([])
    for (const refused of [
      () => vault.importBackup(caller, backup),
      () => vault.verifyBackup(caller, backup),
      () => afterwards(world, caller, backup),
    ])
      await expect(refused()).rejects.toMatchObject({ errType: 'share_tombstoned' })
  })

  it('can be made undone by an administrator who lifts the tombstone, and a backup', async () => {
    const { world, vault, caller, key, backup } = await withBackup()
    const { userId } = caller
    await vault.deleteKeyShare(caller, key.keyId)
    await expect(
      vault.deleteTombstone({ kind: 'share', userId, pubkey: `02${'11'.repeat(32)}` }),
    ).rejects.toMatchObject({ errType: 'tombstone_not_found' })
    await vault.deleteTombstone({ kind: 'share', userId, pubkey: key.pubkey })
    const { keyId } = await vault.importBackup(caller, backup)
    expect(
      verifies(key.pubkey, 'hello', await signTogether(world, caller, { ...key, keyId })),
    ).toBe(true)
  })

  /** Another blob of the same share. */
  async function afterwards(world: World, caller: Caller, backup: Backup) {
    const seal = await sealFor(world)
    const { header, record } = await seal.open(backup.keyShare, caller.userId)
    const subject = { userId: caller.userId, keyId: header.keyId, createdAt: world.time.now + 1 }
    const keyShare = (await seal.seal(subject, record)).text
    return world.vault.importBackup(caller, { exportType: 'encrypted', keyShare })
  }
})

describe('the mode of the server', () => {
  it('decides: what names the other one is refused, and nothing is tried', async () => {
    const { vault, caller, backup } = await withBackup()
    const raw = await withBackup({ mode: 'plaintext' })
    const refused = { errType: 'export_mode_refused' }
    await expect(
      vault.importBackup(caller, { ...backup, exportType: 'plaintext' }),
    ).rejects.toMatchObject(refused)
    await expect(vault.verifyBackup(caller, raw.backup)).rejects.toMatchObject(refused)
    await expect(raw.vault.importBackup(raw.caller, backup)).rejects.toMatchObject(refused)
    await expect(
      vault.importBackup(caller, { ...raw.backup, exportType: 'encrypted' }),
    ).rejects.toMatchObject(refused)
  })

  it('plaintext gives raw backups that come back after a loss, by hand', async () => {
    const { world, caller, key, backup } = await withBackup({ mode: 'plaintext' })
    expect(backup.exportType).toBe('plaintext')
    const { userId } = caller
    const fresh = await afterTotalLoss(world, { mode: 'plaintext' })
    const { apiKey } = await fresh.vault.createUser({ name: 'by hand', userId })
    const again = await fresh.vault.authenticate(apiKey)
    expect(await fresh.vault.verifyBackup(again, backup)).toMatchObject({ secretVersion: null })
    const { keyId } = await fresh.vault.importBackup(again, backup)
    expect(verifies(key.pubkey, 'hello', await signTogether(fresh, again, { ...key, keyId }))).toBe(
      true,
    )
    expect(await fresh.vault.createKey(again)).toMatchObject({ vaultIdentity: null })
    expect(await fresh.vault.getKey(again, keyId)).toMatchObject({ provenance: 'plaintext' })
  })

  it('plaintext does not give away a share that ever came in encrypted', async () => {
    const { world, caller, key, backup } = await withBackup()
    const generated = await makeKey(world, caller)
    const imported = await world.vault.importBackup(caller, backup)
    const raw = await afterRestart(world, { mode: 'plaintext' })
    for (const keyId of [key.keyId, imported.keyId])
      await expect(raw.vault.exportBackup(caller, keyId)).rejects.toMatchObject({
        errType: 'export_mode_refused',
      })
    const given = await raw.vault.exportBackup(caller, generated.keyId)
    expect(given.exportType).toBe('plaintext')
    expect(await raw.vault.getKey(caller, key.keyId)).toMatchObject({ provenance: 'encrypted' })
  })
})

describe('a thief of a blob', () => {
  it('cannot use it, not even as its owner, without the other share', async () => {
    const { world, caller, key, backup } = await withBackup()
    const own = await makeKey(world, caller)
    const fresh = await afterTotalLoss(world, { runDeadlineMs: 400 })
    await fresh.vault.authenticate(caller.apiKey)
    const { keyId } = await fresh.vault.importBackup(caller, backup)
    const [vaults] = await settleBoth(fresh, caller, { ...own, keyId })
    expect(vaults).toMatchObject({ reason: { errType: 'room_timeout' } })
    expect((await held(fresh, caller, key)).shares[0]!.confirmedAt).toBeNull()
    expect(fresh.events.filter(({ event }) => event === 'setup_retired')).toEqual([])
  })
})
