import { afterEach, describe, expect, it } from 'vitest'
import { afterRestart, afterTotalLoss, cleanUp, openWorld, type World } from './support/world.js'

afterEach(cleanUp)

const denied = { errType: 'access_denied' }

const recoveries = (world: World) => world.events.filter(({ event }) => event === 'recovered')

describe('an API key', () => {
  it('names its user, through a restart as well', async () => {
    const world = await openWorld()
    const { apiKey, userId, apiKeyId } = await world.newCaller()
    await expect(world.vault.authenticate(apiKey)).resolves.toEqual({ userId, apiKeyId })
    const again = await afterRestart(world)
    await expect(again.vault.authenticate(apiKey)).resolves.toEqual({ userId, apiKeyId })
    expect(recoveries(again)).toEqual([])
  })

  it('is refused when it is none, has another secret, or comes from another vault', async () => {
    const world = await openWorld()
    const { apiKey } = await world.newCaller()
    const other = await openWorld()
    const foreign = await other.newCaller()
    const middle = Math.floor(apiKey.length / 2)
    const flipped = apiKey[middle] === 'A' ? 'B' : 'A'
    const wrong = apiKey.slice(0, middle) + flipped + apiKey.slice(middle + 1)
    for (const text of ['', 'nonsense', `Bearer ${apiKey}`, `${apiKey} `, wrong, foreign.apiKey])
      await expect(world.vault.authenticate(text), text).rejects.toMatchObject(denied)
  })

  it('stops working the moment it is revoked, and other keys of the user go on', async () => {
    const world = await openWorld()
    const { apiKey, userId } = await world.newCaller()
    const second = await world.vault.generateApiKey(userId)
    await world.vault.revokeApiKey({ apiKey, userId })
    await expect(world.vault.authenticate(apiKey)).rejects.toMatchObject(denied)
    await expect(world.vault.authenticate(second.apiKey)).resolves.toMatchObject({ userId })
    const again = await afterRestart(world)
    await expect(again.vault.authenticate(apiKey)).rejects.toMatchObject(denied)
  })

  it('goes with its user', async () => {
    const world = await openWorld()
    const { apiKey, userId } = await world.newCaller()
    await world.vault.deleteUser(userId)
    await expect(world.vault.authenticate(apiKey)).rejects.toMatchObject(denied)
  })

  it('is not judged while the database is away', async () => {
    const world = await openWorld()
    const { apiKey } = await world.newCaller()
    world.store.refuse = () => true
    world.time.now += 5000
    await expect(world.vault.authenticate(apiKey)).rejects.toMatchObject({
      errType: 'storage_unavailable',
    })
  })

  it('is looked up once in five seconds; what another server revokes counts after them', async () => {
    const world = await openWorld()
    const { apiKey, userId, apiKeyId } = await world.newCaller()
    let units = 0
    world.store.refuse = () => {
      units++
      return false
    }
    await world.store.run((uow) => uow.apiKeys.revoke(userId, apiKeyId, world.time.now))
    units = 0
    world.time.now += 4999
    await expect(world.vault.authenticate(apiKey)).resolves.toEqual({ userId, apiKeyId })
    expect(units).toBe(0)
    world.time.now += 1
    await expect(world.vault.authenticate(apiKey)).rejects.toMatchObject(denied)
  })

  it('that another server revokes while it is looked up is remembered no longer for a slow answer', async () => {
    const world = await openWorld()
    const { apiKey, userId, apiKeyId } = await world.newCaller()
    world.time.now += 5000
    const run = world.store.run.bind(world.store)
    world.store.run = async (work) => {
      const answer = await run(work)
      world.time.now += 4000
      return answer
    }
    await world.vault.authenticate(apiKey)
    world.store.run = run
    await run((uow) => uow.apiKeys.revoke(userId, apiKeyId, world.time.now))
    world.time.now += 1000
    await expect(world.vault.authenticate(apiKey)).rejects.toMatchObject(denied)
  })

  it('that was revoked while it was looked up is not remembered', async () => {
    const world = await openWorld()
    const { apiKey, userId } = await world.newCaller()
    world.time.now += 5000
    const lookUp = world.vault.authenticate(apiKey)
    const revoked = world.vault.revokeApiKey({ apiKey, userId })
    await Promise.allSettled([lookUp, revoked])
    await expect(world.vault.authenticate(apiKey)).rejects.toMatchObject(denied)
  })
})

describe('after a total loss', () => {
  it('a user comes back by an old API key, once, however many requests bring it', async () => {
    const world = await openWorld()
    const { apiKey, userId, apiKeyId } = await world.newCaller('alice')
    const fresh = await afterTotalLoss(world)
    const callers = await Promise.all(
      Array.from({ length: 20 }, () => fresh.vault.authenticate(apiKey)),
    )
    for (const caller of callers) expect(caller).toEqual({ userId, apiKeyId })
    expect(recoveries(fresh)).toEqual([
      { event: 'recovered', user_id: userId, api_key_id: apiKeyId },
    ])
    await expect(fresh.vault.createUser({ name: 'x', userId })).rejects.toMatchObject({
      errType: 'unique_violation',
    })
  })

  it('all keys of one user come back to the same user, also at the same time', async () => {
    const world = await openWorld()
    const { apiKey, userId } = await world.newCaller()
    const keys = [apiKey]
    for (let i = 0; i < 3; i++) keys.push((await world.vault.generateApiKey(userId)).apiKey)
    const fresh = await afterTotalLoss(world)
    const callers = await Promise.all(keys.map((key) => fresh.vault.authenticate(key)))
    expect(new Set(callers.map((caller) => caller.userId))).toEqual(new Set([userId]))
    expect(recoveries(fresh)).toHaveLength(4)
  })

  it('a key that claims to be issued after the birth of the database stays out', async () => {
    const world = await openWorld()
    const { apiKey } = await world.newCaller()
    const early = await afterTotalLoss(world, { now: world.time.now - 1 })
    await expect(early.vault.authenticate(apiKey)).rejects.toMatchObject(denied)
    await early.close()
    const sameTime = await afterTotalLoss(world, { now: world.time.now })
    await expect(sameTime.vault.authenticate(apiKey)).rejects.toMatchObject(denied)
  })

  it('keys of a vault with another secret or another name stay out', async () => {
    const world = await openWorld()
    const { apiKey } = await world.newCaller()
    const { time } = world
    const stranger = await openWorld({ now: time.now + 1000 })
    await expect(stranger.vault.authenticate(apiKey)).rejects.toMatchObject(denied)
    const renamed = await afterTotalLoss(world, { vaultName: 'staging' })
    await expect(renamed.vault.authenticate(apiKey)).rejects.toMatchObject(denied)
  })

  it('keys from before the time that the operator set stay out', async () => {
    const world = await openWorld()
    const old = await world.newCaller()
    world.time.now += 5000
    const young = await world.newCaller()
    const fresh = await afterTotalLoss(world, { apiKeysNotBefore: world.time.now })
    await expect(fresh.vault.authenticate(old.apiKey)).rejects.toMatchObject(denied)
    await expect(fresh.vault.authenticate(young.apiKey)).resolves.toMatchObject({
      userId: young.userId,
    })
  })

  it('keys from before that time stay out of a database that knows them, too', async () => {
    const world = await openWorld()
    const old = await world.newCaller()
    world.time.now += 5000
    const young = await world.newCaller()
    const again = await afterRestart(world, { apiKeysNotBefore: world.time.now })
    await expect(again.vault.authenticate(old.apiKey)).rejects.toMatchObject(denied)
    await expect(again.vault.authenticate(young.apiKey)).resolves.toMatchObject({
      userId: young.userId,
    })
    const renewed = await again.vault.generateApiKey(old.userId)
    await expect(again.vault.authenticate(renewed.apiKey)).resolves.toMatchObject({
      userId: old.userId,
    })
  })

  it('a key that was revoked before it came back never comes back', async () => {
    const world = await openWorld()
    const { apiKey, userId } = await world.newCaller()
    const second = await world.vault.generateApiKey(userId)
    const fresh = await afterTotalLoss(world)
    await fresh.vault.revokeApiKey({ apiKey, userId })
    await expect(fresh.vault.authenticate(apiKey)).rejects.toMatchObject(denied)
    await expect(fresh.vault.authenticate(second.apiKey)).resolves.toMatchObject({ userId })
  })

  it('a user that came back and was deleted stays deleted, by whichever key it asks', async () => {
    const world = await openWorld()
    const { apiKey, userId } = await world.newCaller()
    const second = await world.vault.generateApiKey(userId)
    const fresh = await afterTotalLoss(world)
    await fresh.vault.authenticate(apiKey)
    await fresh.vault.deleteUser(userId)
    for (const key of [apiKey, second.apiKey])
      await expect(fresh.vault.authenticate(key)).rejects.toMatchObject(denied)
    await fresh.vault.deleteTombstone({ kind: 'user', userId })
    await expect(fresh.vault.authenticate(apiKey)).rejects.toMatchObject(denied)
  })

  it('a user_id that the operator gave to somebody else is not given back', async () => {
    const world = await openWorld()
    const { apiKey, userId } = await world.newCaller()
    const fresh = await afterTotalLoss(world)
    const moved = await fresh.vault.createUser({ name: 'moved by the operator', userId })
    await expect(fresh.vault.authenticate(apiKey)).rejects.toMatchObject(denied)
    await expect(fresh.vault.authenticate(moved.apiKey)).resolves.toMatchObject({ userId })
  })

  it('a user whose name is taken is not given back', async () => {
    const world = await openWorld()
    const { apiKey, userId } = await world.newCaller()
    const fresh = await afterTotalLoss(world)
    await fresh.vault.createUser({ name: userId })
    await expect(fresh.vault.authenticate(apiKey)).rejects.toMatchObject(denied)
  })

  it('nobody comes back in plaintext mode when the storage key is lost too', async () => {
    const world = await openWorld({ mode: 'plaintext' })
    const { apiKey } = await world.newCaller()
    const { time } = world
    await world.close()
    const fresh = await openWorld({ mode: 'plaintext', now: time.now + 1000 })
    await expect(fresh.vault.authenticate(apiKey)).rejects.toMatchObject(denied)
  })

  it('nothing is half recovered when the database goes away in between', async () => {
    const world = await openWorld()
    const { apiKey, userId } = await world.newCaller()
    const fresh = await afterTotalLoss(world)
    let units = 0
    fresh.store.refuse = () => ++units > 1
    await expect(fresh.vault.authenticate(apiKey)).rejects.toMatchObject({
      errType: 'storage_unavailable',
    })
    fresh.store.refuse = undefined
    await expect(fresh.vault.deleteUser(userId)).rejects.toMatchObject({
      errType: 'user_id_not_exists',
    })
    await expect(fresh.vault.authenticate(apiKey)).resolves.toMatchObject({ userId })
  })
})
