import type { Machine } from './machine.js'
import { ratiosOf, spreadOf, type Spread } from './ratios.js'
import type { Samples } from './samples.js'
import { round } from './statistics.js'
import { judge, type Verdict } from './targets.js'
import { SETTINGS_OF_SERVICE } from './vertex.js'

export interface Report {
  readonly machine: Machine
  /** How the service was set up. */
  readonly settings: string
  /** Medians: ms of CPU of all parties, bytes, or what the name says. */
  readonly results: Readonly<Record<string, number>>
  /** Medians, ours over theirs. */
  readonly ratios: Readonly<Record<string, number>>
  /** Of results and ratios: smallest, largest, number of samples. */
  readonly spread: Readonly<Record<string, Omit<Spread, 'median'>>>
  readonly targets: readonly Verdict[]
  readonly missed_targets: readonly string[]
  /** What could not be measured here, and why. */
  readonly skipped: readonly string[]
}

export function makeReport(
  machine: Machine,
  samples: Samples,
  skipped: readonly string[] = [],
): Report {
  const measured = new Map([...samples.entries()].map(([name, all]) => [name, spreadOf(all)]))
  const ratios = ratiosOf(samples)
  const verdicts = judge((name) => (ratios.get(name) ?? measured.get(name))?.median)
  return {
    machine,
    settings: SETTINGS_OF_SERVICE,
    results: medians(measured),
    ratios: medians(ratios),
    spread: Object.fromEntries(
      [...measured, ...ratios].map(([name, { min, max, samples: count }]) => [
        name,
        { min: round(min), max: round(max), samples: count },
      ]),
    ),
    targets: verdicts,
    missed_targets: verdicts.filter(({ met }) => met === false).map(inWords),
    skipped,
  }
}

const medians = (of: ReadonlyMap<string, Spread>): Record<string, number> =>
  Object.fromEntries([...of].map(([name, { median }]) => [name, round(median)]))

/** A verdict as one line. */
export function inWords({ name, what, value, atMost, atLeast }: Verdict): string {
  const limits = [
    ...(atLeast === undefined ? [] : [`at least ${shown(atLeast)}`]),
    ...(atMost === undefined ? [] : [`at most ${shown(atMost)}`]),
  ].join(' and ')
  return `${name} is ${value === undefined ? 'not measured' : shown(value)}, the target is ${limits} (${what})`
}

/** For people: four digits, thousands apart, and small limits as the fraction they are. */
export function shown(value: number): string {
  const inverse = 1 / value
  if (value < 0.5 && Math.abs(inverse - Math.round(inverse)) < 1e-9)
    return `1/${Math.round(inverse)}`
  return round(value).toLocaleString('en-US', { maximumFractionDigits: 6 })
}

/** The report for a terminal. */
export function toText(report: Report): string {
  const { cpu, cores, node, arch, curve, kernel, portable_curve } = report.machine
  const lines = [
    '',
    `${cpu}, ${cores} cores; Node ${node} on ${arch}`,
    `curve ${curve}, kernel ${kernel}; portable: curve ${portable_curve}`,
    'CPU is that of all parties. Medians.',
    report.settings,
    '',
    ...rows(report, 'result', report.results),
  ]
  if (Object.keys(report.ratios).length > 0)
    lines.push('', ...rows(report, 'ratio, ours over theirs', report.ratios))
  lines.push('', 'targets')
  for (const verdict of report.targets) {
    const mark = verdict.met === undefined ? '–     ' : verdict.met ? 'met   ' : 'MISSED'
    lines.push(`${mark}  ${inWords(verdict)}`)
  }
  for (const what of report.skipped) lines.push('', `SKIPPED: ${what}`)
  return `${lines.join('\n')}\n`
}

function rows(
  report: Report,
  title: string,
  values: Readonly<Record<string, number>>,
): readonly string[] {
  const width = Math.max(title.length, ...Object.keys(values).map((name) => name.length))
  const cells = (...parts: readonly string[]) => parts.map((part) => part.padStart(12)).join('')
  return [
    `${title.padEnd(width)}${cells('median', 'min', 'max', 'samples')}`,
    ...Object.entries(values).map(([name, value]) => {
      const { min, max, samples } = report.spread[name]!
      return `${name.padEnd(width)}${cells(...[value, min, max].map(String), String(samples))}`
    }),
  ]
}
