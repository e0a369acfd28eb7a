import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createUser } from '../../demo/admin.js'
import { buildOnce, freePort } from './server.js'

const main = join(import.meta.dirname, '../../dist/main.js')
const adminToken = 'an-admin-token-for-tests'

/** One Vertex process of several on one database. It can be started again, at the same port. */
export interface Replica {
  readonly port: number
  readonly url: string
  log(): string
  /** Names of the failing checks; undefined where nobody answers. */
  failing(): Promise<readonly string[] | undefined>
  signal(signal: NodeJS.Signals): void
  start(): Promise<void>
  end(signal: NodeJS.Signals): Promise<number | null>
}

export interface Cluster {
  readonly folder: string
  readonly replicas: readonly [Replica, Replica]
  /** Makes a user at the first replica and answers its API key. */
  user(name: string): Promise<string>
  stop(): Promise<void>
}

/** Two replicas with the same secrets on one Postgres and one Redis. */
export async function startCluster(settings: Readonly<Record<string, string>>): Promise<Cluster> {
  await buildOnce()
  const folder = mkdtempSync(join(tmpdir(), 'vertex-cluster-'))
  for (const name of ['backup-secret', 'storage-key'])
    writeFileSync(join(folder, name), randomBytes(32).toString('hex'), { mode: 0o600 })
  const shared = {
    VERTEX_ADMIN_TOKEN: adminToken,
    VERTEX_BACKUP_SECRET_FILE: join(folder, 'backup-secret'),
    VERTEX_STORAGE_KEY_FILE: join(folder, 'storage-key'),
    ...settings,
  }
  const make = async () => newReplica(folder, await freePort(), shared)
  const replicas = [await make(), await make()] as const
  await Promise.all(replicas.map((each) => each.start()))
  return {
    folder,
    replicas: [replicas[0], replicas[1]],
    user: async (name) => (await createUser(replicas[0].url, adminToken, { name })).apiKey,
    stop: async () => {
      await Promise.all(replicas.map((each) => each.end('SIGKILL')))
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function newReplica(
  folder: string,
  port: number,
  settings: Readonly<Record<string, string>>,
): Replica {
  const url = `http://127.0.0.1:${port}`
  let log = ''
  let child: ReturnType<typeof spawn> | undefined
  const failing = async () => {
    try {
      const { checks } = (await (await fetch(`${url}/readyz`)).json()) as {
        checks: Record<string, string>
      }
      return Object.keys(checks).filter((name) => checks[name] !== 'ok')
    } catch {
      return undefined
    }
  }
  return {
    port,
    url,
    log: () => log,
    failing,
    signal: (signal) => child?.kill(signal),
    async start() {
      log = ''
      child = spawn(process.execPath, [main], {
        cwd: folder,
        env: { PATH: process.env['PATH'], PORT: String(port), ...settings },
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      for (const stream of [child.stdout, child.stderr])
        stream?.on('data', (text: Buffer) => (log += text.toString()))
      const giveUpAt = Date.now() + 60_000
      while (!log.includes('"listening"')) {
        if (child.exitCode !== null || Date.now() > giveUpAt)
          throw new Error(`the replica did not start:\n${log}`)
        await sleep(25)
      }
    },
    async end(signal) {
      if (child === undefined) return null
      if (child.exitCode === null && child.signalCode === null) {
        const ended = once(child, 'exit')
        child.kill(signal)
        await ended
      }
      return child.exitCode
    },
  }
}
