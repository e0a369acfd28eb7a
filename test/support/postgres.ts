import { spawn, spawnSync } from 'node:child_process'
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
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

/** A server with TLS for one host, which only lets in who has a password. Its superuser comes over the socket. */
export interface GuardedPostgres {
  readonly port: number
  /** Runs one statement as the superuser. */
  run(statement: string): Promise<void>
  stop(): Promise<void>
}

/** Always one of our own; needs the binaries. */
export async function startGuardedPostgres(tls: {
  readonly certificate: string
  readonly key: string
}): Promise<GuardedPostgres> {
  const found = binaries()
  if (found === undefined) throw new Error('no Postgres: install the package postgresql')
  const rules = 'local all all trust\nhostssl all all 127.0.0.1/32 password\n'
  const { port, socketUrl, stop } = await runServer(found, { tls, rules })
  return {
    port,
    run: (statement) => runOn(socketUrl, [statement]),
    stop,
  }
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
  const { port, stop } = await runServer(bin)
  return onServer(`postgres://vertex@127.0.0.1:${port}/postgres`, stop)
}

interface Guard {
  readonly tls: { readonly certificate: string; readonly key: string }
  /** Lines of pg_hba.conf. */
  readonly rules: string
}

async function runServer(bin: string, guard?: Guard) {
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
  const settings = ['listen_addresses=127.0.0.1']
  if (guard !== undefined) {
    writeFileSync(join(data, 'pg_hba.conf'), guard.rules)
    for (const [name, text] of [
      ['server.crt', guard.tls.certificate],
      ['server.key', guard.tls.key],
    ] as const) {
      writeFileSync(join(data, name), text, { mode: 0o600 })
      if (as !== undefined) chownSync(join(data, name), as.uid, as.gid)
    }
    settings.push('ssl=on')
  }
  const port = await freePort()
  const server = spawn(
    join(bin, 'postgres'),
    ['-D', data, '-p', String(port), '-k', folder, ...settings.flatMap((each) => ['-c', each])],
    { ...options, stdio: 'ignore' },
  )
  const exited = new Promise<void>((resolve) => server.once('exit', () => resolve()))
  // A worker that ends without its hooks must not leave a server behind.
  const kill = () => server.kill('SIGINT')
  process.once('exit', kill)
  const socketUrl = `postgres:///postgres?host=${folder}&port=${port}&user=vertex`
  await untilReady(socketUrl, server)
  return {
    port,
    socketUrl,
    stop: async () => {
      process.off('exit', kill)
      server.kill('SIGINT')
      await exited
      rmSync(folder, { recursive: true, force: true })
    },
  }
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
  const admin = (statements: readonly string[]) => runOn(url, statements)
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

async function runOn(url: string, statements: readonly string[]): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    for (const statement of statements) await client.query(statement)
  } finally {
    await client.end()
  }
}
