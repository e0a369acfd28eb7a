import { startChild } from './child.js'
import type { Samples } from './samples.js'
import { CLIENTS, window, type Service } from './service.js'
import { quantile } from './statistics.js'

/** How long a third process waits for `/livez` while all clients sign. */
export async function measureEventLoop(
  service: Service,
  { count, gapMs }: { readonly count: number; readonly gapMs: number },
  samples: Samples,
  progress: (what: string) => void,
): Promise<void> {
  progress(`${count} probes of /livez`)
  const prober = startChild('probe-process')
  try {
    const { url } = service.vertex
    await prober.ask('probe', { url, count: 20, gapMs }) // connections, compilers
    const load = window(service, 'sign', { lanes: CLIENTS, ms: count * gapMs + 1000 })
    await new Promise((resolve) => setTimeout(resolve, 500)) // all clients are at work
    const waits = await prober.ask<number[]>('probe', { url, count, gapMs })
    await load
    samples.add('livez_ms', ...waits)
    samples.add('livez_p99_ms', quantile(waits, 0.99))
  } finally {
    await prober.end()
  }
}
