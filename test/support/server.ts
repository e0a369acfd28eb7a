import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const root = join(import.meta.dirname, '../..')
const program = join(root, 'dist/main.js')
const adminToken = 'test-admin-token-0123456789abcdef'

export interface ServerOptions {
  /** Working directory: `./data` and `./vertex-secret` appear in it. */
  readonly folder: string
  /** A free one if absent; give it to come back at the same address. */
  readonly port?: number
  /** Further settings, such as `VERTEX_BACKUP_MODE`. */
  readonly settings?: Readonly<Record<string, string>>
}

/** A Vertex in a process of its own, on the embedded database. */
export interface TestServer {
  readonly url: string
  readonly port: number
  readonly folder: string
  readonly adminToken: string
  readonly process: ChildProcess
  /** Everything the process wrote so far. */
  output(): string
  /** Makes a user and gives its API key. */
  createUser(name: string): Promise<string>
  /** Makes a user, under an old user_id where one is given. */
  makeUser(user: { name: string; user_id?: string }): Promise<{ apiKey: string; userId: string }>
  /** kill -9: no warning, no clean-up. Resolves when the process is gone. */
  kill(): Promise<void>
  /** SIGTERM, then waits for the clean end. */
  stop(): Promise<void>
}

/** Starts a Vertex from the built sources and waits until it is ready. @throws Error with its own words */
export async function startServer(options: ServerOptions): Promise<TestServer> {
  await buildOnce()
  const port = options.port ?? (await freePort())
  const url = `http://127.0.0.1:${port}`
  mkdirSync(options.folder, { recursive: true })
  const child = spawn(process.execPath, [program], {
    cwd: options.folder,
    env: {
      ...inherited(),
      PORT: String(port),
      VERTEX_ADMIN_TOKEN: adminToken,
      ...options.settings,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let written = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (written += text))
  const ended = once(child, 'close')
  const end = async (signal: NodeJS.Signals) => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal)
    await ended
  }
  try {
    await untilReady(url, child)
  } catch (error) {
    await end('SIGKILL')
    throw new Error(`the server did not start: ${String(error)}\n${written}`)
  }
  return {
    url,
    port,
    folder: options.folder,
    adminToken,
    process: child,
    output: () => written,
    createUser: async (name) => (await makeUser(url, { name })).apiKey,
    makeUser: (user) => makeUser(url, user),
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
  }
}

/** Loses everything that the server keeps; its secrets stay. */
export function wipeData(folder: string): void {
  rmSync(join(folder, 'data'), { recursive: true })
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

async function makeUser(url: string, user: { name: string; user_id?: string }) {
  const answer = await fetch(`${url}/admin/create-user`, {
    method: 'POST',
    headers: { authorization: adminToken, 'content-type': 'application/json' },
    body: JSON.stringify(user),
  })
  const { api_key: apiKey, user_id: userId } = (await answer.json()) as {
    api_key?: string
    user_id?: string
  }
  if (apiKey === undefined || userId === undefined)
    throw new Error(`no user was made: ${answer.status}`)
  return { apiKey, userId }
}

async function untilReady(url: string, child: ChildProcess): Promise<void> {
  const until = Date.now() + 30_000
  let last: unknown = 'it said nothing'
  while (Date.now() < until) {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error('it ended')
    try {
      const answer = await fetch(`${url}/readyz`)
      if (answer.ok) return
      last = await answer.text()
    } catch (error) {
      last = error
    }
    await sleep(50)
  }
  throw new Error(`not ready after 30 s: ${String(last)}`)
}

/** The environment without settings of a Vertex that this machine may have. */
function inherited(): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => !name.startsWith('VERTEX_') && !['PORT', 'HOST', 'DATABASE_URL'].includes(name),
    ),
  )
}

/** The build is brought up to date once for all test files, which may run in several processes. */
export async function buildOnce(): Promise<void> {
  const lock = join(root, 'node_modules/.cache/vertex-test-build')
  mkdirSync(join(root, 'node_modules/.cache'), { recursive: true })
  for (const until = Date.now() + 180_000; ;) {
    if (isFresh()) return
    try {
      mkdirSync(lock)
      break
    } catch {
      const age = Date.now() - (statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? Date.now())
      if (age > 120_000) rmSync(lock, { recursive: true, force: true })
      if (Date.now() > until)
        throw new Error('somebody else is building and does not come to an end')
      await sleep(200)
    }
  }
  try {
    const tsc = join(root, 'node_modules/typescript/bin/tsc')
    const built = spawnSync(process.execPath, [tsc, '-b', 'src'], { cwd: root, encoding: 'utf8' })
    if (built.status !== 0) throw new Error(`the build failed:\n${built.stdout}`)
  } finally {
    rmSync(lock, { recursive: true, force: true })
  }
}

/** Whether no source is newer than what was built from it. */
function isFresh(): boolean {
  const projects = [
    ['src', 'dist'],
    ['mpc/src', 'mpc/dist/src'],
    ['mpc/native', 'mpc/dist/native'],
  ] as const
  return projects.every(([from, to]) =>
    readdirSync(join(root, from), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .every((name) => {
        const output = join(root, to, name.replace(/\.ts$/, '.js'))
        return (
          existsSync(output) && statSync(output).mtimeMs >= statSync(join(root, from, name)).mtimeMs
        )
      }),
  )
}
