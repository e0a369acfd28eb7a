import { measureBatch } from './batch.js'
import { measureEventLoop } from './event-loop.js'
import { measureLatency } from './latency.js'
import type { Samples } from './samples.js'
import {
  CLIENTS,
  withPostgres,
  withService,
  type Service,
  type WarmWindows,
  type Windows,
} from './service.js'
import { measureThroughput } from './throughput.js'

export interface ServicePlan {
  readonly throughput: WarmWindows
  readonly latencyMs: number
  readonly probes: { readonly count: number; readonly gapMs: number }
  readonly batch: Windows
}

/** All questions to a whole service. Answers what could not be asked here, and why. */
export async function measureServices(
  plan: ServicePlan,
  samples: Samples,
  progress: (what: string) => void,
): Promise<string[]> {
  const skipped: string[] = []
  progress('starting a service on SQLite')
  await withService(
    () => ({}),
    CLIENTS,
    async (sqlite) => {
      const throughput = (services: Readonly<Record<string, Service>>) =>
        measureThroughput(services, plan.throughput, samples, progress)
      progress('starting a service on Postgres')
      const postgres = await withPostgres((settingsIn) =>
        withService(settingsIn, CLIENTS, (service) => throughput({ sqlite, postgres: service })),
      )
      if ('missing' in postgres) {
        skipped.push(`service_postgres/protocol: ${postgres.missing}`)
        await throughput({ sqlite })
      }
      await measureLatency(sqlite, plan.latencyMs, samples, progress)
      await measureEventLoop(sqlite, plan.probes, samples, progress)
      await measureBatch(sqlite, plan.batch, samples, progress)
    },
  )
  return skipped
}
