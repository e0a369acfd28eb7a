import { missingPostgres, startPostgres } from '../test/support/postgres.js'
import { startChild, type Child } from './child.js'
import type { LoadReport } from './client-process.js'
import { cpuOf } from './proc.js'
import { quantile } from './statistics.js'
import { postgresSettings, startVertex, withFolder, type BenchVertex } from './vertex.js'

export const CLIENTS = 32

/** A Vertex with clients in another process, keys made. */
export interface Service {
  readonly vertex: BenchVertex
  readonly apiKey: string
  readonly clients: Child
}

/** How long and how often the service is asked. */
export interface Windows {
  readonly count: number
  readonly ms: number
}

/** A service has many times the code of the protocol, in three threads and a client: its compilers take longer. */
export interface WarmWindows extends Windows {
  readonly warmUpMs: number
}

/**
 * Lends a running service to some work.
 * @param stored brings further keys into the database before the server starts for good
 */
export async function withService<T>(
  settingsIn: (folder: string) => Readonly<Record<string, string>>,
  clientCount: number,
  work: (service: Service) => Promise<T>,
  stored?: (folder: string) => Promise<void>,
): Promise<T> {
  return withFolder(async (folder) => {
    await stored?.(folder)
    const vertex = await startVertex(folder, settingsIn(folder))
    const clients = startChild('client-process')
    try {
      const { apiKey } = await vertex.createUser('bench')
      await clients.ask('open', { url: vertex.url, apiKey, count: clientCount })
      return await work({ vertex, apiKey, clients })
    } finally {
      await clients.end()
      await vertex.stop()
    }
  })
}

/** Lends a Postgres to some work, as settings for a server; answers why not where there is none. */
export async function withPostgres<T>(
  work: (settingsIn: (folder: string) => Readonly<Record<string, string>>) => Promise<T>,
): Promise<{ value: T } | { missing: string }> {
  const missing = missingPostgres()
  if (missing !== undefined) return { missing }
  const postgres = await startPostgres()
  try {
    const url = await postgres.createDatabase()
    return { value: await work((folder) => postgresSettings(folder, url)) }
  } finally {
    await postgres.stop()
  }
}

/** What one window of signing through the service took. */
export interface Window {
  readonly report: LoadReport
  /** CPU of the server in ms. */
  readonly serverCpuMs: number
}

/** Has the clients sign for a window. */
export async function window(
  { vertex, clients }: Service,
  task: 'sign' | 'batch',
  input: object,
): Promise<Window> {
  const before = cpuOf(vertex.pid)
  const report = await clients.ask<LoadReport>(task, input)
  return { report, serverCpuMs: cpuOf(vertex.pid) - before }
}

export const perSecond = ({ report }: Window): number => report.signatures / report.seconds
export const serverCpu = ({ report, serverCpuMs }: Window): number =>
  serverCpuMs / report.signatures
export const clientCpu = ({ report }: Window): number => report.cpuMs / report.signatures
export const wholeCpu = (window: Window): number => serverCpu(window) + clientCpu(window)
export const p99 = ({ report }: Window): number => quantile(report.latencies, 0.99)
