import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { writeFileSync } from 'node:fs'
import type { EcdsaKey } from '@vertex/sdk'
import { startKeyVault, type KeyVault } from '../../test/support/key-vault/index.js'
import { sqliteIn } from '../database.js'
import { described } from '../ledger.js'
import { someKey } from '../operations.js'
import { Random } from '../random.js'
import type { Lab, Scenario } from '../scenario.js'
import { World } from '../world.js'

const MINUTE = 60_000
const VAULT = 'laboratory'
const OTHER_VAULT = 'otherone'
const SECRET = 'backup-secret'

/** A vault whose backup secret is in Key Vault, and everything to make that fail. */
interface Place {
  readonly vault: KeyVault
  readonly world: World
  readonly random: Random
  readonly probe: EcdsaKey
  /** Enabled versions of the secret, newest last. */
  readonly versions: string[]
  addVersion(): void
  /** Time passes for the server, so that what it knows of the secret is old. */
  age(minutes: number): Promise<void>
}

interface Trouble {
  readonly name: string
  readonly about: string
  begin(place: Place): Promise<void>
  end(place: Place): Promise<void> | void
}

/** Beyond five minutes the server looks again; beyond an hour what it knew is not used any more. */
const stale = (place: Place) => place.age(place.random.of([6, 6, 61]))

const troubles: readonly Trouble[] = [
  {
    name: 'key-vault-delayed',
    about: 'Key Vault answers late, up to later than anyone waits',
    begin: async (place) => {
      place.vault.delay(place.random.between(200, 6_000))
      await stale(place)
    },
    end: ({ vault }) => vault.delay(0),
  },
  {
    name: 'key-vault-throttled',
    about: 'Key Vault answers 429 to everything',
    begin: async (place) => {
      place.vault.throttle(1_000, place.random.between(1, 5))
      await stale(place)
    },
    end: ({ vault }) => vault.throttle(0),
  },
  {
    name: 'key-vault-refused',
    about: 'Key Vault refuses every connection, or every request, or the identity is not there',
    begin: async (place) => {
      const { vault, random } = place
      random.of([
        () => vault.refuse(true),
        () => vault.fail(random.of([401, 403, 500, 503])),
        () => vault.refuseIdentity(true),
      ])()
      await stale(place)
    },
    end: ({ vault }) => {
      vault.refuse(false)
      vault.fail(undefined)
      vault.refuseIdentity(false)
    },
  },
  {
    name: 'key-vault-rotated',
    about: 'the backup secret gets a new version under the server',
    begin: async (place) => {
      place.addVersion()
      await place.age(6)
    },
    end: () => undefined,
  },
  {
    name: 'key-vault-disabled',
    about: 'the version that backups were sealed with is disabled, and enabled again',
    begin: async (place) => {
      const version = place.versions.at(-1)!
      place.vault.disable(VAULT, SECRET, version)
      await place.age(6)
    },
    end: ({ vault, versions }) => vault.enable(VAULT, SECRET, versions.at(-1)!),
  },
  {
    name: 'key-vault-wrong',
    about:
      'another secret stands under the name at a start: refused by name, and nothing is changed',
    begin: async ({ world }) => {
      await world.kill()
      world.change({ VERTEX_BACKUP_SECRET_VAULT_NAME: OTHER_VAULT })
      const said = await world.start().then(
        () => 'it started',
        (error: unknown) => described(error),
      )
      if (!/does not start.*VERTEX_BACKUP_SECRET_NAME/s.test(said))
        world.ledger.wrong(`with a wrong backup secret: ${said}`)
      if (world.isRunning) await world.kill()
    },
    end: async ({ world }) => {
      world.change({ VERTEX_BACKUP_SECRET_VAULT_NAME: VAULT })
      await world.start()
    },
  },
]

export const keyVaultTroubles: readonly Scenario[] = troubles.map((trouble) => ({
  name: trouble.name,
  about: trouble.about,
  engines: ['sqlite'],
  ...(trouble.name === 'key-vault-rotated' ? { short: ['sqlite'] } : {}),
  open: (lab) => open(lab, trouble),
}))

async function open(lab: Lab, trouble: Trouble) {
  const folder = lab.folder()
  const storageKey = join(folder, 'storage-key')
  writeFileSync(storageKey, randomBytes(32).toString('hex'), { mode: 0o600 })
  const vault = await startKeyVault()
  const versions: string[] = []
  // Key Vault counts whole seconds; each version is a second newer than the one before.
  let created = Math.floor(Date.now() / 1000) - 100_000
  const newSecret = () => randomBytes(32).toString('base64')
  const addVersion = () => {
    versions.push(vault.setSecret(VAULT, SECRET, newSecret(), { created: (created += 1) }))
  }
  addVersion()
  vault.setSecret(OTHER_VAULT, SECRET, newSecret())
  const own = join(folder, 'vault')
  const world = await World.open({
    folder: own,
    database: sqliteIn(own),
    settings: {
      ...vault.env,
      VERTEX_VAULT_NAME: 'laboratory',
      VERTEX_BACKUP_SECRET_NAME: SECRET,
      VERTEX_BACKUP_SECRET_VAULT_NAME: VAULT,
      VERTEX_STORAGE_KEY_FILE: storageKey,
    },
  })
  let clockMs = 0
  const age = async (minutes: number) => {
    clockMs += minutes * MINUTE
    await world.control({ clockMs })
  }
  return {
    world,
    seeds: (random: Random) =>
      Array.from({ length: lab.short ? 1 : 4 }, () => random.below(2 ** 31)),
    async run(seed: number) {
      const probe = await someKey(world)
      const place = { vault, world, random: new Random(seed), probe, versions, addVersion, age }
      const fresh = await world.insist('create key', () => world.createKey())
      await trouble.begin(place)
      if (world.isRunning) await meanwhile(world, [probe, fresh])
      const since = performance.now()
      await trouble.end(place)
      await world.insist('verify backup', () => probe.verifyBackup())
      await world.recovers(since, probe)
      await age(6)
      await world.insist('create key', () => world.createKey())
      await world.ledger.audit()
      for (const key of [probe, fresh])
        await world
          .insist('verify backup', () => key.verifyBackup())
          .catch((error: unknown) =>
            world.ledger.lost(`a backup of ${key.id}: ${described(error)}`),
          )
      return world.ledger.take()
    },
    async close() {
      await world.close()
      await vault.close()
    },
  }
}

/** Signing asks nothing of Key Vault; what needs a backup secret either works or says that it cannot be had now. */
async function meanwhile(world: World, keys: readonly EcdsaKey[]): Promise<void> {
  const notNow = ['backup_key_unavailable'] as const
  for (const key of keys) {
    const signing = key.sign({ message: new Uint8Array(32), hashAlgo: 'none' })
    await signing.then(
      () => world.ledger.acknowledged(),
      (error: unknown) => world.ledger.wrong(`a signature needs Key Vault: ${described(error)}`),
    )
    await world.attempt('verify backup', () => key.verifyBackup(), notNow)
    await world.attempt('export backup', () => key.exportBackup(), notNow)
  }
  await world.attempt('create key', () => world.createKey(), notNow)
  const alive = await fetch(`${world.url}/livez`)
  if (!alive.ok) world.ledger.wrong(`/livez answered ${alive.status}`)
}
