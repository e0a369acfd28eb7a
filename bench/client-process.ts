// A process of SDK clients, each with a connection and a key of its own, that sign for as long as they are told.
import { MemoryShareStore, Vertex } from '@vertex/sdk'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { serveTasks } from './child.js'
import { countRoundTrips } from './round-trips.js'

export interface Connection {
  readonly url: string
  readonly apiKey: string
}

/** What the clients saw within one window. Latencies in ms, CPU in ms of this process. */
export interface LoadReport {
  readonly seconds: number
  readonly signatures: number
  readonly latencies: readonly number[]
  readonly cpuMs: number
}

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

type Key = Awaited<ReturnType<Vertex['ecdsa']['createKey']>>
const message = new TextEncoder().encode('how many of these per second?')
const request = { message, hashAlgo: 'sha256' } as const
const clients: { vertex: Vertex; key: Key }[] = []

async function open({ url, apiKey, count }: Connection & { count: number }): Promise<void> {
  const make = async () => {
    const store = new MemoryShareStore()
    const vertex = new Vertex({ url, apiKey, store, allowHttpOnLoopback: true })
    clients.push({ vertex, key: await vertex.ecdsa.createKey() })
  }
  // A few at a time: a server refuses more than it can do.
  for (let made = clients.length; made < count; made = clients.length)
    await Promise.all(Array.from({ length: Math.min(4, count - made) }, make))
}

/** So many signatures are under way at all times, with one key after the other; `work` gives `each` of them. */
async function repeat(
  lanes: number,
  ms: number,
  each: number,
  work: (key: Key) => Promise<unknown>,
): Promise<LoadReport> {
  const latencies: number[] = []
  let turn = 0
  const cpu = process.cpuUsage()
  const start = performance.now()
  await Promise.all(
    Array.from({ length: lanes }, async () => {
      while (performance.now() - start < ms) {
        const { key } = clients[turn++ % clients.length]!
        const from = performance.now()
        await work(key)
        latencies.push(performance.now() - from)
      }
    }),
  )
  const used = process.cpuUsage(cpu)
  return {
    seconds: (performance.now() - start) / 1000,
    signatures: latencies.length * each,
    latencies,
    cpuMs: (used.user + used.system) / 1000,
  }
}

serveTasks({
  open,
  sign: ({ lanes, ms }: { lanes: number; ms: number }) =>
    repeat(lanes, ms, 1, (key) => key.sign(request)),
  batch: ({ size, ms }: { size: number; ms: number }) => {
    const requests = Array.from({ length: size }, () => request)
    return repeat(1, ms, size, (key) => key.signBatch(requests))
  },
  roundTrips: (input: Connection & { signatures: number }) => countRoundTrips(input, request),
  /** Right after a collection, so that only what is held is seen. */
  memory: () => {
    collect()
    return Promise.resolve(process.memoryUsage())
  },
})
