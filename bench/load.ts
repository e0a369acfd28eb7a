// A process of SDK clients that sign for a while. Task on stdin, report on stdout, both JSON.
import { text } from 'node:stream/consumers'
import { MemoryShareStore, Vertex } from '@vertex/sdk'
import type { LoadReport } from './service.js'

const task = JSON.parse(await text(process.stdin)) as {
  url: string
  apiKey: string
  clients: number
  seconds: number
}
const message = new TextEncoder().encode('how many of these per second?')
const keygenMs: number[] = []
const keys = []
for (let client = 0; client < task.clients; client++) {
  const vertex = new Vertex({
    url: task.url,
    apiKey: task.apiKey,
    store: new MemoryShareStore(),
    allowHttpOnLoopback: true,
  })
  const from = performance.now()
  keys.push({ vertex, key: await vertex.ecdsa.createKey() })
  keygenMs.push(performance.now() - from)
}

const latencies: number[] = []
const start = performance.now()
const end = start + task.seconds * 1000
await Promise.all(
  keys.map(async ({ key }) => {
    while (performance.now() < end) {
      const from = performance.now()
      await key.sign({ message, hashAlgo: 'sha256' })
      latencies.push(performance.now() - from)
    }
  }),
)
const report: LoadReport = {
  clients: task.clients,
  seconds: (performance.now() - start) / 1000,
  signatures: latencies.length,
  latencies,
  keygenMs,
}
for (const { vertex } of keys) await vertex.close()
process.stdout.write(JSON.stringify(report))
