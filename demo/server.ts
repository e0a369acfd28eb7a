import { spawn, type ChildProcess } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'

/** A Vertex in a process of its own. */
export interface RunningServer {
  readonly url: string
  readonly process: ChildProcess
  /** Everything the process wrote so far. */
  output(): string
  /** kill -9: no warning, no clean-up. */
  kill(): Promise<void>
  /** SIGTERM, then waits for the clean end. */
  stop(): Promise<void>
}

export interface ServerOptions {
  /** The built `main.js`. */
  readonly program: string
  /** Working directory: `./data` and `./vertex-secret` appear in it. */
  readonly folder: string
  readonly port: number
  /** Further settings, such as `VERTEX_ADMIN_TOKEN`. Nothing but PATH is inherited. */
  readonly settings?: Readonly<Record<string, string>>
  /** How long it may take to become ready; 30 s if absent. */
  readonly readyWithinMs?: number
}

/**
 * Starts a Vertex and waits until it is ready.
 * @throws Error with the server's own words when it does not become ready in time
 */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { program, folder, port, settings, readyWithinMs = 30_000 } = options
  const child = spawn(process.execPath, [program], {
    cwd: folder,
    env: {
      PATH: process.env['PATH'] ?? '',
      PORT: String(port),
      ...settings,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const written: string[] = []
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (bytes: Buffer) => written.push(bytes.toString()))
  const output = () => written.join('')
  const url = `http://127.0.0.1:${port}`
  const running = () => child.exitCode === null && child.signalCode === null
  const end = async (signal: NodeJS.Signals) => {
    if (!running()) return
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
  }

  const giveUpAt = Date.now() + readyWithinMs
  while (!(await isReady(url))) {
    if (!running()) throw new Error(`the server ended at start:\n${output()}`)
    if (Date.now() > giveUpAt) {
      await end('SIGKILL')
      throw new Error(`the server is not ready after ${readyWithinMs / 1000} s:\n${output()}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  return {
    url,
    process: child,
    output,
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
  }
}

async function isReady(url: string): Promise<boolean> {
  try {
    const answer = await fetch(`${url}/readyz`)
    await answer.body?.cancel()
    return answer.ok
  } catch {
    return false // not listening yet
  }
}

/**
 * A TCP port that was free a moment ago. Below the range from which the system takes ports for outgoing connections,
 * so that none of those gets in between.
 */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    const port = randomInt(20_000, 32_000)
    const probe = createServer()
    try {
      probe.listen(port, '127.0.0.1')
      await once(probe, 'listening')
      return port
    } catch {
      // Taken: try another one.
    } finally {
      probe.close()
    }
  }
  throw new Error('no free TCP port')
}
