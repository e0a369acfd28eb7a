import { chmodSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { inspect } from 'node:util'
import BetterSqlite3 from 'better-sqlite3'
import { join } from 'node:path'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { openEngine } from '../../src/store/open.js'
import { openStore, sqliteDatabaseExists, type Database } from '../../src/store/index.js'
import { withTls } from '../../src/store/postgres-login.js'
import { Sealer } from '../../src/store/sealer.js'
import { TypeormStore } from '../../src/store/store.js'
import type { VaultStore } from '../../src/vault/ports.js'
import { clock, engines, sql, storageKey, testSeal } from './engines.js'
import { aUser, bytes, id, insertUser } from './rows.js'

const rowSeal = testSeal(storageKey)
const unavailable = { name: 'StorageUnavailable', message: 'the database is not available' }
const refused = (part: string) => ({
  name: 'StoreRefused',
  message: expect.stringContaining(part) as string,
})

/** A store whose connection the test can disturb. */
async function withConnection(database: Database) {
  await (await openStore({ database, rowSeal, clock })).close()
  const engine = await openEngine(database)
  const store = new TypeormStore(engine, new Sealer(rowSeal))
  return { store, query: (statement: string) => engine.dataSource.query<unknown>(statement) }
}

const write = (store: VaultStore) => store.run((uow) => uow.users.insert(aUser()))

describe('trouble with SQLite', () => {
  const sqlite = engines[0]!
  afterAll(() => sqlite.cleanUp())
  const create = async () => {
    const database = await sqlite.create()
    if (database.kind !== 'sqlite') throw new Error('not SQLite')
    return database
  }

  it('a full disk is storage that is not available; nothing acknowledged is lost', async () => {
    const { store, query } = await withConnection(await create())
    const user = await insertUser(store)
    await query('PRAGMA max_page_count = 1')
    const big = { ...aUser(), name: 'x'.repeat(200_000) }
    await expect(store.run((uow) => uow.users.insert(big))).rejects.toMatchObject(unavailable)
    await query('PRAGMA max_page_count = 100000')
    expect(await store.run((uow) => uow.users.byId(big.userId))).toBeUndefined()
    expect(await store.run((uow) => uow.users.byId(user.userId))).toEqual(user)
    await write(store)
    await store.close()
  })

  it('a read-only database is storage that is not available', async () => {
    const { store, query } = await withConnection(await create())
    await query('PRAGMA query_only = ON')
    await expect(write(store)).rejects.toMatchObject(unavailable)
    await expect(store.check()).rejects.toMatchObject(unavailable)
    await query('PRAGMA query_only = OFF')
    await write(store)
    await store.check()
    await store.close()
  })

  it('is looked for with one write a second at most, however many ask', async () => {
    const { store, query } = await withConnection(await create())
    const checkedAt = () => query('SELECT checked_at FROM meta')
    const first = await checkedAt()
    await Promise.all(Array.from({ length: 20 }, () => store.check()))
    const second = await checkedAt()
    expect(second).not.toEqual(first)
    for (let again = 0; again < 20; again++) await store.check()
    expect(await checkedAt()).toEqual(second)
    vi.spyOn(performance, 'now').mockReturnValue(performance.now() + 1_000)
    await store.check()
    vi.restoreAllMocks()
    expect(await checkedAt()).not.toEqual(second)
    await store.close()
  })

  it('a locked database is storage that is not available, until it is free', async () => {
    const database = await create()
    const { store, query } = await withConnection(database)
    await query('PRAGMA busy_timeout = 20')
    const other = new BetterSqlite3(join(database.dataDir, 'vertex.db'))
    other.exec('BEGIN IMMEDIATE')
    await expect(store.check()).rejects.toMatchObject(unavailable)
    await expect(write(store)).rejects.toMatchObject(unavailable)
    other.exec('ROLLBACK')
    await write(store)
    other.close()
    await store.close()
  })

  it('a file that is no database is refused, and the setting is named', async () => {
    const database = await create()
    expect(sqliteDatabaseExists(database.dataDir)).toBe(false)
    mkdirSync(database.dataDir, { recursive: true })
    writeFileSync(
      join(database.dataDir, 'vertex.db'),
      'this is a letter, not a database '.repeat(99),
    )
    expect(sqliteDatabaseExists(database.dataDir)).toBe(true)
    await expect(openStore({ database, rowSeal, clock })).rejects.toMatchObject(
      refused('VERTEX_DATA_DIR'),
    )
    // And the directory is free again.
    rmSync(join(database.dataDir, 'vertex.db'))
    await (await openStore({ database, rowSeal, clock })).close()
  })

  it('a data directory that cannot be made is refused', async () => {
    const database = await create()
    mkdirSync(database.dataDir, { recursive: true })
    const file = join(database.dataDir, 'file')
    writeFileSync(file, '')
    const below = { kind: 'sqlite', dataDir: join(file, 'data') } as const
    await expect(openStore({ database: below, rowSeal, clock })).rejects.toMatchObject(
      refused('ENOTDIR'),
    )
  })

  it('a database readable by others is closed to them at the next start', async () => {
    const database = await create()
    await (await openStore({ database, rowSeal, clock })).close()
    chmodSync(join(database.dataDir, 'vertex.db'), 0o644)
    const store = await openStore({ database, rowSeal, clock })
    expect(statSync(join(database.dataDir, 'vertex.db')).mode & 0o777).toBe(0o600)
    await store.close()
  })
})

/** A line to a server that can be cut and mended. */
async function openLine(toPort: number, toHost: string) {
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect(toPort, toHost)
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        sockets.delete(socket)
        for (const other of [near, far]) other.destroy()
      })
    }
    near.pipe(far).pipe(near)
  })
  const listen = (port: number) =>
    new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  await listen(0)
  const { port } = server.address() as AddressInfo
  return {
    port,
    mend: () => listen(port),
    cut: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}

const postgres = engines[1]!
describe(`trouble with ${postgres.name}`, () => {
  describe.skipIf(postgres.missing !== undefined)('a server', () => {
    afterAll(() => postgres.cleanUp())
    const create = async () => {
      const database = await postgres.create()
      if (database.kind !== 'postgres') throw new Error('not Postgres')
      return database
    }

    it('that cannot be reached is refused at start, without showing the password', async () => {
      const url = 'postgres://vertex:secretpassword@127.0.0.1:1/none'
      const opening = openStore({ database: { kind: 'postgres', url }, rowSeal, clock })
      const error: unknown = await opening.catch((thrown: unknown) => thrown)
      expect(error).toMatchObject(refused('ECONNREFUSED'))
      expect(inspect(error, { depth: 9 })).not.toContain('secretpassword')
    })

    it('that drops its connections is storage that is not available; the next unit works', async () => {
      const database = await create()
      const store = await openStore({ database, rowSeal, clock })
      const user = aUser()
      const cut = store.run(async (uow) => {
        await uow.users.insert(user)
        await sql(
          database,
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
           WHERE application_name = 'vertex' AND datname = current_database()`,
        )
        await uow.users.byId(user.userId)
      })
      await expect(cut).rejects.toMatchObject(unavailable)
      await store.check()
      expect(await store.run((uow) => uow.users.byId(user.userId))).toBeUndefined()
      await store.close()
    })

    it('that is down for a while is storage that is not available for as long', async () => {
      const database = await create()
      const direct = new URL(database.url)
      const line = await openLine(Number(direct.port || 5432), direct.hostname)
      const through = new URL(database.url)
      through.hostname = '127.0.0.1'
      through.port = String(line.port)
      const url = through.toString()
      const store = await openStore({ database: { kind: 'postgres', url }, rowSeal, clock })
      const user = await insertUser(store)
      await line.cut()
      await expect(write(store)).rejects.toMatchObject(unavailable)
      await expect(store.check()).rejects.toMatchObject(unavailable)
      await line.mend()
      await store.check()
      expect(await store.run((uow) => uow.users.byId(user.userId))).toEqual(user)
      await write(store)
      await store.close()
      await line.cut()
    })

    it('whose database is gone is storage that is not available', async () => {
      const database = await create()
      const store = await openStore({ database, rowSeal, clock })
      await sql(database, 'DROP TABLE meta')
      await expect(store.check()).rejects.toMatchObject(unavailable)
      await expect(store.run((uow) => uow.meta.get())).rejects.toMatchObject(unavailable)
      await store.close()
    })

    it('that was made read-only can be read, but is not ready and keeps nothing', async () => {
      const { store, query } = await withConnection({ ...(await create()), poolSize: 1 })
      const user = await insertUser(store)
      await query('SET default_transaction_read_only = on')
      expect(await store.run((uow) => uow.users.byId(user.userId))).toEqual(user)
      await expect(write(store)).rejects.toMatchObject(unavailable)
      await expect(store.check()).rejects.toMatchObject(unavailable)
      await query('SET default_transaction_read_only = off')
      await write(store)
      await store.check()
      await store.close()
    })

    it('that acknowledges before it has written is refused', async () => {
      const database = await create()
      const name = new URL(database.url).pathname.slice(1)
      await sql(database, `ALTER DATABASE "${name}" SET synchronous_commit = off`)
      await expect(openStore({ database, rowSeal, clock })).rejects.toMatchObject(
        refused('synchronous_commit=off'),
      )
    })
  })

  it('elsewhere is reached with TLS unless the URL says otherwise', () => {
    const tls = (url: string) => new URL(withTls(url)).searchParams.get('sslmode')
    expect(tls('postgres://u@db.example.com/v')).toBe('verify-full')
    expect(tls('postgresql://u@db.example.com/v?sslmode=disable')).toBe('disable')
    expect(tls('postgres://u@127.0.0.1/v')).toBeNull()
    expect(tls('postgres://u@localhost:5433/v')).toBeNull()
    expect(tls('postgres:///v?user=u&host=/run/postgresql')).toBeNull()
    expect(tls('postgres://%2Frun%2Fpostgresql/v')).toBeNull()
    expect(() => withTls('mysql://u@h/v')).toThrow('postgres://')
    expect(() => withTls('no url')).toThrow('DATABASE_URL')
  })
})

describe.each(engines)('an error of our own on $name', (engine) => {
  describe.skipIf(engine.missing !== undefined)('in a statement', () => {
    afterAll(() => engine.cleanUp())

    it('shows neither the statement nor its values', async () => {
      const database = await engine.create()
      const store = await openStore({ database, rowSeal, clock })
      const secretHash = bytes(32)
      const { userId } = await insertUser(store)
      const inserting = store.run((uow) =>
        uow.apiKeys.insert({
          apiKeyId: id(),
          userId,
          secretHash,
          issuedAt: null as unknown as number,
          expiresAt: null,
          recovered: false,
        }),
      )
      const error: unknown = await inserting.catch((thrown: unknown) => thrown)
      expect(error).toMatchObject({
        message: expect.stringContaining('the database refused a statement') as string,
      })
      const shown = inspect(error, { depth: 9, showHidden: true })
      expect(shown).not.toContain(Buffer.from(secretHash).toString('hex'))
      expect(shown).not.toMatch(/insert into/i)
      await store.close()
    })

    it('conditions on nothing throw instead of finding any row', async () => {
      const database = await engine.create()
      const store = await openStore({ database, rowSeal, clock })
      await insertUser(store)
      const nothing = undefined as unknown as string
      await expect(store.run((uow) => uow.handles.listForUser(nothing))).rejects.toThrow()
      await expect(store.run((uow) => uow.shares.open(nothing, nothing))).rejects.toThrow()
      await store.close()
    })
  })
})
