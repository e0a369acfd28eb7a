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
    await expect(world.vault.authenticate(later.apiKey)).resolves.toEqual(claims)
  })
})
