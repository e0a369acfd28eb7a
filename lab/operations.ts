import { join } from 'node:path'
import { decodePairSetup, encodePairSetup } from '@vertex/mpc'
import { KeyLockedError, KeyNotFoundError, VertexError, type EcdsaKey } from '@vertex/sdk'
import { ratesRaised } from '../bench/vertex.js'
import { createUser } from '../demo/admin.js'
import { freePort, startServer } from '../demo/server.js'
import { Lost } from './ledger.js'
import { program } from './places.js'
import type { StoredItem } from '@vertex/sdk'
import { seenAnew, type World } from './world.js'

/** Something that is acknowledged and must then hold. */
export interface Operation {
  readonly name: string
  /**
   * Does what has to be there before, and answers the operation itself, which tells the ledger when it was
   * acknowledged, and otherwise throws.
   */
  prepare(world: World): Promise<() => Promise<void>>
}

const keygen: Operation = {
  name: 'keygen',
  prepare: (world) =>
    Promise.resolve(async () => {
      await world.createKey()
    }),
}

/** The first signature on a new OT setup, which is the one that writes. */
const sign: Operation = {
  name: 'sign',
  prepare: async (world) => {
    const key = await someKey(world)
    for (const id of await world.store.list('setup')) await world.store.delete('setup', id)
    const anew = await world.client(seenAnew(world.store)).ecdsa.openKey(key.id)
    return async () => {
      const message = new TextEncoder().encode(`laboratory ${Math.random()}`)
      const { der } = await anew.sign({ message, hashAlgo: 'sha256' })
      world.judge(key.publicKey, message, der)
      world.ledger.acknowledged()
    }
  },
}

/** A share comes to a vault that has never seen it, in a backup made by another one. */
const importing: Operation = {
  name: 'import',
  prepare: async (world) => {
    const { id, backup } = await foreignKey(world)
    return async () => {
      const { key } = await world.vertex.ecdsa.importBackup(backup)
      if (key?.id !== id) throw new Lost('the key of an imported backup is not in the store')
      world.promiseKey(key)
    }
  },
}

/** The fifth failed check locks the share. */
const lock: Operation = {
  name: 'lock',
  prepare: async (world) => {
    const key = await world.insist('create key', () => world.vertex.ecdsa.createKey())
    for (let failed = 0; failed < 4; failed++) {
      await honestly(world, key)
      await cheat(world, key)
    }
    // Not with the operation: it insists, and a server that is killed on purpose does not come back while it does.
    await honestly(world, key)
    return async () => {
      await cheat(world, key)
      world.ledger.promise(`lock of key ${key.id}`, async () => {
        try {
          await honestly(world, key)
        } catch (error) {
          if (error instanceof KeyLockedError) return
          throw error
        }
        throw new Lost('it signs, though it was locked')
      })
    }
  },
}

const deletion: Operation = {
  name: 'delete',
  prepare: async (world) => {
    const key = await world.insist('create key', () => world.vertex.ecdsa.createKey())
    const { keyId } = key
    return async () => {
      await world.typed(() => world.vertex.rest.deleteKeyShare({ key_id: keyId }))
      world.ledger.promise(`deletion of key ${key.id}`, async () => {
        const get = () => world.typed(() => world.vertex.rest.getKey({ key_id: keyId }))
        const found = await world.insist('get key', get).catch((error: unknown) => {
          const gone =
            error instanceof KeyNotFoundError ||
            (error instanceof VertexError && error.errType === 'key_id_not_exists')
          if (!gone) throw error
        })
        if (found !== undefined) throw new Lost('it is there again')
      })
    }
  },
}

export const operations: readonly Operation[] = [keygen, sign, importing, lock, deletion]

/** A key of the world that is promised already. */
export async function someKey(world: World): Promise<EcdsaKey> {
  const known = firstKeys.get(world)
  if (known !== undefined) return known
  const key = await world.insist('create key', () => world.createKey())
  firstKeys.set(world, key)
  return key
}
const firstKeys = new WeakMap<World, EcdsaKey>()

/** Signs as a new client does; both sides have an OT setup then. */
async function honestly(world: World, key: EcdsaKey): Promise<void> {
  const honest = await world.client(seenAnew(world.store)).ecdsa.openKey(key.id)
  await world.signs(honest, key.publicKey)
}

/**
 * Signs with an OT setup that is not the vault's, which fails a check there. Both must have one, from an honest signature.
 * @throws VertexError unless the vault says that it has retired the setup
 */
async function cheat(world: World, key: EcdsaKey): Promise<void> {
  const cheating = await world.client(seenAnew(world.store, corrupted)).ecdsa.openKey(key.id)
  const message = new TextEncoder().encode('cheated')
  try {
    await cheating.sign({ message, hashAlgo: 'sha256' })
  } catch (error) {
    const told = error instanceof VertexError && error.errType === 'protocol_abort'
    if (told && error.status !== undefined) return
    throw error
  }
  throw new Error('a corrupted OT setup has signed')
}

function corrupted(kind: string, item: StoredItem): StoredItem {
  if (kind !== 'setup') return item
  const setup = decodePairSetup(item.value)
  // One leaf of each tree; of a single tree the vault might happen not to hold it.
  for (let leaf = 0; leaf < setup.leaves.length; leaf += 4 * 32) setup.leaves[leaf]! ^= 1
  return { ...item, value: encodePairSetup(setup) }
}

interface ForeignKey {
  readonly id: string
  readonly backup: Awaited<ReturnType<EcdsaKey['exportBackup']>>
}
const pools = new WeakMap<World, ForeignKey[]>()
const POOL = 8

/** A key that was made with another vault of the same name and secrets, and is not in this one. */
async function foreignKey(world: World): Promise<ForeignKey> {
  const pool = pools.get(world) ?? []
  pools.set(world, pool)
  if (pool.length === 0) pool.push(...(await makeElsewhere(world)))
  return pool.pop()!
}

async function makeElsewhere(world: World): Promise<ForeignKey[]> {
  const port = await freePort()
  const secret =
    world.settings['VERTEX_BACKUP_SECRET_FILE'] ?? join(world.folder, 'vertex-secret/backup-secret')
  const elsewhere = join(world.folder, `elsewhere-${port}`)
  const server = await startServer({
    program,
    folder: world.makeFolder(elsewhere),
    port,
    settings: {
      VERTEX_ADMIN_TOKEN: world.adminToken,
      VERTEX_LOG_LEVEL: 'error',
      VERTEX_BACKUP_SECRET_FILE: secret,
      ...ratesRaised,
    },
  })
  try {
    const user = { name: 'alice', user_id: world.userId }
    const { apiKey } = await createUser(server.url, world.adminToken, user)
    const client = world.client(world.store, server.url, apiKey)
    const made: ForeignKey[] = []
    while (made.length < POOL) {
      const key = await client.ecdsa.createKey()
      made.push({ id: key.id, backup: await key.exportBackup() })
    }
    await client.close()
    return made
  } finally {
    await server.kill()
  }
}
