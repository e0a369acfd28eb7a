import type { Samples } from './compare.js'
import { median, quantile } from './measure.js'
import type { Traffic } from './in-memory.js'
import type { LoadReport } from './service.js'

/** What a ratio has to reach; the others are reported only. */
const targets: Readonly<Record<string, number>> = {
  'keygen_2of2/dkls_wasm_ll': 1 / 4,
}

export interface Report {
  readonly machine: { readonly node: string; readonly arch: string; readonly curve: string }
  /** Medians: ms of CPU of all parties, bytes, or what the name says. */
  readonly results: Readonly<Record<string, number>>
  /** Ours over the rival's; below 1 is faster. */
  readonly ratios: Readonly<Record<string, number>>
  readonly missed_targets: readonly string[]
}

export function makeReport(
  curve: string,
  samples: Samples,
  traffic: Readonly<Record<string, Traffic>>,
  loads: readonly LoadReport[],
): Report {
  const results: Record<string, number> = {}
  for (const [name, values] of samples) results[`${name}_cpu_ms`] = round(median(values))
  for (const [name, { bytes, messages, flights }] of Object.entries(traffic)) {
    results[`${name}_bytes`] = bytes
    results[`${name}_messages`] = messages
    results[`${name}_flights`] = flights
  }
  for (const { clients, signatures, seconds, latencies } of loads) {
    results[`service_${clients}_signatures_per_s`] = round(signatures / seconds)
    results[`service_${clients}_latency_ms`] = round(median(latencies))
    results[`service_${clients}_latency_p99_ms`] = round(quantile(latencies, 0.99))
  }

  const ratios: Record<string, number> = {}
  for (const [name, values] of samples) {
    const [question, rival] = name.split('/')
    if (rival === undefined) continue
    const theirs = median(values)
    ratios[name] = round(median(samples.get(question!)!) / theirs)
    const portable = samples.get(`portable_${question}`)
    if (portable !== undefined) ratios[`portable_${name}`] = round(median(portable) / theirs)
  }
  const missed = Object.entries(targets)
    .filter(([name, target]) => (ratios[name] ?? 0) > target)
    .map(([name, target]) => `${name} is ${ratios[name]}, the target is at most ${target}`)
  return {
    machine: { node: process.version, arch: process.arch, curve },
    results,
    ratios,
    missed_targets: missed,
  }
}

export function printTable(report: Report): void {
  const { node, arch, curve } = report.machine
  console.log(
    `\nNode ${node} on ${arch}, curve backend ${curve}. CPU is that of all parties, medians.\n`,
  )
  printRows('result', report.results)
  if (Object.keys(report.ratios).length > 0) {
    console.log('')
    printRows('ratio, ours over theirs', report.ratios)
  }
  for (const missed of report.missed_targets) console.log(`\nMISSED: ${missed}`)
}

function printRows(title: string, rows: Readonly<Record<string, number>>): void {
  const width = Math.max(title.length, ...Object.keys(rows).map((name) => name.length))
  console.log(`${title.padEnd(width)}  ${'value'.padStart(12)}`)
  for (const [name, value] of Object.entries(rows))
    console.log(`${name.padEnd(width)}  ${String(value).padStart(12)}`)
}

const round = (value: number): number => Number(value.toPrecision(4))
