import { describe, expect, it } from 'vitest'
import type { Machine } from '../../bench/machine.js'
import { inWords, makeReport, shown, toText } from '../../bench/report.js'
import { Samples } from '../../bench/samples.js'
import { judge, targets } from '../../bench/targets.js'

const machine: Machine = {
  cpu: 'Some CPU',
  cores: 2,
  memory_gib: 4,
  node: 'v20.0.0',
  arch: 'x64',
  date: '2026-01-01',
  curve: 'libsecp256k1',
  kernel: 'wasm',
  portable_curve: 'wasm',
  rivals: {},
}

function samplesOf(all: Readonly<Record<string, readonly number[]>>): Samples {
  const samples = new Samples()
  for (const [name, values] of Object.entries(all)) samples.add(name, ...values)
  return samples
}

describe('the report of the benchmark', () => {
  it('gives medians, ratios of medians, and what was smallest and largest', () => {
    const report = makeReport(
      machine,
      samplesOf({
        sign_2of2_cpu_ms: [3, 4, 2],
        'sign_2of2/dkls_wasm_ll_cpu_ms': [60, 100, 80],
        portable_sign_2of2_cpu_ms: [20, 20, 20],
      }),
    )
    expect(report.results).toEqual({
      sign_2of2_cpu_ms: 3,
      'sign_2of2/dkls_wasm_ll_cpu_ms': 80,
      portable_sign_2of2_cpu_ms: 20,
    })
    expect(report.ratios).toEqual({
      'sign_2of2/dkls_wasm_ll': 0.0375,
      'portable_sign_2of2/dkls_wasm_ll': 0.25,
    })
    expect(report.spread['sign_2of2_cpu_ms']).toEqual({ min: 2, max: 4, samples: 3 })
    // Turn by turn: 3/60, 4/100, 2/80.
    expect(report.spread['sign_2of2/dkls_wasm_ll']).toEqual({ min: 0.025, max: 0.05, samples: 3 })
  })

  it('takes the extremes where the two sides were not sampled turn by turn', () => {
    const report = makeReport(
      machine,
      samplesOf({ sign_2of2_cpu_ms: [1, 2], 'sign_2of2/tss_dkls_lib_cpu_ms': [10, 20, 40] }),
    )
    const { min, max } = report.spread['sign_2of2/tss_dkls_lib']!
    expect([min, max]).toEqual([0.025, 0.2])
  })

  it('names the targets that were missed, and only those that were measured', () => {
    const report = makeReport(
      machine,
      samplesOf({
        sign_2of2_bytes: [94_001],
        service_round_trips: [6],
        service_sqlite_signatures_per_s: [100],
        protocol_2_processes_signatures_per_s: [200],
      }),
      ['batch_16/single: no reason'],
    )
    expect(report.missed_targets.map((line) => line.split(' ')[0])).toEqual([
      'sign_2of2_bytes',
      'service_sqlite/protocol',
    ])
    const text = toText(report)
    expect(text).toContain('MISSED  sign_2of2_bytes is 94,001, the target is at most 94,000')
    expect(text).toContain('met     service_round_trips is 6')
    expect(text).toContain('–       sign_2of2/dkls_wasm_ll is not measured')
    expect(text).toContain('SKIPPED: batch_16/single: no reason')
  })

  it('writes a small limit as the fraction it is', () => {
    expect([1 / 24, 1 / 3, 0.5, 0.7, 93_352].map(shown)).toEqual([
      '1/24',
      '1/3',
      '0.5',
      '0.7',
      '93,352',
    ])
  })
})

describe('the targets', () => {
  const verdictOf = (name: string, values: Readonly<Record<string, number>>) =>
    judge((wanted) => values[wanted]).find((verdict) => verdict.name === name)!

  it('are named once each', () => {
    expect(new Set(targets.map(({ name }) => name)).size).toBe(targets.length)
  })

  it('count the limit itself as met', () => {
    expect(verdictOf('sign_2of2/dkls_wasm_ll', { 'sign_2of2/dkls_wasm_ll': 1 / 24 })).toMatchObject(
      { met: true },
    )
    expect(verdictOf('sign_2of2/dkls_wasm_ll', { 'sign_2of2/dkls_wasm_ll': 0.042 })).toMatchObject({
      met: false,
    })
    expect(verdictOf('service_postgres/protocol', { 'service_postgres/protocol': 0.5 }).met).toBe(
      true,
    )
    expect(verdictOf('service_postgres/protocol', { 'service_postgres/protocol': 0.49 }).met).toBe(
      false,
    )
  })

  it('allow growth in neither direction', () => {
    const name = 'keys_100000/keys_10'
    expect(
      [0.89, 0.9, 1, 1.1, 1.11].map((value) => verdictOf(name, { [name]: value }).met),
    ).toEqual([false, true, true, true, false])
  })

  it('take the limit of the latency from the protocol of the same run', () => {
    const name = 'service_1_latency_ms'
    expect(verdictOf(name, { [name]: 14, sign_2of2_cpu_ms: 3 })).toMatchObject({
      atMost: 14,
      met: true,
    })
    expect(verdictOf(name, { [name]: 14.1, sign_2of2_cpu_ms: 3 }).met).toBe(false)
    expect(verdictOf(name, { [name]: 14 }).met).toBeUndefined()
    expect(inWords(verdictOf(name, { [name]: 14, sign_2of2_cpu_ms: 3 }))).toContain('at most 14')
  })
})
