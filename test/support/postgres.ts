import { spawn, spawnSync } from 'node:child_process'
import {
  chownSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
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
  const { port, socketUrl, stop } = await runServer(found, { guard: { tls, rules } })
  return {
    port,
    run: (statement) => runOn(socketUrl, [statement]),
    stop,
  }
}

/** A server of our own that can be made to fail and to come back, at the same address and with its data. */
export interface FragilePostgres extends TestPostgres {
  /** Ends it: SIGINT in order, SIGQUIT as a crash would. */
  end(signal: 'SIGINT' | 'SIGQUIT'): Promise<void>
  /** Brings it back, recovery of its log included. */
  start(): Promise<void>
  /** All its processes stand still; connections stay open. */
  freeze(): void
  thaw(): void
  /** Its processes. */
  pids(): readonly number[]
  isRunning(): boolean
}

/**
 * Always one of our own; needs the binaries.
 * @param parent the directory in which its data are made, which its user must be able to enter
 */
export async function startFragilePostgres(parent = tmpdir()): Promise<FragilePostgres> {
  const found = binaries()
  if (found === undefined) throw new Error('no Postgres: install the package postgresql')
  const server = await runServer(found, { parent, initdb: ['--wal-segsize=1'] })
  const own = onServer(urlOf(server.port), server.stop)
  const { end, start, stop, pids, isRunning } = server
  const signal = (name: NodeJS.Signals) => pids().forEach((pid) => process.kill(pid, name))
  return {
    createDatabase: () => own.createDatabase(),
    stop,
    end,
    start,
    pids,
    isRunning,
    freeze: () => signal('SIGSTOP'),
    thaw: () => signal('SIGCONT'),
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
export function binaries(): string | undefined {
  const root = '/usr/lib/postgresql'
  if (!existsSync(root)) return undefined
  return readdirSync(root)
    .sort((a, b) => Number(b) - Number(a))
    .map((version) => join(root, version, 'bin'))
    .find((folder) => existsSync(join(folder, 'postgres')) && existsSync(join(folder, 'initdb')))
}

async function ownServer(bin: string): Promise<TestPostgres> {
  const { port, stop } = await runServer(bin)
  return onServer(urlOf(port), stop)
}

const urlOf = (port: number) => `postgres://vertex@127.0.0.1:${port}/postgres`

interface Guard {
  readonly tls: { readonly certificate: string; readonly key: string }
  /** Lines of pg_hba.conf. */
  readonly rules: string
}

interface ServerOptions {
  readonly guard?: Guard
  readonly parent?: string
  /** Further arguments of initdb. */
  readonly initdb?: readonly string[]
}

async function runServer(
  bin: string,
  { guard, parent = tmpdir(), initdb = [] }: ServerOptions = {},
) {
  const folder = mkdtempSync(join(parent, 'vertex-pg-'))
  const as = serverUser()
  if (as !== undefined) chownSync(folder, as.uid, as.gid)
  const data = join(folder, 'data')
  const options = { ...as, cwd: folder, env: { PATH: process.env['PATH'], LC_ALL: 'C' } }
  const plain = ['--auth=trust', '--encoding=UTF8', '--no-sync', '--no-locale']
  const init = spawnSync(join(bin, 'initdb'), ['-D', data, '-U', 'vertex', ...plain, ...initdb], {
    ...options,
    encoding: 'utf8',
  })
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
  const socketUrl = `postgres:///postgres?host=${folder}&port=${port}&user=vertex`
  const launch = () => {
    const server = spawn(
      join(bin, 'postgres'),
      ['-D', data, '-p', String(port), '-k', folder, ...settings.flatMap((each) => ['-c', each])],
      { ...options, stdio: 'ignore' },
    )
    const exited = new Promise<void>((resolve) => server.once('exit', () => resolve()))
    return { server, exited }
  }
  let running = launch()
  // A worker that ends without its hooks must not leave a server behind.
  const kill = () => running.server.kill('SIGINT')
  process.once('exit', kill)
  const isRunning = () => running.server.exitCode === null && running.server.signalCode === null
  const end = async (signal: NodeJS.Signals) => {
    running.server.kill(signal)
    await running.exited
  }
  await untilReady(socketUrl, running.server)
  return {
    port,
    socketUrl,
    pids: () => [running.server.pid!, ...childrenOf(running.server.pid!)],
    isRunning,
    end,
    start: async () => {
      running = launch()
      await untilReady(socketUrl, running.server)
    },
    stop: async () => {
      process.off('exit', kill)
      if (isRunning()) await end('SIGINT')
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Linux: the processes that were started by this one. */
function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((name) => {
      try {
        return (
          / \(.*\) \S (\d+) /.exec(readFileSync(`/proc/${name}/stat`, 'utf8'))?.[1] === String(pid)
        )
      } catch {
        return false // ended meanwhile
      }
    })
    .map(Number)
}

/** Postgres refuses to run as root. */
export function serverUser(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined
  const id = (flag: string) =>
    Number(spawnSync('id', [flag, 'postgres'], { encoding: 'utf8' }).stdout)
  return { uid: id('-u'), gid: id('-g') }
}

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
  })
}

export async function untilReady(url: string, server: { exitCode: number | null }): Promise<void> {
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

export async function runOn(url: string, statements: readonly string[]): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    for (const statement of statements) await client.query(statement)
  } finally {
    await client.end()
  }
}
