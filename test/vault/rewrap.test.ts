import { decodeKeyShare, equalBytes } from '@vertex/mpc'
import { afterEach, describe, expect, it } from 'vitest'
import { encodeScalar } from '../../mpc/src/math/scalar.js'
import { parseLine } from '../../src/audit/index.js'
import { StorageUnavailable } from '../../src/vault/ports.js'
import type { Backup, Caller } from '../../src/vault/index.js'
import { makeKey, signTogether, verifies } from './support/client.js'
import {
  afterRestart,
  afterTotalLoss,
  cleanUp,
  newSecrets,
  openWorld,
  sealFor,
  suite,
  type Secrets,
  type World,
  type WorldOptions,
} from './support/world.js'

afterEach(cleanUp)

const version = (name: string) => ({ ...newSecrets().backup[0]!, version: name })

/** A key with a verified backup under version 1, at a vault whose newest secret is version 2. */
async function rotated(options: WorldOptions = {}) {
  const secrets = newSecrets()
  const before = await openWorld({ secrets, ...options })
  const caller = await before.newCaller()
  const key = await makeKey(before, caller)
  const old = await before.vault.exportBackup(caller, key.keyId)
  await before.vault.verifyBackup(caller, old)
  const both: Secrets = { ...secrets, backup: [version('2'), ...secrets.backup] }
  const world = await afterRestart(before, { secrets: both, ...options })
  return { world, vault: world.vault, caller, key, old, both }
}

const recordOf = async (world: World, caller: Caller, { keyShare }: Backup) =>
  (await (await sealFor(world)).open(keyShare, caller.userId)).record

describe('a backup that is rewrapped', () => {
  it('has the same share under the newest secret, and never in the clear', async () => {
    const { world, vault, caller, key, old } = await rotated()
    world.time.now += 1000
    const made = await vault.rewrapBackup(caller, old)
    expect(made).toMatchObject({
      exportType: 'encrypted',
      keyId: key.keyId,
      pubkey: key.pubkey,
      epoch: 0,
      rewrapped: true,
      formerSecretVersion: '1',
      secretVersion: '2',
    })
    const record = await recordOf(world, caller, old)
    expect(equalBytes(await recordOf(world, caller, made), record)).toBe(true)
    const secret = Buffer.from(encodeScalar(decodeKeyShare(suite, record).secret.reveal()))
    expect(Buffer.from(record).includes(secret)).toBe(true)
    expect(Buffer.from(made.keyShare, 'base64').includes(secret)).toBe(false)
    expect(JSON.stringify(world.events)).not.toContain(made.keyShare.slice(0, 40))
  })

  it('brings the key back when the old secret and the server are gone', async () => {
    const { world, vault, caller, key, old, both } = await rotated()
    const made = await vault.rewrapBackup(caller, old)
    const newestOnly = { ...both, backup: both.backup.slice(0, 1) }
    const fresh = await afterTotalLoss(world, { secrets: newestOnly })
    await fresh.vault.createUser({ name: 'the same', userId: caller.userId })
    await expect(fresh.vault.importBackup(caller, old)).rejects.toMatchObject({
      errType: 'backup_invalid',
    })
    const { keyId } = await fresh.vault.importBackup(caller, made)
    const signature = await signTogether(fresh, caller, { ...key, keyId })
    expect(verifies(key.pubkey, 'hello', signature)).toBe(true)
  })

  it('counts in the coverage when it comes back, and not before: it may have been lost on the way', async () => {
    const { vault, caller, old } = await rotated()
    const versions = async () =>
      (await vault.backupCoverage(caller, { limit: 1 })).secrets.map((one) => one.version)
    const made = await vault.rewrapBackup(caller, old)
    expect(await versions()).toEqual(['1'])
    await vault.verifyBackup(caller, made)
    expect(await versions()).toEqual(['2'])
  })

  it('comes back as it is when it is under the newest secret', async () => {
    const { vault, caller, old } = await rotated()
    const made = await vault.rewrapBackup(caller, old)
    expect(await vault.rewrapBackup(caller, made)).toEqual({
      ...made,
      rewrapped: false,
      formerSecretVersion: '2',
    })
  })

  it('is under a version that was made a moment ago, which exports may not know yet', async () => {
    const secrets: { -readonly [Name in keyof Secrets]: Secrets[Name] } = newSecrets()
    secrets.change = true
    const world = await openWorld({ secrets })
    const caller = await world.newCaller()
    const { keyId } = await makeKey(world, caller)
    const old = await world.vault.exportBackup(caller, keyId)
    secrets.backup = [version('2'), ...secrets.backup]
    world.time.now += 10_000
    expect(await world.vault.rewrapBackup(caller, old)).toMatchObject({
      rewrapped: true,
      secretVersion: '2',
    })
  })

  it('need not be of a share that is here, and makes none', async () => {
    const { world, caller, old, both } = await rotated()
    const fresh = await afterTotalLoss(world, { secrets: both })
    await fresh.vault.authenticate(caller.apiKey)
    const made = await fresh.vault.rewrapBackup(caller, old)
    expect(made.rewrapped).toBe(true)
    expect(await fresh.vault.listKeys(caller)).toEqual([])
    await fresh.vault.importBackup(caller, made)
  })
})

describe('a rewrap', () => {
  it('is recorded before and after, and refused while it cannot be', async () => {
    const { world, vault, caller, old } = await rotated()
    const made = await vault.rewrapBackup(caller, old)
    const rows = await world.store.readAudit(0, 1000)
    const last = rows.slice(-2).map(({ line }) => parseLine(line)!.record)
    expect(last).toMatchObject([
      { action: 'rewrap', outcome: 'begun', user: caller.userId },
      { action: 'rewrap', outcome: 'done', of: last[0]!.seq },
    ])
    for (const { line } of rows)
      for (const hidden of [old.keyShare, made.keyShare]) expect(line).not.toContain(hidden)
    world.store.appendAudit = () => Promise.reject(new StorageUnavailable())
    await expect(vault.rewrapBackup(caller, old)).rejects.toMatchObject({
      errType: 'storage_unavailable',
    })
  })
})

describe('a rewrap is refused', () => {
  it('for whatever an import refuses', async () => {
    const { world, vault, caller, key, old } = await rotated()
    const stranger = await world.newCaller()
    const bytes = Buffer.from(old.keyShare, 'base64')
    bytes[bytes.length - 1]! ^= 1
    const damaged: Backup = { ...old, keyShare: bytes.toString('base64') }
    for (const [who, what] of [
      [caller, damaged],
      [stranger, old],
    ] as const)
      await expect(vault.rewrapBackup(who, what)).rejects.toMatchObject({
        errType: 'backup_invalid',
      })
    await expect(
      vault.rewrapBackup(caller, { ...old, exportType: 'plaintext' }),
    ).rejects.toMatchObject({ errType: 'export_mode_refused' })
    await vault.deleteKeyShare(caller, key.keyId)
    await expect(vault.rewrapBackup(caller, old)).rejects.toMatchObject({
      errType: 'share_tombstoned',
    })
  })

  it('in plaintext mode, where there is no secret to be under', async () => {
    const world = await openWorld({ mode: 'plaintext' })
    const caller = await world.newCaller()
    const key = await makeKey(world, caller)
    const backup = await world.vault.exportBackup(caller, key.keyId)
    await expect(world.vault.rewrapBackup(caller, backup)).rejects.toMatchObject({
      errType: 'export_mode_refused',
    })
  })

  it('when there are too many by one user, or of one key, exports included', async () => {
    const few = await rotated({ rates: { exports: 1 } })
    await few.vault.rewrapBackup(few.caller, few.old)
    await expect(few.vault.rewrapBackup(few.caller, few.old)).rejects.toMatchObject({
      errType: 'rate_limited',
    })
    const { vault, caller, key, old } = await rotated({ rates: { keyExports: 1 } })
    await vault.exportBackup(caller, key.keyId)
    await expect(vault.rewrapBackup(caller, old)).rejects.toMatchObject({
      errType: 'rate_limited',
    })
  })
})
