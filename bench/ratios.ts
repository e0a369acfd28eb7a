import type { Samples } from './samples.js'
import { median } from './statistics.js'

/** A value with the smallest and the largest that was seen, over so many samples. */
export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
  readonly samples: number
}

const rivals = ['dkls_wasm_ll', 'tss_dkls_lib'] as const

/** Each ratio by its name: what is above the line, and what is below. */
const parts: Readonly<Record<string, readonly [above: string, below: string]>> = {
  ...Object.fromEntries(
    ['sign_2of2', 'keygen_2of2', 'sign_2of3', 'keygen_2of3'].flatMap((question) =>
      rivals.flatMap((rival) =>
        ['', 'portable_'].map((suite) => [
          `${suite}${question}/${rival}`,
          [`${suite}${question}_cpu_ms`, `${question}/${rival}_cpu_ms`],
        ]),
      ),
    ),
  ),
  'service_sqlite/protocol': [
    'service_sqlite_signatures_per_s',
    'protocol_2_processes_signatures_per_s',
  ],
  'service_postgres/protocol': [
    'service_postgres_signatures_per_s',
    'protocol_2_processes_signatures_per_s',
  ],
  'service_sqlite/run': ['service_sqlite_signatures_per_s', 'run_2_processes_signatures_per_s'],
  'service_postgres/run': ['service_postgres_signatures_per_s', 'run_2_processes_signatures_per_s'],
  'run/protocol': ['run_2_processes_signatures_per_s', 'protocol_2_processes_signatures_per_s'],
  'batch_16/single': ['service_batch_16_cpu_ms', 'service_single_cpu_ms'],
  'keys_100000/keys_10': ['keys_100000_signatures_per_s', 'keys_10_signatures_per_s'],
  'sign_2of2/floor': ['sign_2of2_cpu_ms', 'floor_sign_2of2_ms'],
  'keygen_2of2/floor': ['keygen_2of2_cpu_ms', 'floor_keygen_2of2_ms'],
}

/**
 * Ratios of medians, of whatever was measured. Their spread is that of the ratios of samples taken in the same turn,
 * where both sides have as many; else that of the extremes.
 */
export function ratiosOf(samples: Samples): Map<string, Spread> {
  const ratios = new Map<string, Spread>()
  for (const [name, [aboveName, belowName]] of Object.entries(parts)) {
    const above = samples.get(aboveName)
    const below = samples.get(belowName)
    if (above === undefined || below === undefined) continue
    const each =
      above.length === below.length
        ? above.map((value, i) => value / below[i]!)
        : [Math.min(...above) / Math.max(...below), Math.max(...above) / Math.min(...below)]
    ratios.set(name, {
      median: median(above) / median(below),
      min: Math.min(...each),
      max: Math.max(...each),
      samples: Math.min(above.length, below.length),
    })
  }
  return ratios
}

export const spreadOf = (values: readonly number[]): Spread => ({
  median: median(values),
  min: Math.min(...values),
  max: Math.max(...values),
  samples: values.length,
})
