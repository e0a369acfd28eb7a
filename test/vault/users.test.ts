import { afterEach, describe, expect, it } from 'vitest'
import { cleanUp, openWorld } from './support/world.js'
import { makeKey } from './support/client.js'

afterEach(cleanUp)

const nobody = '00000000-0000-4000-8000-000000000000'

describe('users', () => {
  it('have unique names and ids', async () => {
    const { vault } = await openWorld()
    const { userId } = await vault.createUser({ name: 'alice' })
    await expect(vault.createUser({ name: 'alice' })).rejects.toMatchObject({
      errType: 'user_name_already_exists',
    })
    await expect(vault.createUser({ name: 'bob', userId })).rejects.toMatchObject({
      errType: 'unique_violation',
    })
    const upper = userId.toUpperCase()
    await expect(vault.createUser({ name: 'bob', userId: upper })).rejects.toMatchObject({
      errType: 'unique_violation',
    })
    await vault.createUser({ name: 'bob' })
  })

  it('can be taken over from elsewhere under their id', async () => {
    const { vault } = await openWorld()
    const { userId, apiKey } = await vault.createUser({ name: 'moved', userId: nobody })
    expect(userId).toBe(nobody)
    await expect(vault.authenticate(apiKey)).resolves.toMatchObject({ userId: nobody })
  })

  it('have names of up to 128 characters, and ids that are UUIDs', async () => {
    const { vault } = await openWorld()
    await vault.createUser({ name: 'Zoë 🦊 & Söhne' })
    await vault.createUser({ name: 'x'.repeat(128) })
    await expect(vault.createUser({ name: 'a', userId: 'me' })).rejects.toMatchObject({
      errType: 'bad_request_params',
    })
  })

  it('have as many API keys as they are given; unknown users have none', async () => {
    const { vault } = await openWorld()
    const { userId, apiKey } = await vault.createUser({ name: 'alice' })
    const second = await vault.generateApiKey(userId)
    expect(second.apiKey).not.toBe(apiKey)
    await expect(vault.generateApiKey(nobody)).rejects.toMatchObject({
      errType: 'user_id_not_exists',
    })
  })

  it('lose exactly the API key that is revoked', async () => {
    const { vault } = await openWorld()
    const alice = await vault.createUser({ name: 'alice' })
    const bob = await vault.createUser({ name: 'bob' })
    const revoke = (apiKey: string, userId: string) => vault.revokeApiKey({ apiKey, userId })
    const notFound = { errType: 'api_key_not_found' }
    await expect(revoke(alice.apiKey, bob.userId)).rejects.toMatchObject(notFound)
    await expect(revoke('nonsense', alice.userId)).rejects.toMatchObject(notFound)
    await expect(revoke(alice.apiKey, nobody)).rejects.toMatchObject({
      errType: 'user_id_not_exists',
    })
    await vault.authenticate(alice.apiKey)
    await revoke(alice.apiKey, alice.userId)
    await expect(revoke(alice.apiKey, alice.userId)).rejects.toMatchObject(notFound)
    await vault.authenticate(bob.apiKey)
  })

  it('cannot be deleted while they have a key share, and leave their id behind', async () => {
    const world = await openWorld()
    const { vault } = world
    const caller = await world.newCaller('alice')
    const { userId } = caller
    const { keyId } = await makeKey(world, caller)
    await expect(vault.deleteUser(userId)).rejects.toMatchObject({
      errType: 'user_has_associated_keys',
    })
    await vault.deleteKeyShare(caller, keyId)
    await vault.deleteUser(userId)
    await expect(vault.deleteUser(userId)).rejects.toMatchObject({ errType: 'user_id_not_exists' })
    await expect(vault.createUser({ name: 'alice again', userId })).rejects.toMatchObject({
      errType: 'unique_violation',
    })
    await vault.createUser({ name: 'alice' })
    await vault.deleteTombstone({ kind: 'user', userId })
    await vault.createUser({ name: 'alice again', userId })
    await expect(vault.deleteTombstone({ kind: 'user', userId })).rejects.toMatchObject({
      errType: 'tombstone_not_found',
    })
  })

  it('with a key that was only begun can be deleted', async () => {
    const world = await openWorld()
    const caller = await world.newCaller()
    await world.vault.createKey(caller)
    await world.vault.deleteUser(caller.userId)
  })

  it('that are deleted while a request of theirs is under way are not let in any more', async () => {
    const world = await openWorld()
    const caller = await world.newCaller()
    await world.vault.deleteUser(caller.userId)
    await expect(world.vault.createKey(caller)).rejects.toMatchObject({ errType: 'access_denied' })
  })
})
