import { afterEach, describe, expect, it } from 'vitest'
import { StartRefused } from '../../src/vault/index.js'
import { makeKey, signTogether, verifies } from './support/client.js'
import {
  afterRestart,
  cleanUp,
  newSecrets,
  openWorld,
  type Secrets,
  type World,
} from './support/world.js'

afterEach(cleanUp)

/** What is left of a server that was stopped. */
async function closedWorld(): Promise<World> {
  const world = await openWorld()
  await world.close()
  return world
}

const version2 = (secrets: Secrets): Secrets => ({
  ...secrets,
  backup: [{ ...newSecrets().backup[0]!, version: '2' }, ...secrets.backup],
})

/** A key and a backup of it. */
async function keptBackup(world: World) {
  const caller = await world.newCaller()
  const { keyId } = await makeKey(world, caller)
  const backup = await world.vault.exportBackup(caller, keyId)
  await world.vault.verifyBackup(caller, backup)
  return { caller, keyId, backup }
}

/** The version that the coverage calls the newest. */
const newestIn = async ({ vault }: World) => {
  const { secrets } = await vault.backupCoverage(undefined, { limit: 10 })
  return secrets.find(({ newest }) => newest)?.version
}

describe('a start', () => {
  it('is refused with another storage key, by the name of its setting', async () => {
    const { secrets, database } = await closedWorld()
    const other = { ...secrets, storageKey: newSecrets().storageKey }
    await expect(openWorld({ secrets: other, database })).rejects.toThrow(/VERTEX_STORAGE_KEY_FILE/)
    await openWorld({ secrets, database })
  })

  it('is refused with another backup secret, by the name of its setting', async () => {
    const { secrets, database } = await closedWorld()
    const other = { ...secrets, backup: newSecrets().backup }
    const start = openWorld({ secrets: other, database })
    await expect(start).rejects.toThrow(StartRefused)
    await expect(start).rejects.toThrow(/VERTEX_BACKUP_SECRET_FILE: .*\(backup, version 1\)/)
    await openWorld({ secrets, database })
  })

  it.each(['encrypted', 'plaintext'] as const)(
    'is refused under another name of the vault, by the name of its setting (%s backups)',
    async (mode) => {
      const world = await openWorld({ mode })
      const { secrets, database } = world
      await world.close()
      const start = openWorld({ secrets, database, mode, vaultName: 'production' })
      await expect(start).rejects.toThrow(StartRefused)
      await expect(start).rejects.toThrow(/VERTEX_VAULT_NAME: .*vault vertex, not production/)
      await openWorld({ secrets, database, mode })
    },
  )

  it('takes a newer version of the backup secret beside the old one, then alone, and never goes back', async () => {
    const { secrets, database } = await closedWorld()
    const rotated = version2(secrets)
    await (await openWorld({ secrets: rotated, database })).close()
    const newestOnly = { ...secrets, backup: rotated.backup.slice(0, 1) }
    await (await openWorld({ secrets: newestOnly, database })).close()
    await expect(openWorld({ secrets, database })).rejects.toThrow(StartRefused)
  })

  it('goes on under the version before, and says so, when the last one is disabled', async () => {
    const world = await openWorld()
    const { secrets, database } = world
    const before = await keptBackup(world)
    await world.close()
    const both = version2(secrets)
    const rotated = await openWorld({ secrets: both, database })
    const after = await rotated.vault.exportBackup(before.caller, before.keyId)
    await rotated.close()

    const back = await openWorld({ secrets: { ...secrets, disabled: ['2'] }, database })
    expect(back.events).toContainEqual({
      event: 'newest_secret_disabled',
      setting: 'VERTEX_BACKUP_SECRET_FILE',
      version: '2',
      newest: '1',
    })
    const { vault } = back
    expect(await vault.verifyBackup(before.caller, before.backup)).toMatchObject({
      secretVersion: '1',
    })
    expect(await newestIn(back)).toBe('1')
    await back.close()
    // What was gone back to is what the next start asks for.
    const gone = { ...secrets, backup: both.backup.slice(0, 1) }
    await expect(openWorld({ secrets: gone, database })).rejects.toThrow(/version 1\); put that/)

    const forth = await openWorld({ secrets: both, database })
    expect(await forth.vault.verifyBackup(before.caller, after)).toMatchObject({
      secretVersion: '2',
    })
    expect(await newestIn(forth)).toBe('2')
    expect(forth.events.map(({ event }) => event)).not.toContain('newest_secret_disabled')
  })

  it('goes on under a newer version when the last one is disabled and one before it is not', async () => {
    const { secrets, database } = await closedWorld()
    const second = version2(secrets)
    await (await openWorld({ secrets: second, database })).close()
    const third = { bytes: newSecrets().backup[0]!.bytes, version: '3' }
    const [, first] = second.backup
    const next = { ...secrets, backup: [third, first!], disabled: ['2'] }
    const world = await openWorld({ secrets: next, database })
    await keptBackup(world)
    expect(await newestIn(world)).toBe('3')
    await world.close()
    // The version that vouched for it may be disabled from then on.
    await openWorld({ secrets: { ...next, backup: [third], disabled: ['1', '2'] }, database })
  })

  it('is refused when every version that was used is disabled, whatever is newer', async () => {
    const { secrets, database } = await closedWorld()
    const newer = { bytes: newSecrets().backup[0]!.bytes, version: '2' }
    const rotated = { ...secrets, backup: [newer], disabled: ['1'] }
    await expect(openWorld({ secrets: rotated, database })).rejects.toThrow(
      /^VERTEX_BACKUP_SECRET_FILE: version 1 of backup, .* is disabled, .*; enable it, and disable it again/,
    )
    // As the message says.
    const both = { ...secrets, backup: [newer, ...secrets.backup] }
    await (await openWorld({ secrets: both, database })).close()
    await openWorld({ secrets: rotated, database })
  })

  it('is refused by a secret that only has an older version in common and does not know the last one', async () => {
    const { secrets, database } = await closedWorld()
    await (await openWorld({ secrets: version2(secrets), database })).close()
    const third = { bytes: newSecrets().backup[0]!.bytes, version: '3' }
    const other = { ...secrets, backup: [third, ...secrets.backup], disabled: ['4'] }
    await expect(openWorld({ secrets: other, database })).rejects.toThrow(
      /\(backup, version 2\); put that one back/,
    )
  })

  it('in plaintext mode asks for no backup secret', async () => {
    const { secrets, database } = await closedWorld()
    const other = { ...secrets, backup: newSecrets().backup }
    await openWorld({ secrets: other, database, mode: 'plaintext' })
  })
})

describe('a database that was put back from an older copy', () => {
  it('becomes another generation and forgets its OT setups; keys go on', async () => {
    const world = await openWorld()
    const caller = await world.newCaller()
    const key = await makeKey(world, caller)
    const before = (await world.vault.createKey(caller)).vaultIdentity!
    const [first] = [...key.client.setups.values()]
    world.time.now += 5000
    const { generation } = await world.store.run((uow) => uow.meta.restored(world.time.now))
    const again = await afterRestart(world)
    const after = (await again.vault.createKey(caller)).vaultIdentity!
    expect(after).toEqual({ ...before, generation })
    expect(after.generation).not.toBe(before.generation)
    expect(verifies(key.pubkey, 'hello', await signTogether(again, caller, key))).toBe(true)
    expect([...key.client.setups.values()][0]!.id).not.toEqual(first!.id)
  })

  it('lets an API key in that was issued after the copy was made', async () => {
    const world = await openWorld()
    const { userId } = await world.newCaller()
    world.time.now += 1000
    const later = await world.vault.generateApiKey(userId)
    // What the older copy does not have.
    const claims = await world.vault.authenticate(later.apiKey)
    await world.store.run(async (uow) => {
      await uow.apiKeys.revoke(userId, claims.apiKeyId, world.time.now)
      await uow.tombstones.lift({ kind: 'api_key', apiKeyId: claims.apiKeyId })
    })
    world.time.now += 5000 // so long it is not looked up again
    await expect(world.vault.authenticate(later.apiKey)).rejects.toMatchObject({
      errType: 'access_denied',
    })
    world.time.now += 1000
    await world.store.run((uow) => uow.meta.restored(world.time.now))
    const again = await afterRestart(world)
    await expect(again.vault.authenticate(later.apiKey)).resolves.toEqual(claims)
  })
})
