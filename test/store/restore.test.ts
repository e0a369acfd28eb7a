import { spawnSync } from 'node:child_process'
import { existsSync, rmSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { bundledTables, leftOut } from '../../src/store/bundled.js'
import {
  assertCurrent,
  lookAt,
  openSnapshot,
  openStore,
  postgresLease,
  readBundled,
  restoreDatabase,
  type BundledRow,
  type Database,
  type Snapshot,
} from '../../src/store/index.js'
import { tables } from '../../src/store/tables.js'
import { buildChild } from './child-process.js'
import { clock, engines, sql, storageKey, testSeal } from './engines.js'
import { MANY } from './many-rows.js'
import { aPendingKey, aShare, aUser, bytes, insertKey, insertUser } from './rows.js'

// Processes start and are killed here; on a busy machine that takes a while.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

const rowSeal = testSeal(storageKey)
const newKey = testSeal(new Uint8Array(32).fill(9))

async function snapshotOf(database: Database): Promise<Snapshot> {
  const snapshot = await openSnapshot(database)
  if (snapshot === undefined) throw new Error('there is no database')
  return snapshot
}
async function bundled(database: Database, seal = rowSeal): Promise<BundledRow[]> {
  const snapshot = await snapshotOf(database)
  try {
    const rows = []
    for await (const row of readBundled(snapshot, seal)) rows.push(row)
    return rows
  } finally {
    await snapshot.close()
  }
}
async function* each<T>(items: Iterable<T>): AsyncGenerator<T> {
  for (const item of items) yield await Promise.resolve(item)
}
const copies = (rows: readonly BundledRow[]): BundledRow[] =>
  rows.map(({ table, cells }) => ({
    table,
    cells: cells.map((cell) => (cell instanceof Uint8Array ? Uint8Array.from(cell) : cell)),
  }))
/** Comparable, whatever the order of an engine. */
const plain = (rows: readonly BundledRow[]) =>
  rows
    .map(({ table, cells }) =>
      [
        bundledTables[table]!.name,
        ...cells.map((cell) =>
          cell instanceof Uint8Array ? Buffer.from(cell).toString('hex') : cell,
        ),
      ].join('|'),
    )
    .sort()

/** A database in which every table of a bundle has a row, and those that are left out have some too. */
async function full(database: Database) {
  const store = await openStore({ database, rowSeal, clock })
  const { user, share, handle, record } = await insertKey(store)
  const other = aUser()
  const gone = aShare(user.userId, { epoch: 3, provenance: 'encrypted', confirmedAt: 5 })
  await store.run(async (uow) => {
    const digest = bytes(32)
    await uow.secrets.record({
      kind: 'vault',
      fingerprint: 'v',
      name: 'v',
      version: '',
      recordedAt: 1,
    })
    await uow.secrets.record({
      kind: 'storage',
      fingerprint: 's',
      name: 's',
      version: '',
      recordedAt: 1,
    })
    for (const [apiKeyId, expiresAt] of [
      ['mine', null],
      ['revoked', 9],
    ] as const)
      await uow.apiKeys.insert({
        apiKeyId,
        userId: user.userId,
        secretHash: bytes(32),
        issuedAt: 7,
        expiresAt,
        recovered: false,
      })
    await uow.apiKeys.revoke(user.userId, 'revoked', 8)
    await uow.users.insert(other)
    await uow.users.delete(other.userId, 8)
    await uow.shares.insert(gone, bytes(100))
    await uow.shares.erase(user.userId, gone.shareId, 9)
    const secret = { fingerprint: bytes(32), name: 'n', version: '1' }
    const note = { userId: user.userId, shareId: share.shareId, digest, exportedAt: 4, secret }
    await uow.backups.verified(note, 6)
    await uow.failures.add(share.shareId, 1, 1_000)
    await uow.pendingKeys.insert(aPendingKey(user.userId))
    await uow.setups.save(share.shareId, 1, { setupId: bytes(16), record: bytes(400) }, 5)
  })
  return { store, user, share, handle, record, other, gone }
}

it('every table and column is in the bundle, or left out on purpose', () => {
  const entities = tables('sqlite').map(({ options }) => options)
  expect(entities.length).toBeGreaterThan(bundledTables.length)
  for (const { name, columns } of entities) {
    const table = bundledTables.find((one) => one.name === name)
    expect(
      [table !== undefined, leftOut[name] !== undefined],
      `${name} is one and not both: docs/spec/bundle.md, section 2`,
    ).toContain(true)
    expect(table !== undefined && leftOut[name] !== undefined).toBe(false)
    if (table === undefined) continue
    const nullable = (one: { name: string; nullable?: boolean | undefined }) =>
      `${one.name} ${one.nullable === true}`
    expect(table.columns.map(nullable).sort()).toEqual(
      Object.values(columns)
        .map((one) => nullable({ name: one!.name!, nullable: one!.nullable }))
        .sort(),
    )
  }
})

describe.each(engines)('a snapshot of $name', (engine) => {
  describe.skipIf(engine.missing !== undefined)('beside a server', () => {
    afterAll(() => engine.cleanUp())

    it('is of one moment, and nobody waits for it', async () => {
      const database = await engine.create()
      const { store } = await full(database)
      const before = plain(await bundled(database))
      const snapshot = await snapshotOf(database)
      const rows = []
      for await (const row of readBundled(snapshot, rowSeal)) {
        // Written and acknowledged between any two rows.
        await insertKey(store)
        rows.push(row)
      }
      expect(plain(rows)).toEqual(before)
      await snapshot.close()
      expect((await bundled(database)).length).toBeGreaterThanOrEqual(before.length + rows.length)
      await store.close()
    })

    it('writes nothing, and could not', async () => {
      const database = await engine.create()
      const { store } = await full(database)
      const snapshot = await snapshotOf(database)
      const deleting =
        engine.name === 'SQLite'
          ? 'DELETE FROM users RETURNING *'
          : 'WITH gone AS (DELETE FROM users RETURNING *) SELECT * FROM gone'
      const rows = snapshot.rows(deleting)[Symbol.asyncIterator]()
      await expect(rows.next()).rejects.toThrow()
      await snapshot.close()
      expect(await store.run((uow) => uow.users.byName('nobody'))).toBeUndefined()
      expect(await sql(database, 'SELECT * FROM users')).toHaveLength(1)
      await store.close()
    })

    it('is refused where tables are older or newer, or the storage key is another', async () => {
      const database = await engine.create()
      const { store } = await full(database)
      await store.close()
      const refused = async (seal = rowSeal) => {
        const snapshot = await snapshotOf(database)
        try {
          return await assertCurrent(snapshot, seal).catch((error: unknown) => String(error))
        } finally {
          await snapshot.close()
        }
      }
      expect(await refused()).toMatch(/^[0-9a-f]{32}$/)
      expect(await refused(newKey)).toMatch(/another storage key.*VERTEX_STORAGE_KEY_FILE/)
      await sql(database, `INSERT INTO migrations ("timestamp", name) VALUES (9, 'Later9')`)
      expect(await refused()).toMatch(/newer version/)
      await sql(database, `DELETE FROM migrations WHERE name IN ('Later9', 'Leases1763850000000')`)
      expect(await refused()).toMatch(/older version: start the server/)
    })

    it('says which table holds a value that does not open', async () => {
      const database = await engine.create()
      const { store } = await full(database)
      await store.close()
      await sql(database, `UPDATE shares SET party = 1`)
      await expect(bundled(database)).rejects.toMatchObject({
        name: 'SealedValueInvalid',
        table: 'shares',
      })
    })
  })
})

const present = engines.filter(({ missing }) => missing === undefined)
const ways = present.flatMap((from) => present.map((to) => ({ from, to })))

describe.each(ways)('from $from.name to $to.name', ({ from, to }) => {
  afterAll(async () => {
    await from.cleanUp()
    await to.cleanUp()
  })

  it('everything comes that belongs into a bundle, under another storage key, and nothing else', async () => {
    const source = await from.create()
    const { store, user, share, handle, record, other, gone } = await full(source)
    const { generation } = await store.run((uow) => uow.meta.get())
    await store.close()
    const rows = await bundled(source)
    const before = plain(rows)
    const used = new Set(rows.map(({ table }) => table))
    expect(used.size, 'a table without a row proves nothing').toBe(bundledTables.length)

    const database = await to.create()
    await restoreDatabase(
      { database, rowSeal: newKey, clock },
      async ({ insert, uow, occupied }) => {
        expect(await occupied()).toEqual({})
        await insert(each(copies(rows)))
        await uow.meta.restored(clock.now())
        expect(await occupied()).toMatchObject({ users: 1, shares: 1, tombstones: 4 })
      },
    )
    expect(plain(await bundled(database, newKey))).toEqual(before)
    const again = await openStore({ database, rowSeal: newKey, clock })
    await again.run(async (uow) => {
      expect(await uow.users.byId(user.userId)).toEqual(user)
      expect(await uow.shares.open(user.userId, share.shareId)).toEqual(record)
      expect(await uow.shares.findForUser(user.userId, share.publicKey)).toEqual([share])
      expect(await uow.handles.find(user.userId, handle.keyId)).toBeDefined()
      // What was revoked, deleted or locked stays so.
      const { publicKey, party } = gone
      for (const subject of [
        { kind: 'api_key', apiKeyId: 'revoked' },
        { kind: 'user', userId: other.userId },
        { kind: 'user_name', name: other.name },
        { kind: 'share', userId: user.userId, publicKey, party },
      ] as const)
        expect(await uow.tombstones.has(subject)).toBe(true)
      expect(await uow.apiKeys.byId('revoked')).toBeUndefined()
      expect(await uow.failures.countSince(share.shareId, 1, 0)).toBe(1)
      expect(await uow.setups.load(share.shareId, 1)).toBeUndefined()
      expect(await uow.pendingKeys.listForUser(user.userId)).toEqual([])
      expect(await uow.secrets.list('storage')).toEqual([])
      const meta = await uow.meta.get()
      expect(meta.generation).not.toBe(generation)
      expect(meta.bornAt).toBe(clock.now())
    })
    await again.close()
  })
})

describe.each(engines)('a restore on $name', (engine) => {
  describe.skipIf(engine.missing !== undefined)('is one transaction', () => {
    let child: string
    beforeAll(async () => {
      child = await buildChild('restore-child')
    })
    afterAll(() => engine.cleanUp())

    const run = (database: Database, when: string) =>
      spawnSync(process.execPath, [child, JSON.stringify(database), when], { encoding: 'utf8' })
    const countsOf = async (database: Database) => {
      const look = await lookAt(database, rowSeal)
      return [look.rows['users'] ?? 0, look.rows['shares'] ?? 0, look.generation !== undefined]
    }
    /** A process that was killed gave nothing back, and the next one would wait until its lease has run out. */
    const forgetLease = async (database: Database) => {
      if (database.kind === 'postgres') await sql(database, 'DELETE FROM leases')
    }

    it('killed at any row and before the commit it leaves nothing, and the next one is whole', async () => {
      const database = await engine.create()
      for (const when of ['0', '1', '250', String(MANY + 1), String(2 * MANY - 1), 'end']) {
        expect(run(database, when)).toMatchObject({ signal: 'SIGKILL' })
        await forgetLease(database)
        expect(await countsOf(database), when).toEqual([0, 0, false])
      }
      expect(run(database, 'never')).toMatchObject({ status: 0, stderr: '' })
      expect(await countsOf(database)).toEqual([MANY, MANY, true])
    })

    it('that fails leaves nothing', async () => {
      const database = await engine.create()
      const failing = restoreDatabase({ database, rowSeal, clock }, async ({ insert, uow }) => {
        await uow.meta.restored(1)
        await insert(each([{ table: 1, cells: ['u', 'n', 1, false] }]))
        throw new Error('in the middle')
      })
      await expect(failing).rejects.toThrow('in the middle')
      expect(await countsOf(database)).toEqual([0, 0, false])
    })

    it('refuses rows that contradict each other, without their contents', async () => {
      const database = await engine.create()
      const twice = { table: 1, cells: ['u-secret', 'n', 1, false] }
      const orphan = { table: 2, cells: ['k', 'nobody-secret', 'ff', 1, null, false] }
      for (const rows of [[twice, twice], [orphan]]) {
        const error: unknown = await restoreDatabase(
          { database, rowSeal, clock },
          async ({ insert }) => insert(each(rows)),
        ).catch((thrown: unknown) => thrown)
        expect(error).toMatchObject({ name: 'StoreRefused' })
        expect(String(error)).not.toContain('secret')
      }
      expect(await countsOf(database)).toEqual([0, 0, false])
    })

    it('sees what stands where nothing may, and not what a first start leaves', async () => {
      const database = await engine.create()
      const store = await openStore({ database, rowSeal, clock })
      const row = { seq: 1, line: 'opened' }
      await store.appendAudit(() => [row])
      await store.close()
      const occupied = () =>
        restoreDatabase({ database, rowSeal, clock }, ({ occupied: found }) => found())
      expect(await occupied()).toEqual({})
      const again = await openStore({ database, rowSeal, clock })
      const user = await insertUser(again)
      await again.run((uow) => uow.pendingKeys.insert(aPendingKey(user.userId)))
      await again.close()
      expect(await occupied()).toEqual({ users: 1, pending_keys: 1 })
    })

    it('is refused while a server uses the database, and a look says so', async () => {
      const database = await engine.create()
      const store = await openStore({ database, rowSeal, clock })
      const lease =
        database.kind === 'postgres' ? postgresLease(database, () => undefined) : undefined
      await lease?.begin()
      expect(await lookAt(database, rowSeal)).toMatchObject({ made: true, inUse: true })
      let began = false
      const refused = restoreDatabase({ database, rowSeal, clock }, () => {
        began = true
        return Promise.resolve()
      })
      await expect(refused).rejects.toMatchObject({ name: 'StoreRefused' })
      expect(began).toBe(false)
      await store.close()
      await lease?.end()
      expect(await lookAt(database, rowSeal)).toMatchObject({ made: true, inUse: false })
      await restoreDatabase({ database, rowSeal, clock }, async () => {
        // And the other way round: what comes now must wait, or is refused.
        if (database.kind === 'sqlite')
          await expect(openStore({ database, rowSeal, clock })).rejects.toThrow('in use')
        else {
          const late = postgresLease(database, () => undefined)
          await expect(late.begin()).rejects.toMatchObject({ name: 'StoreRefused' })
          await late.end()
        }
      })
    })
  })
})

const strace = spawnSync('strace', ['-qq', '-e', 'trace=none', 'true']).status === 0
const skipped = strace || process.env['CI'] === 'true' ? '' : ' (skipped: no strace)'

describe(`a restore that is killed while it commits${skipped}`, () => {
  const sqlite = engines[0]!
  afterAll(() => sqlite.cleanUp())

  it.skipIf(skipped !== '')('leaves all or nothing, at whichever sync of the disk', async () => {
    const child = await buildChild('restore-child')
    const seen = new Set<number>()
    for (let nth = 1; nth <= 40; nth++) {
      const database = await sqlite.create()
      const log = `${child}.strace`
      const inject = `inject=fsync,fdatasync:signal=SIGKILL:when=${nth}`
      const { signal, status } = spawnSync(
        'strace',
        [
          ...['-f', '-qq', '-e', 'trace=fsync,fdatasync', '-e', inject, '-o', log],
          ...[process.execPath, child, JSON.stringify(database), 'never'],
        ],
        { encoding: 'utf8' },
      )
      if (existsSync(log)) rmSync(log)
      const { rows } = await lookAt(database, rowSeal)
      const found = [rows['users'] ?? 0, rows['shares'] ?? 0]
      expect([0, MANY], `killed at sync ${nth}`).toContain(found[0])
      expect(found[1]).toBe(found[0])
      seen.add(found[0]!)
      if (signal === null && status === 0) break
    }
    // It was killed before the commit and after it.
    expect([...seen].sort()).toEqual([0, MANY])
  })
})
