import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createUser } from '../demo/admin.js'
import { freePort, startServer } from '../demo/server.js'

/** What one load process saw. Latencies in ms, one per signature. */
export interface LoadReport {
  readonly clients: number
  readonly seconds: number
  readonly signatures: number
  readonly latencies: readonly number[]
  readonly keygenMs: readonly number[]
}

const loadProgram = fileURLToPath(new URL('./load.js', import.meta.url))

/**
 * Signatures through everything: HTTP, relay and database of a server process on the embedded database, and the SDK
 * in a process of its own.
 */
export async function measureService(
  clientCounts: readonly number[],
  seconds: number,
  progress: (what: string) => void,
): Promise<LoadReport[]> {
  const folder = mkdtempSync(join(tmpdir(), 'vertex-bench-'))
  const adminToken = 'bench-admin-token-0123456789abcdef'
  const server = await startServer({
    program: fileURLToPath(new URL('../../dist/main.js', import.meta.url)),
    folder,
    port: await freePort(),
    settings: { VERTEX_ADMIN_TOKEN: adminToken, VERTEX_LOG_LEVEL: 'error' },
  })
  try {
    const { apiKey } = await createUser(server.url, adminToken, { name: 'bench' })
    const reports: LoadReport[] = []
    for (const clients of clientCounts) {
      progress(`service, ${clients} client${clients === 1 ? '' : 's'}`)
      reports.push(await load({ url: server.url, apiKey, clients, seconds }))
    }
    return reports
  } finally {
    await server.stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

async function load(task: {
  url: string
  apiKey: string
  clients: number
  seconds: number
}): Promise<LoadReport> {
  const child = spawn(process.execPath, [loadProgram], { stdio: ['pipe', 'pipe', 'inherit'] })
  child.stdin.end(JSON.stringify(task))
  const output: Buffer[] = []
  child.stdout.on('data', (bytes: Buffer) => output.push(bytes))
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error('the load process failed')
  return JSON.parse(Buffer.concat(output).toString()) as LoadReport
}
