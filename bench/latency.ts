import type { Samples } from './samples.js'
import type { Crossings } from './round-trips.js'
import { p99, window, type Service } from './service.js'
import { median } from './statistics.js'

/** One client alone on loopback: how long a signature takes, and how often it waits for the other side. */
export async function measureLatency(
  service: Service,
  ms: number,
  samples: Samples,
  progress: (what: string) => void,
): Promise<void> {
  progress('latency of one client')
  await window(service, 'sign', { lanes: 1, ms: Math.min(ms / 2, 1000) })
  const seen = await window(service, 'sign', { lanes: 1, ms })
  samples.add('service_1_latency_ms', ...seen.report.latencies)
  samples.add('service_1_latency_p99_ms', p99(seen))

  progress('round trips')
  const { cold, warm } = await service.clients.ask<Crossings>('roundTrips', {
    url: service.vertex.url,
    apiKey: service.apiKey,
    signatures: 20,
  })
  samples.add('service_round_trips', cold.roundTrips)
  samples.add('service_round_trips_warm', ...warm.map(({ roundTrips }) => roundTrips))
  samples.add('service_http_requests_warm', ...warm.map(({ httpRequests }) => httpRequests))
  samples.add('service_relay_messages_warm', ...warm.map(({ relayMessages }) => relayMessages))
  const protocol = samples.get('sign_2of2_bytes')
  if (protocol === undefined) return
  const framing = warm.map(({ relayBytes }) => relayBytes - median(protocol))
  samples.add('service_relay_framing_bytes', ...framing)
}
