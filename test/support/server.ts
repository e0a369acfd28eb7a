import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createUser, type NewUser } from '../../demo/admin.js'
import { freePort, startServer as start, type RunningServer } from '../../demo/server.js'

export { freePort }

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

/** A Vertex in a process of its own, on the embedded database, with an admin. */
export interface TestServer extends RunningServer {
  readonly port: number
  readonly folder: string
  readonly adminToken: string
  /** Makes a user and gives its API key. */
  createUser(name: string): Promise<string>
  /** Makes a user, under an old user_id where one is given. */
  makeUser(user: NewUser): Promise<{ apiKey: string; userId: string }>
}

/** Starts a Vertex from the built sources and waits until it is ready. @throws Error with its own words */
export async function startServer(options: ServerOptions): Promise<TestServer> {
  await buildOnce()
  const { folder, settings } = options
  const port = options.port ?? (await freePort())
  mkdirSync(folder, { recursive: true })
  const server = await start({
    program,
    folder,
    port,
    settings: { VERTEX_ADMIN_TOKEN: adminToken, ...settings },
  })
  const makeUser = (user: NewUser) => createUser(server.url, adminToken, user)
  return {
    ...server,
    port,
    folder,
    adminToken,
    createUser: async (name) => (await makeUser({ name })).apiKey,
    makeUser,
  }
}

/** Loses everything that the server keeps; its secrets stay. */
export function wipeData(folder: string): void {
  rmSync(join(folder, 'data'), { recursive: true })
}

/**
 * The build is brought up to date once for all test files, which may run in several processes.
 * @param what the product, or also the tools around it
 */
export async function buildOnce(what: 'product' | 'tools' = 'product'): Promise<void> {
  const lock = join(root, 'node_modules/.cache/vertex-test-build')
  mkdirSync(join(root, 'node_modules/.cache'), { recursive: true })
  for (const until = Date.now() + 180_000; ;) {
    if (isFresh(what)) return
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
    const built = spawnSync('npm', ['run', '--silent', 'build'], { cwd: root, encoding: 'utf8' })
    if (built.status !== 0) throw new Error(`the build failed:\n${built.stdout}`)
  } finally {
    rmSync(lock, { recursive: true, force: true })
  }
}

const toolProjects = [
  ['sdk/src', 'sdk/dist'],
  ['directory/src', 'directory/dist'],
  ['demo', 'dist-tools/demo'],
  ['lab', 'dist-tools/lab'],
] as const

/** Whether no source is newer than what was built from it. */
function isFresh(what: 'product' | 'tools'): boolean {
  const projects = [
    ['src', 'dist'],
    ['mpc/src', 'mpc/dist/src'],
    ['mpc/native', 'mpc/dist/native'],
    ...(what === 'tools' ? toolProjects : []),
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
