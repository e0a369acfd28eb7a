import BetterSqlite3 from 'better-sqlite3'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { AuditWriter, verifyLog } from '../../src/audit/index.js'
import { StorageKey } from '../../src/seal/index.js'
import { missingPostgres, startPostgres } from '../support/postgres.js'
import { makeKey, settleBoth, signTogether, type SharedKey } from './support/client.js'
import { cleanUp, openWorld, type World } from './support/world.js'
import type { Caller } from '../../src/vault/index.js'

afterEach(async () => {
  vi.restoreAllMocks()
  await cleanUp()
})

const unavailable = { errType: 'storage_unavailable' }

const linesOf = async ({ store }: World) => {
  const lines: string[] = []
  for (let after = 0; ;) {
    const rows = await store.readAudit(after, 100)
    if (rows.length === 0) return lines
    lines.push(...rows.map(({ line }) => line))
    after = rows.at(-1)!.seq
  }
}
const check = async (world: World) => {
  const { chain: chainKey } = new StorageKey(world.secrets.storageKey, 'vertex').auditKeys()
  return verifyLog(await linesOf(world), { chainKey })
}

/** All that is recorded is refused, by both kinds of recording. */
async function expectRefusals({ world, caller, key }: There): Promise<void> {
  const { vault } = world
  await expect(vault.exportBackup(caller, key.keyId)).rejects.toMatchObject(unavailable)
  await expect(vault.createUser({ name: 'nobody' })).rejects.toMatchObject(unavailable)
  await expect(vault.deleteKeyShare(caller, key.keyId)).rejects.toMatchObject(unavailable)
  const readiness = await vault.readiness()
  expect(readiness).toMatchObject({ ok: false, checks: { audit: false } })
}

interface There {
  readonly world: World
  readonly caller: Caller
  readonly key: SharedKey
}

const smallest = {
  request: '',
  actor: 'server',
  user: '',
  apiKey: '',
  action: 'x',
  key: '',
  of: 0,
  outcome: 'x',
  values: [],
} as const

describe('a full disk', () => {
  /** The connection of the next store. */
  function spyOnConnection() {
    const found: { database?: BetterSqlite3.Database } = {}
    const prototype = Object.getPrototypeOf(new BetterSqlite3(':memory:')) as BetterSqlite3.Database
    // eslint-disable-next-line @typescript-eslint/unbound-method -- called on what it was called on
    const { prepare } = prototype
    vi.spyOn(prototype, 'prepare').mockImplementation(function (
      this: BetterSqlite3.Database,
      source: string,
    ) {
      if (this.name.endsWith('vertex.db')) found.database = this
      return prepare.call(this, source)
    })
    return found
  }

  it('refuses what is recorded, and nothing of it is done; with room again all goes on', async () => {
    const connection = spyOnConnection()
    const world = await openWorld()
    const caller = await world.newCaller()
    const key = await makeKey(world, caller)
    await signTogether(world, caller, key)
    const database = connection.database!
    database.pragma('max_page_count = 1')
    // The last page takes some more, and then not even the smallest.
    const keys = new StorageKey(world.secrets.storageKey, 'vertex').auditKeys()
    const filler = new AuditWriter(world.store, keys, { now: () => world.time.now })
    const fill = async () => {
      for (;;) await filler.append(smallest)
    }
    await expect(fill()).rejects.toMatchObject({ name: 'StorageUnavailable' })
    await expectRefusals({ world, caller, key })
    const [vaults, clients] = await settleBoth(world, caller, key, { message: 'refused' })
    expect(vaults).toMatchObject({ status: 'rejected', reason: unavailable })
    expect(clients.status).toBe('rejected')

    database.pragma('max_page_count = 1000000')
    expect(await world.vault.readiness()).toMatchObject({ ok: true, checks: { audit: true } })
    await signTogether(world, caller, key)
    const listed = await world.vault.listKeys(caller)
    expect(listed.map(({ keyId }) => keyId)).toEqual([key.keyId])
    await world.vault.close()
    expect(await check(world)).toMatchObject({ ok: true })
    const resumed = (await linesOf(world)).filter((line) => line.includes('"log_resumed"'))
    expect(resumed).toHaveLength(1)
  })
})

const missing = missingPostgres()
describe.skipIf(missing !== undefined)(
  `a Postgres that is gone${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    // With a server that is given, nobody may stop it.
    it.skipIf(process.env['VERTEX_TEST_PG_URL'] !== undefined)(
      'refuses what is recorded',
      async () => {
        const postgres = await startPostgres()
        const url = await postgres.createDatabase()
        const world = await openWorld({ database: { kind: 'postgres', url } })
        const caller = await world.newCaller()
        const key = await makeKey(world, caller)
        await signTogether(world, caller, key)
        expect(await check(world)).toMatchObject({ ok: true })
        await postgres.stop()
        await expectRefusals({ world, caller, key })
        await expect(
          world.vault.sign(caller, {
            keyId: key.keyId,
            roomUuid: (await world.vault.createRoom(caller, 2)).roomUuid,
            msg: '00',
            hashAlgo: 'sha256',
          }),
        ).rejects.toMatchObject(unavailable)
      },
    )
  },
)
