import { ProtocolAbort } from '@vertex/mpc'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { limits, localEngine, type Caller, type KeygenRequest } from '../../src/vault/index.js'
import { both, Client, makeKey, signTogether, verifies, type SharedKey } from './support/client.js'
import { afterRestart, cleanUp, openWorld, withVerbs, suite, type World } from './support/world.js'

afterEach(cleanUp)

/** A key that is begun, and a keygen of it on both sides. */
async function begun(world: World, caller: Caller, client = new Client()) {
  const { keyId, keygenId } = await world.vault.createKey(caller)
  const request = async (): Promise<KeygenRequest> => ({
    keyId,
    roomUuid: (await world.vault.createRoom(caller, 2)).roomUuid,
    numParties: 2,
    threshold: 2,
    othersKeygenIds: [client.keygenId],
  })
  const run = async (now = world) => {
    const asked = await request()
    return Promise.allSettled([
      now.vault.keygen(caller, asked),
      client.keygen(now, asked.roomUuid, [keygenId, client.keygenId], 2),
    ])
  }
  return { keyId, keygenId, client, request, run }
}

describe('keygen', () => {
  it('makes a key that both sides know alike', async () => {
    const world = await openWorld()
    const caller = await world.newCaller()
    const { keyId, keygenId, client, run } = await begun(world, caller)
    expect(await world.vault.getKey(caller, keyId)).toEqual({
      keyId,
      keygenId,
      state: 'created',
      createdAt: new Date(world.time.now),
    })
    const [vaults] = await run()
    const info = await world.vault.getKey(caller, keyId)
    expect(vaults).toMatchObject({ value: { pubkey: info.pubkey, chainCode: info.chainCode } })
    expect(info).toMatchObject({
      keygenId,
      state: 'ready',
      parties: 2,
      threshold: 2,
      epoch: 0,
      provenance: 'generated',
    })
    expect(Buffer.from(client.share!.publicKey).toString('hex')).toBe(info.pubkey)
    expect(Buffer.from(client.share!.chainCode).toString('hex')).toBe(info.chainCode)
  })

  it('happens once for a key_id', async () => {
    const world = await openWorld()
    const caller = await world.newCaller()
    const { request, run } = await begun(world, caller)
    await run()
    await expect(world.vault.keygen(caller, await request())).rejects.toMatchObject({
      errType: 'already_performed_keygen',
    })
  })

  it('happens once also when it is asked for twice at a time', async () => {
    const world = await openWorld()
    const caller = await world.newCaller()
    const { keyId, run } = await begun(world, caller)
    const ends = await Promise.all([run(), run()])
    const outcomes = ends.map(([vaults]) => vaults)
    const won = outcomes.filter(({ status }) => status === 'fulfilled')
    expect(won).toHaveLength(1)
    for (const one of outcomes)
      if (one.status === 'rejected')
        expect(one.reason).toMatchObject({ errType: 'already_performed_keygen' })
    expect(await world.vault.listKeys(caller)).toMatchObject([{ keyId, state: 'ready' }])
  })

  it('is refused for an impossible quorum, and for keygen_ids that do not fit it', async () => {
    const world = await openWorld()
    const caller = await world.newCaller()
    const { keygenId, request } = await begun(world, caller)
    const good = await request()
    const other = new Client().keygenId
    const quorums = [
      { numParties: 2, threshold: 3 },
      { numParties: 2, threshold: 1 },
      { numParties: 1, threshold: 1 },
      { numParties: 33, threshold: 2 },
      { numParties: 2.5, threshold: 2 },
    ]
    for (const bad of quorums)
      await expect(
        world.vault.keygen(caller, { ...good, ...bad }),
        JSON.stringify(bad),
      ).rejects.toMatchObject({ errType: 'bad_n_and_t_params' })
    const lists = [
      [],
      [other, new Client().keygenId],
      [keygenId],
      ['00'],
      [`03${other.slice(2)}`],
      [`01${'00'.repeat(32)}`],
      [`02ec${'ff'.repeat(30)}7f`],
      [`${other.slice(0, -2)}ff`],
      [`${other}00`],
      ['zz'.repeat(33)],
    ]
    for (const othersKeygenIds of lists)
      await expect(
        world.vault.keygen(caller, { ...good, othersKeygenIds }),
        othersKeygenIds.join(),
      ).rejects.toMatchObject({ errType: 'bad_request_params' })
    const twice = { ...good, numParties: 3, othersKeygenIds: [other, other.toUpperCase()] }
    await expect(world.vault.keygen(caller, twice)).rejects.toMatchObject({
      errType: 'bad_request_params',
    })
  })

  it('is refused for a key_id that is not there, and for those of others alike', async () => {
    const world = await openWorld()
    const caller = await world.newCaller()
    const other = await world.newCaller()
    const { request } = await begun(world, caller)
    await expect(world.vault.keygen(other, await request())).rejects.toMatchObject({
      errType: 'key_id_not_exists',
    })
  })

  it('can be tried again when nobody came', async () => {
    const world = await openWorld({ runDeadlineMs: 150 })
    const caller = await world.newCaller()
    const { keyId, client, request } = await begun(world, caller)
    const me = await world.vault.exportId(caller, keyId)
    await expect(world.vault.keygen(caller, await request())).rejects.toMatchObject({
      errType: 'room_timeout',
      details: { missing: [{ keygen_id: client.keygenId }] },
    })
    const patient = await afterRestart(world)
    const { roomUuid } = await patient.vault.createRoom(caller, 2)
    await both(
      patient.vault.keygen(caller, {
        keyId,
        roomUuid,
        numParties: 2,
        threshold: 2,
        othersKeygenIds: [client.keygenId],
      }),
      client.keygen(patient, roomUuid, [me.keygenId, client.keygenId], 2),
    )
  })

  it('leaves nothing behind when the share cannot be kept, and can be tried again', async () => {
    const world = await openWorld()
    const caller = await world.newCaller()
    const { keyId, run } = await begun(world, caller)
    let refused = 0
    world.store.tamper = (uow) => ({
      ...uow,
      handles: withVerbs(uow.handles, {
        insert: () => {
          refused++
          return Promise.reject(new Error('disk full'))
        },
      }),
    })
    const [vaults, clients] = await run()
    expect(refused).toBe(1)
    expect(vaults.status).toBe('rejected')
    expect(clients.status).toBe('rejected')
    expect(await world.vault.getKey(caller, keyId)).toMatchObject({ state: 'created' })
    world.store.tamper = undefined
    const [again] = await run()
    expect(again.status).toBe('fulfilled')
  })

  it('keeps its share when a party lies in its last message, for the others may have finished', async () => {
    const honest = localEngine(suite)
    const world = await openWorld({
      engine: {
        ...honest,
        keygen: async (run) => {
          await honest.keygen(run)
          throw new ProtocolAbort('confirmation_invalid', 7)
        },
      },
    })
    const caller = await world.newCaller()
    const { keyId, run } = await begun(world, caller)
    const [vaults, others] = await run()
    expect(others.status).toBe('fulfilled')
    expect(vaults).toMatchObject({
      reason: { errType: 'protocol_abort', details: { code: 'confirmation_invalid' } },
    })
    expect(await world.vault.getKey(caller, keyId)).toMatchObject({
      pubkey: expect.stringMatching(/^0[23]/) as string,
    })
  })

  it('keeps a share that was kept, whatever happened afterwards; the first signature confirms it', async () => {
    const world = await openWorld()
    const caller = await world.newCaller()
    const { keyId, client, run } = await begun(world, caller)
    world.store.tamper = (uow) => ({
      ...uow,
      shares: withVerbs(uow.shares, {
        confirm: () => Promise.reject(new Error('the process dies here')),
      }),
    })
    const [vaults, clients] = await run()
    expect(vaults.status).toBe('rejected')
    expect(clients.status).toBe('fulfilled')
    const again = await afterRestart(world)
    const held = () => again.store.run((uow) => uow.handles.find(caller.userId, keyId))
    expect((await held())!.share.confirmedAt).toBeNull()
    const { pubkey } = await again.vault.getKey(caller, keyId)
    const key: SharedKey = { keyId, pubkey: pubkey!, client }
    expect(verifies(pubkey!, 'hello', await signTogether(again, caller, key))).toBe(true)
    expect((await held())!.share.confirmedAt).not.toBeNull()
  })

  it('takes the share back when the parties ended with different keys, and can be tried again', async () => {
    const honest = localEngine(suite)
    let mismatch = true
    const world = await openWorld({
      engine: {
        ...honest,
        keygen: (run) =>
          honest.keygen({
            ...run,
            keep: async (share) => {
              await run.keep(share)
              if (mismatch) throw new ProtocolAbort('confirmation_invalid', 6)
            },
          }),
      },
    })
    const caller = await world.newCaller()
    const { keyId, run } = await begun(world, caller)
    const [vaults] = await run()
    expect(vaults).toMatchObject({
      reason: { errType: 'protocol_abort', details: { code: 'confirmation_invalid' } },
    })
    expect(await world.vault.getKey(caller, keyId)).toMatchObject({ state: 'created' })
    mismatch = false
    const [again] = await run()
    expect(again.status).toBe('fulfilled')
  })
})

describe('keys', () => {
  it('are listed for their user alone, oldest first, and found by their key_id', async () => {
    const world = await openWorld()
    const alice = await world.newCaller()
    const bob = await world.newCaller()
    const first = await makeKey(world, alice)
    world.time.now += 1000
    const second = await world.vault.createKey(alice)
    const listed = await world.vault.listKeys(alice)
    expect(listed.map(({ keyId, state }) => [keyId, state])).toEqual([
      [first.keyId, 'ready'],
      [second.keyId, 'created'],
    ])
    expect(await world.vault.listKeys(bob)).toEqual([])
    await expect(world.vault.getKey(bob, first.keyId)).rejects.toMatchObject({
      errType: 'key_id_not_exists',
    })
    expect(await world.vault.getKey(alice, first.keyId.toUpperCase())).toMatchObject({
      keyId: first.keyId,
    })
    expect(JSON.stringify(await world.vault.getKey(alice, first.keyId))).not.toContain('secret')
  })

  it('tell their keygen_id before and after keygen', async () => {
    const world = await openWorld()
    const caller = await world.newCaller()
    const { keyId, keygenId, run } = await begun(world, caller)
    expect(await world.vault.exportId(caller, keyId)).toEqual({ keygenId })
    await run()
    expect(await world.vault.exportId(caller, keyId)).toEqual({ keygenId })
  })

  it('are gone when they are deleted, begun or ready', async () => {
    const world = await openWorld()
    const caller = await world.newCaller()
    const pending = await world.vault.createKey(caller)
    const ready = await makeKey(world, caller)
    for (const { keyId } of [pending, ready]) {
      await world.vault.deleteKeyShare(caller, keyId)
      for (const ask of [
        () => world.vault.getKey(caller, keyId),
        () => world.vault.deleteKeyShare(caller, keyId),
        () => world.vault.exportId(caller, keyId),
        () => world.vault.exportBackup(caller, keyId),
      ])
        await expect(ask()).rejects.toMatchObject({ errType: 'key_id_not_exists' })
    }
    expect(await world.vault.listKeys(caller)).toEqual([])
  })

  it('that are deleted while a run uses them end that run', async () => {
    const world = await openWorld()
    const caller = await world.newCaller()
    const { keyId } = await makeKey(world, caller)
    const { roomUuid } = await world.vault.createRoom(caller, 2)
    const running = expect(
      world.vault.sign(caller, { keyId, roomUuid, msg: '00', hashAlgo: 'sha256' }),
    ).rejects.toMatchObject({ errType: 'key_id_not_exists' })
    await new Promise((resolve) => setTimeout(resolve, 50))
    await world.vault.deleteKeyShare(caller, keyId)
    await running
  })
})

describe('a key that is deleted during its own keygen', () => {
  const gone = { reason: { errType: 'key_id_not_exists' } }

  it('ends it while it waits for the other party', async () => {
    const world = await openWorld()
    const caller = await world.newCaller()
    const { keyId, request } = await begun(world, caller)
    const running = Promise.allSettled([world.vault.keygen(caller, await request())])
    await new Promise((resolve) => setTimeout(resolve, 50))
    const before = Date.now()
    await world.vault.deleteKeyShare(caller, keyId)
    expect(await running).toMatchObject([gone])
    expect(Date.now() - before).toBeLessThan(5_000)
  })

  // Killed, or found out at the end: a deletion on another replica kills nothing here.
  it.each(['on this server', 'on another one'])(
    'ends it when it has a share (%s)',
    async (where) => {
      const honest = localEngine(suite)
      let remove: () => Promise<void> = () => Promise.resolve()
      const world = await openWorld({
        engine: {
          ...honest,
          keygen: (run) =>
            honest.keygen({
              ...run,
              keep: async (share) => {
                await run.keep(share)
                await remove()
              },
            }),
        },
      })
      const caller = await world.newCaller()
      const { keyId, client, run } = await begun(world, caller)
      remove = async () => {
        if (where === 'on this server') return world.vault.deleteKeyShare(caller, keyId)
        await world.store.run(async ({ handles, shares }) => {
          const { share } = (await handles.delete(caller.userId, keyId))!
          await shares.erase(caller.userId, share.shareId, world.time.now)
        })
      }
      const [vaults] = await run()
      expect(vaults).toMatchObject(gone)
      expect(await world.vault.listKeys(caller)).toEqual([])
      for (const { id } of client.setups.values())
        expect(await world.store.run((uow) => uow.setups.isAlive(id))).toBe(false)
    },
  )
})

describe('keys that wait for their keygen', () => {
  it('are so many at most for one user, and forgotten after a day', async () => {
    const world = await openWorld()
    const { vault, store, time } = world
    const caller = await world.newCaller()
    const { keyId } = await vault.createKey(caller)
    time.now += 1
    await store.run(async (uow) => {
      for (let i = 1; i < limits.pendingKeys; i++)
        await uow.pendingKeys.insert({
          keyId: `key ${i}`,
          userId: caller.userId,
          keygenId: new Uint8Array(33),
          createdAt: time.now,
          identitySecret: new Uint8Array(32),
        })
    })
    const refused = { errType: 'rate_limited' }
    await expect(vault.createKey(caller)).rejects.toMatchObject(refused)
    await vault.createKey(await world.newCaller())
    await vault.deleteKeyShare(caller, keyId)
    const another = await vault.createKey(caller)
    await expect(vault.createKey(caller)).rejects.toMatchObject(refused)
    time.now += limits.pendingKeyMs + 1
    const last = await vault.createKey(caller)
    expect(await vault.listKeys(caller)).toMatchObject([{ keyId: last.keyId }])
    await expect(vault.getKey(caller, another.keyId)).rejects.toMatchObject({
      errType: 'key_id_not_exists',
    })
  })
})

describe('a room', () => {
  it('takes 2 to 32 parties', async () => {
    const world = await openWorld()
    const { vault } = world
    const caller = await world.newCaller()
    for (const size of [2, 32])
      expect((await vault.createRoom(caller, size)).roomUuid).toMatch(
        /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
      )
    for (const size of [0, -1, 1.5, Number.NaN])
      await expect(vault.createRoom(caller, size)).rejects.toMatchObject({
        errType: 'bad_request_params',
      })
    for (const size of [1, 33])
      await expect(vault.createRoom(caller, size)).rejects.toMatchObject({
        errType: 'room_creation_problem',
      })
  })

  it('comes with others of its size when several are wanted, fewer when there are no more', async () => {
    const world = await openWorld()
    const { vault, rooms } = world
    const caller = await world.newCaller()
    const { roomUuids, expiresInMs } = await vault.createRooms(caller, 3, 64)
    expect(new Set(roomUuids).size).toBe(64)
    expect(expiresInMs).toBe(60_000)
    for (const count of [0, 65, 1.5])
      await expect(vault.createRooms(caller, 2, count)).rejects.toMatchObject({
        errType: 'bad_request_params',
      })
    await expect(vault.createRooms(caller, 33, 2)).rejects.toMatchObject({
      errType: 'room_creation_problem',
    })
    // Up to a number, so that clients of a user who hold rooms ahead leave some for others.
    for (let room = 64; room < limits.roomsAheadPerUser - 3; room++)
      await vault.createRoom(caller, 2)
    expect((await vault.createRooms(caller, 2, 8)).roomUuids).toHaveLength(3)
    for (let room: number = limits.roomsAheadPerUser; room < limits.roomsPerUser; room++)
      expect((await vault.createRooms(caller, 2, 8)).roomUuids).toHaveLength(1)
    await expect(vault.createRooms(caller, 2, 8)).rejects.toMatchObject({
      errType: 'rate_limited',
    })
    const create = rooms.create.bind(rooms)
    let left = 2
    vi.spyOn(rooms, 'create').mockImplementation((size) =>
      left-- > 0 ? create(size) : Promise.reject(new Error('too many rooms are open')),
    )
    const other = await world.newCaller()
    expect((await vault.createRooms(other, 2, 8)).roomUuids).toHaveLength(2)
    await expect(vault.createRooms(other, 2, 8)).rejects.toMatchObject({ errType: 'too_busy' })
  })

  it('is refused to one user who holds too many of them, until they are used or expired', async () => {
    const world = await openWorld()
    const { vault, rooms } = world
    const mallory = await world.newCaller()
    const key = await makeKey(world, mallory)
    await vault.createRoom(mallory, 3)
    for (let room = 1; room < limits.roomsPerUser; room++) await vault.createRoom(mallory, 2)
    const refused = { errType: 'rate_limited' }
    await expect(vault.createRoom(mallory, 2)).rejects.toMatchObject(refused)
    await vault.createRoom(await world.newCaller(), 2)
    // What was refused or could not be opened holds no place.
    world.time.now += 60_000
    const full = vi.spyOn(rooms, 'create').mockRejectedValue(new Error('too many rooms are open'))
    for (let room = 0; room < 3; room++)
      await expect(vault.createRoom(mallory, 2)).rejects.toMatchObject({ errType: 'too_busy' })
    full.mockRestore()
    for (let room = 1; room < limits.roomsPerUser; room++) await vault.createRoom(mallory, 2)
    for (let signature = 0; signature < 2; signature++)
      expect(verifies(key.pubkey, 'hello', await signTogether(world, mallory, key))).toBe(true)
    await vault.createRoom(mallory, 2)
    await expect(vault.createRoom(mallory, 2)).rejects.toMatchObject(refused)
  })
})
