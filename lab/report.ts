import { median } from '../bench/statistics.js'
import type { Findings } from './ledger.js'

/** What came of one scenario on one engine. */
export interface Row {
  readonly scenario: string
  readonly engine: string
  readonly runs: number
  readonly acknowledged: number
  readonly lost: number
  readonly wrong: number
  readonly recovery_ms: { readonly median: number; readonly worst: number } | null
  readonly seeds: readonly number[]
}

/** A loss or a fault, and how to see it again. */
export interface Failure {
  readonly scenario: string
  readonly engine: string
  readonly seed: number
  readonly lost: readonly string[]
  readonly wrong: readonly string[]
}

export interface Report {
  readonly seed: number
  readonly short: boolean
  readonly seconds: number
  readonly recovery_goal_ms: number
  readonly rows: readonly Row[]
  readonly failures: readonly Failure[]
  readonly skipped: readonly { readonly scenario: string; readonly why: string }[]
  /** What was interrupted, or not begun. Planned is null where it was not known yet. */
  readonly unfinished: readonly {
    readonly scenario: string
    readonly runs: number
    readonly planned: number | null
  }[]
}

export const RECOVERY_GOAL_MS = 10_000

/** Adds up the runs of a scenario. */
export function rowOf(
  scenario: string,
  engine: string,
  runs: readonly (Findings & { readonly seed: number })[],
): Row {
  const sum = (of: (one: Findings) => number) => runs.reduce((all, one) => all + of(one), 0)
  const times = runs.flatMap(({ recoveryMs }) => recoveryMs)
  return {
    scenario,
    engine,
    runs: runs.length,
    acknowledged: sum(({ acknowledged }) => acknowledged),
    lost: sum(({ lost }) => lost.length),
    wrong: sum(({ wrong }) => wrong.length),
    recovery_ms: times.length === 0 ? null : { median: median(times), worst: Math.max(...times) },
    seeds: runs.map(({ seed }) => seed),
  }
}

/** Whether nothing was lost and nothing was wrong. Times never fail a run. */
export const isClean = ({ rows }: Report): boolean =>
  rows.every(({ lost, wrong }) => lost === 0 && wrong === 0)

export function toText(report: Report): string {
  const head = ['scenario', 'engine', 'runs', 'acknowledged', 'lost', 'wrong', 'median', 'worst']
  const table = report.rows.map((row) => [
    row.scenario,
    row.engine,
    ...[row.runs, row.acknowledged, row.lost, row.wrong].map(String),
    ms(row.recovery_ms?.median),
    ms(row.recovery_ms?.worst),
  ])
  const widths = head.map((word, i) => Math.max(word.length, ...table.map((row) => row[i]!.length)))
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => (i < 2 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
      .join('  ')
      .trimEnd()
  const slow = report.rows.filter(
    ({ recovery_ms: time }) => time !== null && time.worst > report.recovery_goal_ms,
  )
  return [
    line(head),
    ...table.map(line),
    '',
    ...report.rows.map((row) => `${row.scenario} on ${row.engine}, seeds ${spans(row.seeds)}`),
    ...report.failures.flatMap((failure) => ['', ...failureText(failure)]),
    ...report.skipped.map(({ scenario, why }) => `SKIPPED ${scenario}: ${why}`),
    ...report.unfinished.map(
      ({ scenario, runs, planned }) =>
        `NOT FINISHED ${scenario}: ${runs} of ${planned ?? 'all'} runs`,
    ),
    ...slow.map(
      ({ scenario, engine }) =>
        `SLOWER than the goal of ${report.recovery_goal_ms} ms to recover: ${scenario} on ${engine}`,
    ),
    `${report.seconds} s, seed ${report.seed}: ${isClean(report) ? 'nothing lost, nothing wrong' : 'LOST OR WRONG'}`,
    '',
  ].join('\n')
}

const ms = (time: number | undefined) => (time === undefined ? '–' : `${Math.round(time)} ms`)

/** What a run lost and what went wrong in it, and how to see it again. */
export const failureText = (failure: Failure): string[] => [
  `${failure.scenario} on ${failure.engine}, again by ${again(failure)}`,
  ...failure.lost.map((what) => `  LOST   ${what}`),
  ...failure.wrong.map((what) => `  WRONG  ${what}`),
]

const again = ({ scenario, engine, seed }: Failure) =>
  `npm run lab -- --scenario ${scenario} --engine ${engine} --seed ${seed}`

/** 1, 2, 3, 7 as "1-3 7". */
function spans(seeds: readonly number[]): string {
  const sorted = [...seeds].sort((a, b) => a - b)
  const found: [number, number][] = []
  for (const seed of sorted) {
    const last = found.at(-1)
    if (last !== undefined && seed <= last[1] + 1) last[1] = seed
    else found.push([seed, seed])
  }
  return found.map(([from, to]) => (from === to ? String(from) : `${from}-${to}`)).join(' ')
}
