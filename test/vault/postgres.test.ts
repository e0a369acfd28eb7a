import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { missingPostgres, startPostgres, type TestPostgres } from '../support/postgres.js'
import { behave, cheat, makeKey, settleBoth, signTogether, verifies } from './support/client.js'
import { cleanUp, openWorld } from './support/world.js'

const missing = missingPostgres()

describe.skipIf(missing !== undefined)(
  `the vault on Postgres${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    let server: TestPostgres
    const newDatabase = async () =>
      ({ kind: 'postgres', url: await server.createDatabase() }) as const

    beforeAll(async () => {
      server = await startPostgres()
    })
    afterEach(cleanUp)
    afterAll(() => server.stop())

    it('recovers a user and a key once, although two replicas are asked by many at the same time', async () => {
      const world = await openWorld({ database: await newDatabase() })
      const caller = await world.newCaller()
      const key = await makeKey(world, caller)
      const backup = await world.vault.exportBackup(caller, key.keyId)
      await world.close()

      const database = await newDatabase()
      const { secrets } = world
      const now = world.time.now + 60_000
      const replicas = [
        await openWorld({ secrets, database, now }),
        await openWorld({ secrets, database, now }),
      ]
      const made = await Promise.all(
        Array.from({ length: 16 }, async (_, i) => {
          const { vault } = replicas[i % 2]!
          return vault.importBackup(await vault.authenticate(caller.apiKey), backup)
        }),
      )
      expect(new Set(made.map(({ keyId }) => keyId)).size).toBe(1)
      const events = replicas.flatMap((replica) => replica.events)
      expect(events.filter(({ event }) => event === 'recovered')).toHaveLength(1)
      expect(events.filter((one) => one.event === 'backup_imported' && one.first)).toHaveLength(1)
      for (const replica of replicas) {
        const signature = await signTogether(replica, caller, { ...key, ...made[0]! })
        expect(verifies(key.pubkey, 'hello', signature)).toBe(true)
      }
    })

    it('tells of one failed check at most, although two replicas run on one setup', async () => {
      const database = await newDatabase()
      const one = await openWorld({ database })
      const two = await openWorld({ database, secrets: one.secrets })
      const caller = await one.newCaller()
      const key = await makeKey(one, caller)
      cheat(key.client)
      const ends = await Promise.all([one, two].map((world) => settleBoth(world, caller, key)))
      const types = ends.map(([vaults]) =>
        vaults.status === 'rejected' ? (vaults.reason as { errType: string }).errType : 'signed',
      )
      expect(types.sort()).toEqual(['protocol_abort', 'session_mismatch'])
    })

    it('does not use a setup on one replica that another one has retired', async () => {
      const database = await newDatabase()
      const one = await openWorld({ database })
      const two = await openWorld({ database, secrets: one.secrets })
      const caller = await one.newCaller()
      const key = await makeKey(one, caller)
      const [peer, dead] = [...key.client.setups][0]!
      cheat(key.client)
      const [vaults] = await settleBoth(one, caller, key)
      expect(vaults).toMatchObject({ reason: { errType: 'protocol_abort' } })
      behave(key.client)
      key.client.setups.set(peer, dead)
      key.client.retired.length = 0
      expect(verifies(key.pubkey, 'hello', await signTogether(two, caller, key))).toBe(true)
      expect(key.client.setups.get(peer)!.id).not.toEqual(dead.id)
    })
  },
)
