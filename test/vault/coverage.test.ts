import { afterEach, describe, expect, it } from 'vitest'
import { StorageUnavailable } from '../../src/vault/ports.js'
import { makeKey } from './support/client.js'
import {
  afterRestart,
  afterTotalLoss,
  cleanUp,
  newSecrets,
  openWorld,
  withVerbs,
  type WorldOptions,
} from './support/world.js'

afterEach(cleanUp)

const request = { limit: 1000 }

async function withKey(options: WorldOptions = {}) {
  const world = await openWorld(options)
  const caller = await world.newCaller()
  const { keyId, pubkey } = await makeKey(world, caller)
  return { world, vault: world.vault, caller, keyId, pubkey }
}

describe('the coverage of backups', () => {
  it('follows a key from no backup over its export to a verified one', async () => {
    const { world, vault, caller, keyId, pubkey } = await withKey()
    const one = async () => (await vault.backupCoverage(caller, request)).keys[0]
    expect(await one()).toEqual({
      userId: caller.userId,
      keyId,
      pubkey,
      party: expect.any(Number) as number,
      epoch: 0,
      state: 'none',
      exportedAt: null,
      verifiedAt: null,
      drilledAt: null,
      secret: null,
    })
    const exportedAt = new Date(world.time.now)
    const backup = await vault.exportBackup(caller, keyId)
    world.time.now += 5_000
    expect(await one()).toMatchObject({
      state: 'exported',
      exportedAt,
      verifiedAt: null,
      secret: { name: 'backup', version: '1' },
    })
    await vault.verifyBackup(caller, backup)
    expect(await one()).toMatchObject({
      state: 'verified',
      exportedAt,
      verifiedAt: new Date(world.time.now),
    })
    expect((await vault.backupCoverage(caller, request)).counts).toEqual({
      none: 0,
      exported: 0,
      verified: 1,
      drilled: 0,
    })
  })

  it('does not count a backup that was refused', async () => {
    const { vault, caller, keyId } = await withKey()
    const { exportType, keyShare } = await vault.exportBackup(caller, keyId)
    const wrong = { exportType, keyShare: keyShare.slice(0, -8) + 'AAAAAAA=' }
    await expect(vault.verifyBackup(caller, wrong)).rejects.toMatchObject({
      errType: 'backup_invalid',
    })
    const { keys } = await vault.backupCoverage(caller, request)
    expect(keys[0]?.state).toBe('exported')
  })

  it('hands no backup out that it could not note', async () => {
    const { world, vault, caller, keyId } = await withKey()
    world.store.tamper = (uow) => ({
      ...uow,
      backups: withVerbs(uow.backups, {
        exported: () => Promise.reject(new StorageUnavailable()),
      }),
    })
    await expect(vault.exportBackup(caller, keyId)).rejects.toMatchObject({
      errType: 'storage_unavailable',
    })
    world.store.tamper = undefined
    expect((await vault.backupCoverage(caller, request)).keys[0]?.state).toBe('none')
  })

  it('is known again after a total loss, from the backup that brought the key back', async () => {
    const { world, vault, caller, keyId } = await withKey()
    const exportedAt = new Date(world.time.now)
    const backup = await vault.exportBackup(caller, keyId)
    const fresh = await afterTotalLoss(world)
    await fresh.vault.authenticate(caller.apiKey)
    // Of a share that is not here nothing is noted.
    await fresh.vault.verifyBackup(caller, backup)
    expect((await fresh.vault.backupCoverage(caller, request)).keys).toEqual([])
    const imported = await fresh.vault.importBackup(caller, backup)
    const verified = { state: 'verified', exportedAt, verifiedAt: new Date(fresh.time.now) }
    const coverage = () => fresh.vault.backupCoverage(caller, request)
    expect((await coverage()).keys).toMatchObject([{ keyId: imported.keyId, ...verified }])
    fresh.time.now += 9_000
    await fresh.vault.importBackup(caller, backup)
    expect((await coverage()).keys).toMatchObject([
      { keyId: imported.keyId, verifiedAt: new Date(fresh.time.now) },
    ])
  })

  it('counts backups by their secret, so that a rotation can be followed to its end', async () => {
    const secrets = newSecrets()
    const { world, vault, caller, keyId } = await withKey({ secrets })
    await makeKey(world, caller)
    const old = await vault.exportBackup(caller, keyId)
    await vault.verifyBackup(caller, old)
    const backup = [{ ...newSecrets().backup[0]!, version: '2' }, ...secrets.backup]
    const rotated = await afterRestart(world, { secrets: { ...secrets, backup } })
    const secretsOf = async () =>
      (await rotated.vault.backupCoverage(caller, request)).secrets.map(
        ({ version, keys, newest }) => ({ version, keys, newest }),
      )
    expect(await secretsOf()).toEqual([{ version: '1', keys: 1, newest: false }])
    await rotated.vault.verifyBackup(caller, await rotated.vault.exportBackup(caller, keyId))
    expect(await secretsOf()).toEqual([{ version: '2', keys: 1, newest: true }])
    expect((await rotated.vault.backupCoverage(caller, request)).counts).toMatchObject({
      none: 1,
      verified: 1,
    })
  })

  it('is everyone’s for the operator, in pages', async () => {
    const { world, vault, caller, keyId } = await withKey()
    const other = await world.newCaller()
    const keyIds = [keyId, (await makeKey(world, other)).keyId].sort()
    const first = await vault.backupCoverage(undefined, { limit: 1 })
    expect(first.keys.map((key) => key.keyId)).toEqual([keyIds[0]])
    expect(first).toMatchObject({ next: keyIds[0], counts: { none: 2 } })
    const second = await vault.backupCoverage(undefined, { limit: 1, after: first.next! })
    expect(second.keys.map((key) => key.keyId)).toEqual([keyIds[1]])
    expect(second).toMatchObject({ next: null, counts: { none: 2 } })
    const mine = await vault.backupCoverage(caller, request)
    expect(mine.keys.map((key) => key.keyId)).toEqual([keyId])
    expect(mine).toMatchObject({ next: null, counts: { none: 1 } })
  })

  it('says the same in plaintext mode, without a secret', async () => {
    const { vault, caller, keyId } = await withKey({ mode: 'plaintext' })
    await vault.verifyBackup(caller, await vault.exportBackup(caller, keyId))
    const { keys, secrets } = await vault.backupCoverage(caller, request)
    expect(keys).toMatchObject([{ state: 'verified', secret: null }])
    expect(secrets).toEqual([])
  })
})
