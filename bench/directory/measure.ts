import { isUtf8 } from 'node:buffer'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startPostgres } from '../../test/support/postgres.js'
import { startChild, type Child } from '../child.js'
import { cpuOf } from '../proc.js'
import { median, round } from '../statistics.js'
import { CONNECTIONS, type Loaded } from './load.js'

/** Requests that are alike, whose answers are counted. */
interface LoadOf {
  readonly name: string
  /** New ones for each round. @param port of the server that they are for */
  readonly requests: (port: number) => readonly string[] | Promise<readonly string[]>
  readonly times: number
}

/** Requests of which one may win. */
export type Race = readonly string[]

/** What is asked of one system. */
export interface Measured {
  /** As `vertex directory` names it, unless a Vertex has it and nobody else. */
  readonly name: string
  readonly inVertex?: true
  /** Of its command, beside where it listens and keeps its rows. @param folder for what it keeps in files */
  readonly flags?: (folder: string) => readonly string[]
  prepare(count: number): {
    /** Sent once, in order, and not counted. */
    readonly before: readonly string[]
    /** Resolves when what was sent before has had its effect. */
    readonly ready?: (port: number) => Promise<void>
    readonly loads: readonly LoadOf[]
  }
  /** Undefined where nothing is won. @param port of the server that they are for */
  race?(rounds: number, writers: number, port: number): readonly Race[] | Promise<readonly Race[]>
  readonly won?: string
  readonly lost?: string
}

export interface Result {
  readonly system: string
  readonly load: string
  readonly server: string
  /** Medians of the rounds. */
  readonly requestsPerSecond: number
  /** Of the server, per request. */
  readonly cpuMicroseconds: number
}

export interface RaceResult {
  readonly system: string
  readonly server: string
  readonly races: number
  readonly writers: number
  /** Races with exactly one winner, and everybody else told so. */
  readonly wonOnce: number
}

export interface Plan {
  readonly rounds: number
  /** Requests of one round; fewer where each costs a signature to make. */
  readonly count: number
  readonly races: number
}

interface Server {
  readonly name: string
  readonly port: number
  readonly pid: number
  stop(): Promise<void>
}

const program = fileURLToPath(new URL('../../../dist/cli/main.js', import.meta.url))

/** Measures each system on each database beside node:http, in turn, so that what happens to the machine happens to all. */
export async function measureDirectory(
  systems: readonly Measured[],
  plan: Plan,
  progress: (what: string) => void,
): Promise<{ results: Result[]; races: RaceResult[]; skipped: string[] }> {
  const folder = mkdtempSync(join(tmpdir(), 'vertex-bench-directory-'))
  const skipped: string[] = []
  const postgres = await startPostgres().catch((error: unknown) => {
    skipped.push(`Postgres: ${error instanceof Error ? error.message : 'it does not start'}`)
    return undefined
  })
  const client = startChild('directory/load-process')
  const plain = startChild('directory/plain-process')
  const results: Result[] = []
  const races: RaceResult[] = []
  try {
    const plainServer: Server = {
      name: 'node:http',
      port: await plain.ask<number>('listen'),
      pid: plain.pid,
      stop: () => plain.end(),
    }
    for (const system of systems) {
      progress(`${system.name}: starting`)
      const servers = [
        system.inVertex
          ? await serveVertex(folder)
          : await serve(system, 'SQLite', join(folder, `${system.name}.db`), folder),
      ]
      if (postgres !== undefined && !system.inVertex)
        servers.push(await serve(system, 'Postgres', await postgres.createDatabase(), folder))
      const { before, ready, loads } = system.prepare(plan.count)
      for (const { port } of servers) {
        for (const request of before) await send(client, port, [request], 1)
        await ready?.(port)
      }
      for (const load of loads) {
        progress(`${system.name}: ${load.name}`)
        const [recorded] = await load.requests(servers[0]!.port)
        await plain.ask('answer', await answerTo(servers[0]!.port, recorded!))
        results.push(...(await inTurn(system.name, load, [...servers, plainServer], plan, client)))
      }
      for (const server of servers) {
        progress(`${system.name}: races on ${server.name}`)
        const found = await raceOn(system, server, plan, client)
        if (found !== undefined) races.push(found)
        await server.stop()
      }
    }
  } finally {
    await plain.end()
    await client.end()
    await postgres?.stop()
    rmSync(folder, { recursive: true, force: true })
  }
  return { results, races, skipped }
}

async function inTurn(
  system: string,
  load: LoadOf,
  servers: readonly Server[],
  { rounds }: Plan,
  client: Child,
): Promise<Result[]> {
  const seen = servers.map(() => ({ perSecond: [] as number[], cpu: [] as number[] }))
  // The first round warms up and is not counted.
  for (let at = 0; at <= rounds; at++) {
    let requests: readonly string[] = []
    for (const [i, server] of servers.entries()) {
      // Node's own gets what the last of the others got.
      if (i < servers.length - 1 || i === 0) requests = await load.requests(server.port)
      const total = requests.length * load.times
      const cpu = cpuOf(server.pid)
      const { ms, statuses } = await send(client, server.port, requests, load.times)
      const done = Object.entries(statuses).find(([status]) => status.startsWith('2'))?.[1]
      if (done !== total)
        throw new Error(`${server.name}, ${load.name}: ${JSON.stringify(statuses)} of ${total}`)
      if (at === 0) continue
      seen[i]!.perSecond.push((total * 1000) / ms)
      seen[i]!.cpu.push(((cpuOf(server.pid) - cpu) * 1000) / total)
    }
  }
  return servers.map(({ name }, i) => ({
    system,
    load: load.name,
    server: name,
    requestsPerSecond: round(median(seen[i]!.perSecond)),
    cpuMicroseconds: round(median(seen[i]!.cpu)),
  }))
}

async function raceOn(
  system: Measured,
  server: Server,
  plan: Plan,
  client: Child,
): Promise<RaceResult | undefined> {
  if (system.race === undefined) return undefined
  let wonOnce = 0
  for (const race of await system.race(plan.races, CONNECTIONS, server.port)) {
    const { statuses } = await send(client, server.port, race, 1)
    const won = statuses[system.won ?? ''] ?? 0
    const lost = statuses[system.lost ?? ''] ?? 0
    if (won === 1 && lost === race.length - 1) wonOnce++
  }
  const { name } = server
  return { system: system.name, server: name, races: plan.races, writers: CONNECTIONS, wonOnce }
}

const send = (client: Child, port: number, requests: readonly string[], times: number) =>
  client.ask<Loaded>('load', { port, requests, times })

/** What a system answers to a request, for somebody else to answer the same. */
async function answerTo(port: number, request: string) {
  const [head = '', body = ''] = request.split('\r\n\r\n')
  const [method = '', path = ''] = head.split(' ')
  const type = /\r\ncontent-type: (.+)/i.exec(head)?.[1]
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    ...(type === undefined ? {} : { headers: { 'Content-Type': type } }),
    ...(method === 'GET' ? {} : { body: Buffer.from(body, 'latin1') }),
  })
  const bytes = Buffer.from(await response.arrayBuffer())
  // What is no text is as many bytes of something else.
  const text = isUtf8(bytes) ? bytes.toString('utf8') : 'x'.repeat(bytes.length)
  const headers: Record<string, string> = {}
  if (response.status !== 204) {
    headers['Content-Type'] = response.headers.get('content-type') ?? ''
    headers['Content-Length'] = String(Buffer.byteLength(text))
  }
  return { status: response.status, headers, body: text }
}

/** Starts a system as its own program, on a database of its own. */
function serve(
  { name: system, flags = () => [] }: Measured,
  name: string,
  db: string,
  folder: string,
): Promise<Server> {
  const words = ['directory', system, '--bind', '127.0.0.1:0', '--db', db, ...flags(folder)]
  return started(name, words, { RUST_LOG: 'info' })
}

/** Starts a whole Vertex, on the embedded database, which lets one address ask as often as it likes. */
function serveVertex(folder: string): Promise<Server> {
  const settings = { VERTEX_RATE_DIRECTORY: '1000000', VERTEX_RATE_DIRECTORY_WRITES: '1000000' }
  return started('SQLite', ['serve'], { PORT: '0', ...settings }, folder)
}

async function started(
  name: string,
  words: readonly string[],
  settings: Readonly<Record<string, string>>,
  cwd?: string,
): Promise<Server> {
  const child = spawn(process.execPath, [program, ...words], {
    cwd,
    env: { PATH: process.env['PATH'] ?? '', ...settings },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  const kill = () => child.kill()
  process.once('exit', kill)
  let output = ''
  const port = await new Promise<number>((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      if (output.length > 10_000) return
      output += text
      const found = /"event":"listening".*"port":(\d+)/.exec(output)
      if (found !== null) resolve(Number(found[1]))
    })
    void exited.then(() => reject(new Error(`vertex ${words.join(' ')} ended: ${output}`)))
  })
  return {
    name,
    port,
    pid: child.pid!,
    stop: async () => {
      process.off('exit', kill)
      child.kill()
      await exited
    },
  }
}

/** For people: a table of the loads, and the races. */
export function directoryText(found: Awaited<ReturnType<typeof measureDirectory>>): string {
  const lines = ['system      load          server      requests/s   CPU µs each   of node:http']
  for (const { system, load, server, requestsPerSecond, cpuMicroseconds } of found.results) {
    const plain = found.results.find(
      (each) => each.system === system && each.load === load && each.server === 'node:http',
    )!
    const share = `${Math.round((100 * requestsPerSecond) / plain.requestsPerSecond)} %`
    lines.push(
      [
        system.padEnd(11),
        load.padEnd(13),
        server.padEnd(11),
        String(Math.round(requestsPerSecond)).padStart(10),
        String(Math.round(cpuMicroseconds)).padStart(13),
        share.padStart(14),
      ].join(' '),
    )
  }
  for (const { system, server, races, writers, wonOnce } of found.races)
    lines.push(`${system} on ${server}: ${wonOnce} of ${races} races of ${writers} were won once`)
  for (const each of found.skipped) lines.push(`not measured: ${each}`)
  return `${lines.join('\n')}\n`
}
