import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createUser } from '../demo/admin.js'
import { freePort, startServer } from '../demo/server.js'

const program = fileURLToPath(new URL('../../dist/main.js', import.meta.url))
const adminToken = 'bench-admin-token-0123456789abcdef'

/** As high as they go: one user signs here as fast as the machine can, which the defaults are there to prevent. */
export const ratesRaised: Readonly<Record<string, string>> = Object.fromEntries(
  ['REQUESTS', 'SIGNATURES', 'KEY_EXPORTS', 'CREATES', 'EXPORTS', 'IMPORTS'].map((name) => [
    `VERTEX_RATE_${name}`,
    '999999999',
  ]),
)

/** What a reader of the numbers must know about the settings. */
export const SETTINGS_OF_SERVICE =
  'The service runs with its defaults, but for its rate limits (`VERTEX_RATE_…`), which are raised to 999,999,999, and its log, which is at `error`.'

/** A Vertex in a process of its own, for as long as a question needs it. */
export interface BenchVertex {
  readonly url: string
  readonly pid: number
  /** Its working directory: the secrets, and `data` on the embedded database. */
  readonly folder: string
  createUser(name: string): Promise<{ readonly apiKey: string; readonly userId: string }>
  /** Stops the process; what it stored stays. */
  stop(): Promise<void>
}

/** Starts a Vertex in a folder, which may hold what an earlier one has stored. */
export async function startVertex(
  folder: string,
  settings: Readonly<Record<string, string>> = {},
): Promise<BenchVertex> {
  const server = await startServer({
    program,
    folder,
    port: await freePort(),
    settings: {
      VERTEX_ADMIN_TOKEN: adminToken,
      VERTEX_LOG_LEVEL: 'error',
      ...ratesRaised,
      ...settings,
    },
  })
  const kill = () => server.process.kill('SIGKILL')
  process.once('exit', kill)
  return {
    url: server.url,
    pid: server.process.pid!,
    folder,
    createUser: (name) => createUser(server.url, adminToken, { name }),
    stop: async () => {
      await server.stop()
      process.off('exit', kill)
    },
  }
}

/** Settings for a server on Postgres, which generates no secrets of its own: they are put into its folder. */
export function postgresSettings(folder: string, url: string): Record<string, string> {
  const secret = (name: string) => {
    const path = join(folder, name)
    if (!existsSync(path)) writeFileSync(path, randomBytes(32).toString('hex'), { mode: 0o600 })
    return path
  }
  return {
    DATABASE_URL: url,
    VERTEX_BACKUP_SECRET_FILE: secret('backup-secret'),
    VERTEX_STORAGE_KEY_FILE: secret('storage-key'),
  }
}

/** Lends a folder to some work and removes it afterwards. */
export async function withFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'vertex-bench-'))
  try {
    return await work(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
