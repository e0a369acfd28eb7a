import type { Samples } from './samples.js'
import { wholeCpu, window, type Service, type Windows } from './service.js'

const SIZE = 16

/**
 * What a signature costs server and client together when 16 are made in one batch, and one by one, as many under
 * way.
 */
export async function measureBatch(
  service: Service,
  { count, ms }: Windows,
  samples: Samples,
  progress: (what: string) => void,
): Promise<void> {
  for (let i = 0; i <= count; i++) {
    progress(`batch ${i}/${count}`)
    const single = await window(service, 'sign', { lanes: SIZE, ms })
    const batch = await window(service, 'batch', { size: SIZE, ms })
    if (i === 0) continue // warming up
    samples.add('service_single_cpu_ms', wholeCpu(single))
    samples.add(`service_batch_${SIZE}_cpu_ms`, wholeCpu(batch))
  }
}
