import { createHash } from 'node:crypto'
import { bytesToHex, digestOf, type RoomLink } from '@vertex/mpc'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { limits, localEngine, type Caller, type VaultError } from '../../src/vault/index.js'
import { StorageUnavailable } from '../../src/vault/ports.js'
import { sql } from '../store/engines.js'
import {
  behave,
  both,
  cheat,
  Client,
  makeKey,
  settleBoth,
  signTogether,
  verifies,
  type SharedKey,
} from './support/client.js'
import { afterRestart, cleanUp, openWorld, suite, withVerbs, type World } from './support/world.js'

afterEach(cleanUp)

const nobodys = '00000000-0000-4000-8000-000000000000'
const DAY = 24 * 60 * 60 * 1000

/** One world with a user and a key. */
async function withKey(options: Parameters<typeof openWorld>[0] = {}) {
  const world = await openWorld(options)
  const caller = await world.newCaller()
  const key = await makeKey(world, caller)
  return { world, vault: world.vault, caller, key }
}

const request = (keyId: string, roomUuid: string) => ({
  keyId,
  roomUuid,
  msg: '00',
  hashAlgo: 'sha256',
})

const events = (world: World, event: string) => world.events.filter((one) => one.event === event)

/** Counts how often a room is joined from here on. */
function spyOnJoins(world: World): () => number {
  const spy = vi.spyOn(world.rooms, 'join')
  return () => spy.mock.calls.length
}

/** A link that holds back what its party sends from the `from`-th message on, until it is let go. */
function holding(link: RoomLink, from: number) {
  const held: (() => void)[] = []
  let sent = 0
  let holdsBack = true
  let reached: () => void = () => undefined
  const stopped = new Promise<void>((resolve) => (reached = resolve))
  return {
    stopped,
    release() {
      holdsBack = false
      for (const send of held.splice(0)) {
        try {
          send()
        } catch {
          // The room has ended meanwhile.
        }
      }
    },
    link: {
      slot: link.slot,
      size: link.size,
      receive: () => link.receive(),
      leave: () => link.leave(),
      send(to: number, bytes: Uint8Array) {
        sent++
        if (!holdsBack || sent < from) {
          link.send(to, bytes)
          return
        }
        held.push(() => link.send(to, bytes))
        reached()
      },
    } satisfies RoomLink,
  }
}

/** All failed checks by this client but the last that locks it out; it can still sign then. */
async function failBefore(world: World, caller: Caller, key: SharedKey): Promise<void> {
  const { userId } = caller
  await world.store.run(async (uow) => {
    const { share } = (await uow.handles.find(userId, key.keyId))!
    for (let i = 1; i < limits.failures; i++)
      await uow.failures.add(share.shareId, key.client.share!.index, world.time.now)
  })
  await signTogether(world, caller, key)
}

describe('a signature', () => {
  it('verifies under the key for every hash and message', async () => {
    const { world, caller, key } = await withKey()
    for (const message of ['', 'hello', 'x'.repeat(1000)]) {
      const signature = await signTogether(world, caller, key, { message })
      expect(verifies(key.pubkey, message, signature)).toBe(true)
    }
    const twice = await signTogether(world, caller, key, { hashAlgo: 'sha256d' })
    const once = createHash('sha256').update('hello').digest()
    expect(verifies(key.pubkey, once, twice)).toBe(true)
    await signTogether(world, caller, key, { hashAlgo: 'keccak256' })
  })

  it('takes the digest as it is with hash_algo none, and any case of the name', async () => {
    const { world, vault, caller, key } = await withKey()
    const { roomUuid } = await vault.createRoom(caller, 2)
    const digest = digestOf(new TextEncoder().encode('hello'), 'sha256')
    const [signature] = await both(
      vault.sign(caller, {
        ...request(key.keyId, roomUuid),
        msg: bytesToHex(digest),
        hashAlgo: 'NoNe',
      }),
      key.client.sign(world, roomUuid, digest),
    )
    expect(verifies(key.pubkey, 'hello', signature)).toBe(true)
    expect(signature.r).toMatch(/^[0-9a-f]{64}$/)
    expect(signature.s).toMatch(/^[0-7][0-9a-f]{63}$/)
    expect([0, 1, 2, 3]).toContain(signature.v)
  })

  it('verifies under the child key of its path', async () => {
    const { world, vault, caller, key } = await withKey()
    const path = [0, 7, 2 ** 31 - 1]
    const signature = await signTogether(world, caller, key, { path })
    const child = await vault.derivePubkey(caller, { keyId: key.keyId, derivationPath: path })
    expect(child.pubkey).not.toBe(key.pubkey)
    expect(verifies(child.pubkey, 'hello', signature)).toBe(true)
    expect(verifies(key.pubkey, 'hello', signature)).toBe(false)
    const root = await vault.derivePubkey(caller, { keyId: key.keyId, derivationPath: [] })
    expect(root.pubkey).toBe(key.pubkey)
  })

  it('is made after a restart with the setup that was there', async () => {
    const { world, caller, key } = await withKey()
    const again = await afterRestart(world)
    const before = [...key.client.setups.values()].map(({ id }) => bytesToHex(id))
    expect(verifies(key.pubkey, 'hello', await signTogether(again, caller, key))).toBe(true)
    expect([...key.client.setups.values()].map(({ id }) => bytesToHex(id))).toEqual(before)
  })

  it('leaves the identity secret that it was made with overwritten, whether it succeeds or not', async () => {
    const secrets: Uint8Array[] = []
    const channel: typeof suite.channel = {
      ...suite.channel,
      secretKey: (secret) => {
        expect(secret.some((byte) => byte !== 0)).toBe(true)
        secrets.push(secret)
        return suite.channel.secretKey(secret)
      },
    }
    const { world, caller, key } = await withKey({ engine: localEngine({ ...suite, channel }) })
    secrets.length = 0
    await signTogether(world, caller, key)
    await settleBoth(world, caller, key, { path: [2 ** 31 - 1, 0] })
    cheat(key.client)
    await settleBoth(world, caller, key)
    expect(secrets).toHaveLength(3)
    for (const secret of secrets) expect(secret.every((byte) => byte === 0)).toBe(true)
  })

  it('is made again when the client has lost its setup', async () => {
    const { world, caller, key } = await withKey()
    key.client.setups.clear()
    expect(verifies(key.pubkey, 'hello', await signTogether(world, caller, key))).toBe(true)
    expect(key.client.setups.size).toBe(1)
  })

  it('is made with a new setup when the stored one was damaged on the disk', async () => {
    const { world, caller, key } = await withKey()
    await sql(world.database, "UPDATE ot_setups SET record = CAST('damaged' AS BLOB)")
    expect(verifies(key.pubkey, 'hello', await signTogether(world, caller, key))).toBe(true)
    expect(events(world, 'setup_unreadable')).toHaveLength(1)
  })

  it('waits for its turn when many are wanted of one key at once', async () => {
    const { world, caller, key } = await withKey()
    const all = Array.from({ length: 10 }, (_, i) =>
      signTogether(world, caller, key, { message: `message ${i}` }),
    )
    for (const [i, signature] of (await Promise.all(all)).entries())
      expect(verifies(key.pubkey, `message ${i}`, signature)).toBe(true)
  })
})

describe('signing is refused', () => {
  it('for a key_id that is not there, and for those of others alike', async () => {
    const { world, vault, key } = await withKey()
    const other = await world.newCaller()
    const { roomUuid } = await vault.createRoom(other, 2)
    const errors = []
    for (const keyId of [nobodys, key.keyId])
      errors.push(await vault.sign(other, request(keyId, roomUuid)).catch((e: unknown) => e))
    expect(errors[0]).toMatchObject({ errType: 'key_id_not_exists', details: {} })
    expect(errors[1]).toEqual(errors[0])
  })

  it('before keygen', async () => {
    const { world, vault, caller } = await withKey()
    const { keyId } = await vault.createKey(caller)
    const { roomUuid } = await vault.createRoom(caller, 2)
    await expect(vault.sign(caller, request(keyId, roomUuid))).rejects.toMatchObject({
      errType: 'key_operation_before_keygen',
    })
    await expect(vault.exportBackup(caller, keyId)).rejects.toMatchObject({
      errType: 'key_operation_before_keygen',
    })
    await expect(vault.derivePubkey(caller, { keyId, derivationPath: [] })).rejects.toMatchObject({
      errType: 'key_operation_before_keygen',
    })
    expect(events(world, 'run_aborted')).toEqual([])
  })

  it('for anything malformed, before anything happens', async () => {
    const { vault, caller, key } = await withKey()
    const { roomUuid } = await vault.createRoom(caller, 2)
    const good = request(key.keyId, roomUuid)
    const bad = [
      { ...good, keyId: 'a key' },
      { ...good, keyId: `${key.keyId}\0` },
      { ...good, roomUuid: 'a room' },
      { ...good, msg: '0' },
      { ...good, msg: 'zz' },
      { ...good, hashAlgo: 'md5' },
      { ...good, hashAlgo: 'none', msg: '00'.repeat(31) },
      { ...good, hashAlgo: 'none', msg: '00'.repeat(33) },
      { ...good, extraData: 'xyz' },
      { ...good, derivationPath: [2 ** 31] },
      { ...good, derivationPath: [-1] },
      { ...good, derivationPath: [0.5] },
      { ...good, derivationPath: Array<number>(256).fill(0) },
      { ...good, relayAddress: 'elsewhere.example:443' },
    ]
    for (const one of bad)
      await expect(vault.sign(caller, one), JSON.stringify(one)).rejects.toMatchObject({
        errType: 'bad_request_params',
      })
  })

  it('in a room that is unknown, used, or too small', async () => {
    const { world, vault, caller, key } = await withKey()
    await expect(vault.sign(caller, request(key.keyId, nobodys))).rejects.toMatchObject({
      errType: 'room_not_found',
    })
    const { roomUuid } = await vault.createRoom(caller, 2)
    const digest = digestOf(Uint8Array.of(0), 'sha256')
    await both(
      vault.sign(caller, request(key.keyId, roomUuid)),
      key.client.sign(world, roomUuid, digest),
    )
    await expect(vault.sign(caller, request(key.keyId, roomUuid))).rejects.toMatchObject({
      errType: 'room_used',
    })
    const large = await vault.createRoom(caller, 3)
    await expect(vault.sign(caller, request(key.keyId, large.roomUuid))).rejects.toMatchObject({
      errType: 'session_mismatch',
    })
  })

  it('when nobody comes, and says who is missing', async () => {
    const { world, caller, key } = await withKey()
    const { vault } = await afterRestart(world, { runDeadlineMs: 150 })
    const { roomUuid } = await vault.createRoom(caller, 2)
    const info = await vault.getKey(caller, key.keyId)
    await expect(vault.sign(caller, request(key.keyId, roomUuid))).rejects.toMatchObject({
      errType: 'room_timeout',
      details: { missing: [{ index: 3 - info.party!, keygen_id: key.client.keygenId }] },
    })
  })

  it('when the client means another message, and nobody is blamed', async () => {
    const { world, vault, caller, key } = await withKey()
    const { roomUuid } = await vault.createRoom(caller, 2)
    const [vaults] = await Promise.allSettled([
      vault.sign(caller, request(key.keyId, roomUuid)),
      key.client.sign(world, roomUuid, new Uint8Array(32).fill(9)),
    ])
    expect(vaults).toMatchObject({ reason: { errType: 'session_mismatch' } })
    expect(events(world, 'setup_retired')).toEqual([])
    await signTogether(world, caller, key)
  })

  it('to a stranger in the room, and the key is none the worse for it', async () => {
    const { world, caller, key } = await withKey()
    const hasty = await afterRestart(world, { runDeadlineMs: 300 })
    const stranger = new Client()
    const { roomUuid } = await hasty.vault.createRoom(caller, 2)
    const join = stranger.join(hasty, roomUuid).then((link) => {
      for (let i = 0; i < 5; i++) link.send(3 - link.slot, new Uint8Array(96).fill(i))
    })
    await expect(hasty.vault.sign(caller, request(key.keyId, roomUuid))).rejects.toMatchObject({
      errType: 'room_timeout',
    })
    await join
    expect(events(hasty, 'setup_retired')).toEqual([])
    await signTogether(await afterRestart(hasty), caller, key)
  })

  it('while the database is away, and works again when it is back', async () => {
    const { world, vault, caller, key } = await withKey()
    const { roomUuid } = await vault.createRoom(caller, 2)
    world.store.refuse = () => true
    await expect(vault.sign(caller, request(key.keyId, roomUuid))).rejects.toMatchObject({
      errType: 'storage_unavailable',
    })
    world.store.refuse = undefined
    await signTogether(world, caller, key)
  })
})

describe('a failed check', () => {
  it('retires the setup before anything is answered; the next signature makes another', async () => {
    const { world, caller, key } = await withKey()
    const [first] = [...key.client.setups.values()]
    cheat(key.client)
    const [vaults] = await settleBoth(world, caller, key)
    expect(vaults).toMatchObject({
      reason: { errType: 'protocol_abort', details: { reaction: 'retire_setup' } },
    })
    expect(await world.store.run((uow) => uow.setups.isAlive(first!.id))).toBe(false)
    expect(events(world, 'setup_retired')).toHaveLength(1)
    behave(key.client)
    expect(verifies(key.pubkey, 'hello', await signTogether(world, caller, key))).toBe(true)
    expect([...key.client.setups.values()][0]!.id).not.toEqual(first!.id)
  })

  it('is never offered a second time, not even by a client that keeps the dead setup', async () => {
    const { world, caller, key } = await withKey()
    const [peer, dead] = [...key.client.setups][0]!
    cheat(key.client)
    await settleBoth(world, caller, key)
    key.client.setups.set(peer, dead)
    key.client.retired.length = 0
    behave(key.client)
    await signTogether(world, caller, key)
    expect(key.client.setups.get(peer)!.id).not.toEqual(dead.id)
  })

  it('kills the concurrent runs on the setup', async () => {
    const { world, caller, key } = await withKey()
    let held: ReturnType<typeof holding> | undefined
    // Past the handshake, before the client's first flight.
    key.client.wrap = (link) => (held = holding(link, 2)).link
    const honest = settleBoth(world, caller, key, { message: 'honest' })
    await new Promise((resolve) => setImmediate(resolve))
    await held!.stopped
    key.client.wrap = (link) => link
    cheat(key.client)
    await settleBoth(world, caller, key, { message: 'cheat' })
    behave(key.client)
    held!.release()
    const [vaults] = await honest
    expect(vaults).toMatchObject({ reason: { errType: 'session_mismatch' } })
    await signTogether(world, caller, key)
  })

  it('kills a run that is still on its way into its room', async () => {
    const { world, caller, key } = await withKey()
    const { rooms } = world
    const join = rooms.join.bind(rooms)
    // As with the relay of another Vertex, which is a network away.
    let arrive: () => void = () => undefined
    const arrived = new Promise<void>((resolve) => (arrive = resolve))
    const onItsWay = new Promise<void>((resolve) => {
      Object.assign(rooms, {
        join: async (...to: Parameters<typeof join>) => {
          Object.assign(rooms, { join })
          resolve()
          await arrived
          return join(...to)
        },
      })
    })
    const { roomUuid } = await world.vault.createRoom(caller, 2)
    const slow = Promise.allSettled([world.vault.sign(caller, request(key.keyId, roomUuid))])
    await onItsWay
    const [dead] = [...key.client.setups.entries()]
    cheat(key.client)
    const [cheated] = await settleBoth(world, caller, key)
    expect(cheated).toMatchObject({ reason: { errType: 'protocol_abort' } })
    behave(key.client)
    key.client.setups.set(...dead!)
    key.client.retired.length = 0
    const same = digestOf(new Uint8Array(1), 'sha256')
    const client = Promise.allSettled([key.client.sign(world, roomUuid, same)])
    arrive()
    expect(await slow).toMatchObject([{ reason: { errType: 'session_mismatch' } }])
    await client
    expect(events(world, 'setup_retired')).toHaveLength(1)
    await signTogether(world, caller, key)
  })

  it('among many honest runs at once ends them or lets them finish, and none uses the setup again', async () => {
    const { world, caller, key } = await withKey()
    const [dead] = [...key.client.setups.values()]
    const cheater = Object.assign(new Client(), key.client, { setups: new Map(key.client.setups) })
    cheat(cheater)
    const honest = Array.from({ length: 5 }, (_, i) =>
      settleBoth(world, caller, key, { message: `message ${i}` }),
    )
    const [cheated] = await settleBoth(world, caller, { ...key, client: cheater })
    expect(cheated).toMatchObject({ reason: { errType: 'protocol_abort' } })
    for (const [i, [vaults]] of (await Promise.all(honest)).entries()) {
      if (vaults.status === 'fulfilled')
        expect(verifies(key.pubkey, `message ${i}`, vaults.value)).toBe(true)
      else
        expect(['session_mismatch', 'room_problem']).toContain(
          (vaults.reason as VaultError).errType,
        )
    }
    expect(await world.store.run((uow) => uow.setups.isAlive(dead!.id))).toBe(false)
    expect(verifies(key.pubkey, 'hello', await signTogether(world, caller, key))).toBe(true)
  })

  it('locks the key after five within a day, through restarts, until they are older', async () => {
    const { world, caller, key } = await withKey()
    await failBefore(world, caller, key)
    cheat(key.client)
    const [vaults] = await settleBoth(world, caller, key)
    expect(vaults).toMatchObject({ reason: { errType: 'protocol_abort' } })
    behave(key.client)
    const isLocked = async (now: World) => {
      const { roomUuid } = await now.vault.createRoom(caller, 2)
      await expect(now.vault.sign(caller, request(key.keyId, roomUuid))).rejects.toMatchObject({
        errType: 'key_locked',
      })
    }
    await isLocked(world)
    const again = await afterRestart(world)
    await isLocked(again)
    const { keyId } = await again.vault.importBackup(
      caller,
      await again.vault.exportBackup(caller, key.keyId),
    )
    await isLocked(again)
    again.time.now += DAY
    expect(
      verifies(key.pubkey, 'hello', await signTogether(again, caller, { ...key, keyId })),
    ).toBe(true)
  })

  it('is retired as soon as that can be written, without a further run here', async () => {
    const { world, caller, key } = await withKey()
    const [first] = [...key.client.setups.values()]
    world.store.tamper = (uow) => ({
      ...uow,
      setups: withVerbs(uow.setups, {
        retire: () => Promise.reject(new StorageUnavailable()),
      }),
    })
    cheat(key.client)
    await settleBoth(world, caller, key)
    world.store.tamper = undefined
    // A run at another replica would ask the database only.
    await vi.waitFor(
      async () => expect(await world.store.run((uow) => uow.setups.isAlive(first!.id))).toBe(false),
      { timeout: 30_000 },
    )
    expect(events(world, 'setup_retired')).toHaveLength(1)
  })

  it('is answered 503 only, as long as its retirement cannot be written', async () => {
    const { world, vault, caller, key } = await withKey()
    const [first] = [...key.client.setups.values()]
    world.store.tamper = (uow) => ({
      ...uow,
      setups: withVerbs(uow.setups, {
        retire: () => Promise.reject(new StorageUnavailable()),
      }),
    })
    cheat(key.client)
    const [vaults] = await settleBoth(world, caller, key)
    expect(vaults).toMatchObject({ reason: { errType: 'storage_unavailable', details: {} } })
    expect(await world.store.run((uow) => uow.setups.isAlive(first!.id))).toBe(true)
    behave(key.client)
    const { roomUuid } = await vault.createRoom(caller, 2)
    await expect(vault.sign(caller, request(key.keyId, roomUuid))).rejects.toMatchObject({
      errType: 'storage_unavailable',
    })
    world.store.tamper = undefined
    key.client.setups.clear()
    await Promise.all([1, 2, 3].map(() => signTogether(world, caller, key)))
    expect(await world.store.run((uow) => uow.setups.isAlive(first!.id))).toBe(false)
    expect(events(world, 'setup_retired')).toHaveLength(1)
    const counted = await world.store.run(async (uow) => {
      const { share } = (await uow.handles.find(caller.userId, key.keyId))!
      return uow.failures.countSince(share.shareId, first!.me, 0)
    })
    expect(counted).toBe(1)
  })
})

describe('a key with three parties, two of whom sign', () => {
  /** The vault and two clients. */
  async function threeParties() {
    const world = await openWorld()
    const caller = await world.newCaller()
    const clients = [new Client(), new Client()] as const
    const { keyId, keygenId } = await world.vault.createKey(caller)
    const { roomUuid } = await world.vault.createRoom(caller, 3)
    const ids = [keygenId, clients[0].keygenId, clients[1].keygenId]
    const [made] = await Promise.all([
      world.vault.keygen(caller, {
        keyId,
        roomUuid,
        numParties: 3,
        threshold: 2,
        othersKeygenIds: clients.map((client) => client.keygenId),
      }),
      ...clients.map((client) => client.keygen(world, roomUuid, ids, 2)),
    ])
    const keys = clients.map((client): SharedKey => ({ keyId, pubkey: made.pubkey, client }))
    return { world, caller, keys: keys as [SharedKey, SharedKey] }
  }

  it('signs with either of the others, and with both', async () => {
    const { world, caller, keys } = await threeParties()
    for (const key of keys)
      expect(verifies(key.pubkey, 'hello', await signTogether(world, caller, key))).toBe(true)
    const { roomUuid } = await world.vault.createRoom(caller, 3)
    const digest = digestOf(Uint8Array.of(0), 'sha256')
    const [signature] = await Promise.all([
      world.vault.sign(caller, request(keys[0].keyId, roomUuid)),
      ...keys.map(({ client }) => client.sign(world, roomUuid, digest)),
    ])
    expect(verifies(keys[0].pubkey, '\0', signature)).toBe(true)
  })

  it('locks out the party that cheats and goes on with the other', async () => {
    const { world, caller, keys } = await threeParties()
    const [bad, good] = keys
    await failBefore(world, caller, bad)
    cheat(bad.client)
    await settleBoth(world, caller, bad)
    behave(bad.client)
    const [vaults] = await settleBoth(world, caller, bad)
    expect(vaults).toMatchObject({ reason: { errType: 'key_locked' } })
    expect(verifies(good.pubkey, 'hello', await signTogether(world, caller, good))).toBe(true)
  })
})

describe('a batch', () => {
  it('answers every request in its place, failed ones as well', async () => {
    const { world, vault, caller, key } = await withKey()
    const rooms = await Promise.all(Array.from({ length: 6 }, () => vault.createRoom(caller, 2)))
    const digest = digestOf(Uint8Array.of(0), 'sha256')
    const requests = rooms.map(({ roomUuid }) => request(key.keyId, roomUuid))
    requests[1] = { ...requests[1]!, keyId: nobodys }
    requests[4] = { ...requests[4]!, hashAlgo: 'md5' }
    const [entries] = await Promise.all([
      vault.batchSign(caller, requests),
      ...[0, 2, 3, 5].map((i) => key.client.sign(world, rooms[i]!.roomUuid, digest)),
    ])
    expect(entries).toHaveLength(6)
    for (const i of [0, 2, 3, 5])
      expect(verifies(key.pubkey, '\0', entries[i]!.signature!)).toBe(true)
    expect(entries[1]).toMatchObject({ error: { errType: 'key_id_not_exists' } })
    expect(entries[4]).toMatchObject({ error: { errType: 'bad_request_params' } })
  })

  it('signs all that name one room in one run, and answers each in its place', async () => {
    const { world, vault, caller, key } = await withKey()
    const [shared, own] = await Promise.all([
      vault.createRoom(caller, 2),
      vault.createRoom(caller, 2),
    ])
    const messages = ['00', '01', '02', '03']
    const of = (room: { roomUuid: string }, i: number) => ({
      ...request(key.keyId, room.roomUuid),
      msg: messages[i]!,
      ...(i === 2 && { derivationPath: [4] }),
    })
    const what = (i: number) => ({
      digest: digestOf(Uint8Array.of(i), 'sha256'),
      path: i === 2 ? [4] : [],
    })
    const upper = { roomUuid: shared.roomUuid.toUpperCase() }
    const joined = spyOnJoins(world)
    const [entries, signatures] = await Promise.all([
      vault.batchSign(caller, [of(shared, 0), of(own, 1), of(upper, 2), of(shared, 3)]),
      key.client.signBatch(world, shared.roomUuid, [what(0), what(2), what(3)]),
      key.client.sign(world, own.roomUuid, what(1).digest),
    ])
    for (const i of [0, 1, 3])
      expect(verifies(key.pubkey, Uint8Array.of(i), entries[i]!.signature!)).toBe(true)
    const { pubkey } = await vault.derivePubkey(caller, { keyId: key.keyId, derivationPath: [4] })
    expect(verifies(pubkey, Uint8Array.of(2), entries[2]!.signature!)).toBe(true)
    expect([0, 2, 3].map((i) => entries[i]!.signature!.r)).toEqual(
      signatures.map(({ r }) => bytesToHex(r)),
    )
    // Each side joined each room once.
    expect(joined()).toBe(4)
  })

  it('gives what is wrong with one request to all of its room, and to no other', async () => {
    const { world, vault, caller, key } = await withKey()
    const rooms = await Promise.all(Array.from({ length: 5 }, () => vault.createRoom(caller, 2)))
    const other = await makeKey(world, caller)
    const of = (room: number) => request(key.keyId, rooms[room]!.roomUuid)
    const [entries] = await Promise.all([
      vault.batchSign(caller, [
        of(0),
        { ...of(1), keyId: other.keyId },
        of(1),
        of(2),
        { ...of(2), hashAlgo: 'none' },
        { ...of(3), keyId: nobodys },
        { ...of(3), keyId: nobodys },
        of(4),
        { ...of(4), relayAddress: 'relay.example:443' },
      ]),
      key.client.sign(world, rooms[0]!.roomUuid, digestOf(Uint8Array.of(0), 'sha256')),
    ])
    expect(verifies(key.pubkey, '\0', entries[0]!.signature!)).toBe(true)
    expect(entries.slice(1).map(({ error }) => error?.errType)).toEqual([
      'bad_request_params',
      'bad_request_params',
      'bad_request_params',
      'bad_request_params',
      'key_id_not_exists',
      'key_id_not_exists',
      'bad_request_params',
      'bad_request_params',
    ])
    expect(entries[1]!.error!.message).toContain('one key_id')
    expect(entries[8]!.error!.message).toContain('one relay_address')
  })

  it('ends without blame when the other party means another batch', async () => {
    const { world, vault, caller, key } = await withKey()
    const { roomUuid } = await vault.createRoom(caller, 2)
    const digests = [0, 1].map((i) => ({
      digest: digestOf(Uint8Array.of(i), 'sha256'),
      path: [],
    }))
    const asked = [0, 1].map((i) => ({ ...request(key.keyId, roomUuid), msg: `0${i}` }))
    const [entries] = await Promise.all([
      vault.batchSign(caller, asked),
      key.client.signBatch(world, roomUuid, [...digests].reverse()).catch(() => undefined),
    ])
    for (const { error } of entries)
      expect(error).toMatchObject({ errType: 'session_mismatch', details: { field: 'batch' } })
    expect(events(world, 'setup_retired')).toEqual([])
  })

  it('counts one failed check, retires the setup once, and answers nothing of the batch', async () => {
    const { world, vault, caller, key } = await withKey()
    cheat(key.client)
    const { roomUuid } = await vault.createRoom(caller, 2)
    const batch = [0, 1, 2].map((i) => ({
      digest: digestOf(Uint8Array.of(i), 'sha256'),
      path: [],
    }))
    const asked = [0, 1, 2].map((i) => ({ ...request(key.keyId, roomUuid), msg: `0${i}` }))
    const [entries] = await Promise.all([
      vault.batchSign(caller, asked),
      key.client.signBatch(world, roomUuid, batch).catch(() => undefined),
    ])
    expect(entries.map(({ signature }) => signature)).toEqual([undefined, undefined, undefined])
    for (const { error } of entries)
      expect(error).toMatchObject({
        errType: 'protocol_abort',
        details: { code: 'ot_check_failed', reaction: 'retire_setup' },
      })
    expect(events(world, 'setup_retired')).toHaveLength(1)
    expect(events(world, 'run_aborted')).toHaveLength(1)
    // Four more failures lock a key; those of one batch were one.
    behave(key.client)
    expect(verifies(key.pubkey, 'hello', await signTogether(world, caller, key))).toBe(true)
  })

  it('has 1 to 32 requests', async () => {
    const { vault, caller, key } = await withKey()
    await expect(vault.batchSign(caller, [])).rejects.toMatchObject({
      errType: 'bad_request_params',
    })
    const many = Array.from({ length: 33 }, () => request(key.keyId, nobodys))
    await expect(vault.batchSign(caller, many)).rejects.toMatchObject({
      errType: 'batch_too_large',
    })
  })
})

describe('while the server stops', () => {
  it('the run under way finishes and no other begins', async () => {
    const { world, vault, caller, key } = await withKey()
    const { roomUuid } = await vault.createRoom(caller, 2)
    const digest = digestOf(Uint8Array.of(0), 'sha256')
    const running = vault.sign(caller, request(key.keyId, roomUuid))
    await new Promise((resolve) => setTimeout(resolve, 50))
    const closed = vault.close()
    const other = await vault.createRoom(caller, 2)
    await expect(vault.sign(caller, request(key.keyId, other.roomUuid))).rejects.toMatchObject({
      errType: 'too_busy',
    })
    const [signature] = await both(running, key.client.sign(world, roomUuid, digest))
    expect(verifies(key.pubkey, '\0', signature)).toBe(true)
    await closed
  })
})
