import { spawn, spawnSync } from 'node:child_process'
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'

/** A real Postgres for tests. */
export interface TestPostgres {
  /** URL of a new, empty database on this server. */
  createDatabase(): Promise<string>
  stop(): Promise<void>
}

/**
 * Why there is no Postgres for tests on this machine; undefined when there is one. With CI=true there must be one:
 * then this is always undefined and {@link startPostgres} fails instead.
 */
export function missingPostgres(): string | undefined {
  if (process.env['VERTEX_TEST_PG_URL'] !== undefined || binaries() !== undefined) return undefined
  if (process.env['CI'] === 'true') return undefined
  return 'no Postgres: set VERTEX_TEST_PG_URL or install the package postgresql'
}

/** The server of VERTEX_TEST_PG_URL, else a new one from the binaries of this machine. */
export async function startPostgres(): Promise<TestPostgres> {
  const given = process.env['VERTEX_TEST_PG_URL']
  if (given !== undefined) return onServer(given, () => Promise.resolve())
  const found = binaries()
  if (found === undefined) throw new Error('no Postgres: set VERTEX_TEST_PG_URL or install it')
  return ownServer(found)
}

/** Newest first. */
function binaries(): string | undefined {
  const root = '/usr/lib/postgresql'
  if (!existsSync(root)) return undefined
  return readdirSync(root)
    .sort((a, b) => Number(b) - Number(a))
    .map((version) => join(root, version, 'bin'))
    .find((folder) => existsSync(join(folder, 'postgres')) && existsSync(join(folder, 'initdb')))
}

async function ownServer(bin: string): Promise<TestPostgres> {
  const folder = mkdtempSync(join(tmpdir(), 'vertex-pg-'))
  const as = serverUser()
  if (as !== undefined) chownSync(folder, as.uid, as.gid)
  const data = join(folder, 'data')
  const options = { ...as, cwd: folder, env: { PATH: process.env['PATH'], LC_ALL: 'C' } }
  const init = spawnSync(
    join(bin, 'initdb'),
    ['-D', data, '-U', 'vertex', '--auth=trust', '--encoding=UTF8', '--no-sync', '--no-locale'],
    { ...options, encoding: 'utf8' },
  )
  if (init.status !== 0) throw new Error(`initdb failed: ${init.stderr}`)
  const port = await freePort()
  const server = spawn(
    join(bin, 'postgres'),
    ['-D', data, '-p', String(port), '-k', folder, '-c', 'listen_addresses=127.0.0.1'],
    { ...options, stdio: 'ignore' },
  )
  const exited = new Promise<void>((resolve) => server.once('exit', () => resolve()))
  // A worker that ends without its hooks must not leave a server behind.
  const kill = () => server.kill('SIGINT')
  process.once('exit', kill)
  const url = `postgres://vertex@127.0.0.1:${port}/postgres`
  await untilReady(url, server)
  return onServer(url, async () => {
    process.off('exit', kill)
    server.kill('SIGINT')
    await exited
    rmSync(folder, { recursive: true, force: true })
  })
}

/** Postgres refuses to run as root. */
function serverUser(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined
  const id = (flag: string) =>
    Number(spawnSync('id', [flag, 'postgres'], { encoding: 'utf8' }).stdout)
  return { uid: id('-u'), gid: id('-g') }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
}

async function untilReady(url: string, server: { exitCode: number | null }): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    if (server.exitCode !== null) throw new Error('the Postgres for tests ended at once')
    const client = new pg.Client({ connectionString: url })
    try {
      await client.connect()
      await client.end()
      return
    } catch {
      await sleep(50)
    }
  }
  throw new Error('the Postgres for tests did not start')
}

let databases = 0

function onServer(url: string, stop: () => Promise<void>): TestPostgres {
  const made: string[] = []
  const admin = async (statements: readonly string[]) => {
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    try {
      for (const statement of statements) await client.query(statement)
    } finally {
      await client.end()
    }
  }
  return {
    async createDatabase() {
      const name = `vertex_test_${process.pid}_${(databases += 1)}`
      await admin([`CREATE DATABASE "${name}"`])
      made.push(name)
      const own = new URL(url)
      own.pathname = `/${name}`
      return own.toString()
    },
    async stop() {
      if (process.env['VERTEX_TEST_PG_URL'] !== undefined)
        await admin(made.map((name) => `DROP DATABASE IF EXISTS "${name}" WITH (FORCE)`))
      await stop()
    },
  }
}
