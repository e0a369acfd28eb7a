import type { Logger } from 'pino'
import type { System } from '../directory/system.js'
import { createDirectoryApp } from '../http/directory-app.js'
import { closeServer, createServer, listen } from '../http/server.js'
import {
  localJobs,
  postgresJobs,
  type Database,
  type Job,
  type JobLog,
  type Jobs,
} from '../store/index.js'

export interface DirectoryServer {
  /** Where it listens. */
  readonly url: string
  readonly port: number
  /** Takes nothing new, ends what is under way. */
  stop(): Promise<void>
}

/** One system of the directory, ready to be asked. */
export interface Alone {
  readonly system: System
  readonly jobs: Jobs
  /** Before it is asked. */
  readonly open?: () => Promise<void>
  /** Once nothing is asked any more, and no job runs. Also where it could not begin. */
  readonly end: () => Promise<void>
}

/** Where it listens, and behind whom. */
export interface Place {
  readonly host: string
  readonly port: number
  readonly trustedProxies?: readonly string[]
}

/** How long requests under way may go on once the server was told to stop. */
const CUT_OFF_MS = 5_000

/** Serves one system on a port of its own. @throws of the operating system where it cannot listen */
export async function serveAlone(
  { host, port, trustedProxies }: Place,
  { system, jobs, open, end }: Alone,
  logger: Logger,
): Promise<DirectoryServer> {
  try {
    await jobs.prepare()
    await open?.()
    const life = { stopping: false }
    const draining = () => life.stopping
    const proxies = trustedProxies === undefined ? {} : { trustedProxies }
    const app = createDirectoryApp(system, { logger, draining, ...proxies })
    const server = createServer(app)
    const bound = await listen(server, host, port)
    jobs.begin()
    return {
      url: `http://${host.includes(':') ? `[${host}]` : host}:${bound}`,
      port: bound,
      stop: async () => {
        life.stopping = true
        await closeServer(server, CUT_OFF_MS)
        await jobs.end()
        await end()
      },
    }
  } catch (error) {
    await jobs.end()
    await end()
    throw error
  }
}

/** Jobs on this database, told of in the log. */
export function jobsOf(database: Database, jobs: readonly Job[], logger: Logger): Jobs {
  const frequent = new Set(jobs.filter(({ everyMs }) => everyMs < 60_000).map(({ name }) => name))
  const log: JobLog = (event) => {
    // What is done every few seconds is worth a line when it fails.
    const well = frequent.has(event.action) ? 'debug' : 'info'
    logger[event.event === 'job_failed' ? 'warn' : well](event)
  }
  return database.kind === 'postgres' ? postgresJobs(database, jobs, log) : localJobs(jobs, log)
}
