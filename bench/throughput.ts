import { startChild } from './child.js'
import type { Samples } from './samples.js'
import {
  clientCpu,
  CLIENTS,
  p99,
  perSecond,
  serverCpu,
  wholeCpu,
  window,
  type Service,
  type WarmWindows,
} from './service.js'
import { median } from './statistics.js'

/**
 * Signatures per second of two processes that run nothing but the in-memory protocol, both parties in each, without
 * and with the channel between them, and of whole services under 32 clients: window after window in turn.
 */
export async function measureThroughput(
  services: Readonly<Record<string, Service>>,
  { warmUpMs, ...windows }: WarmWindows,
  samples: Samples,
  progress: (what: string) => void,
): Promise<void> {
  const pair = [startChild('protocol-process'), startChild('protocol-process')]
  const protocol = async (task: 'sign' | 'run', ms: number) => {
    const each = await Promise.all(pair.map((one) => one.ask<number>(task, { ms })))
    return each.reduce((sum, rate) => sum + rate, 0)
  }
  const load = { lanes: CLIENTS, ms: windows.ms }
  try {
    progress('throughput, warming up')
    for (const task of ['sign', 'run'] as const) await protocol(task, Math.min(warmUpMs, 5000))
    for (const service of Object.values(services))
      await window(service, 'sign', { ...load, ms: warmUpMs })
    for (let i = 0; i < windows.count; i++) {
      progress(`throughput ${i + 1}/${windows.count}`)
      for (const [name, task] of [
        ['protocol', 'sign'],
        ['run', 'run'],
      ] as const) {
        const rate = await protocol(task, windows.ms)
        samples.add(`${name}_2_processes_signatures_per_s`, rate)
      }
      for (const [name, service] of Object.entries(services)) {
        const seen = await window(service, 'sign', load)
        samples.add(`service_${name}_signatures_per_s`, perSecond(seen))
        samples.add(`service_${name}_server_cpu_ms`, serverCpu(seen))
        samples.add(`service_${name}_client_cpu_ms`, clientCpu(seen))
        samples.add(`service_${name}_cpu_ms`, wholeCpu(seen))
        samples.add(`service_${name}_latency_32_clients_ms`, median(seen.report.latencies))
        samples.add(`service_${name}_latency_32_clients_p99_ms`, p99(seen))
      }
    }
  } finally {
    await Promise.all(pair.map((one) => one.end()))
  }
}
