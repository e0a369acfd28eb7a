import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { missingPostgres, startPostgres, type TestPostgres } from '../test/support/postgres.js'
import type { EngineName } from './database.js'
import { described, nothingFound, type Findings } from './ledger.js'
import { Random } from './random.js'
import { RECOVERY_GOAL_MS, rowOf, type Failure, type Report, type Row } from './report.js'
import type { Experiment, Lab, Scenario } from './scenario.js'

export interface Plan {
  readonly scenarios: readonly Scenario[]
  /** Both if undefined. */
  readonly engine: EngineName | undefined
  /** Everything that is drawn follows from it. */
  readonly seed: number
  /** The seed is that of one run, which alone is made. */
  readonly once: boolean
  readonly short: boolean
  /** The scenarios were asked for by name, so the short form leaves none of them out. */
  readonly named: boolean
  readonly progress: (what: string) => void
}

/** No scenario is begun later than this in the short form, so that it ends within a minute. */
const SHORT_MS = 35_000
/** Scenarios at one time in the short form: most of a run is waiting. */
const SHORT_AT_ONCE = 2

interface Task {
  readonly scenario: Scenario
  readonly engine: EngineName
}

/** Makes the runs of all scenarios, and tells what was lost, wrong, and how long it took to recover. */
export async function experiment(plan: Plan): Promise<Report> {
  const began = performance.now()
  const rows: Row[] = []
  const failures: Failure[] = []
  const skipped: { scenario: string; why: string }[] = []
  const place = await laboratory(plan.short)
  const tasks = plan.scenarios.flatMap((scenario) =>
    scenario.engines
      .filter((engine) => plan.engine === undefined || plan.engine === engine)
      .filter((engine) => !plan.short || plan.named || scenario.short?.includes(engine) === true)
      .map((engine): Task => ({ scenario, engine })),
  )
  const names = new Map<Row, number>()
  const work = async (at: number, { scenario, engine }: Task) => {
    const name = `${scenario.name} on ${engine}`
    const why = scenario.missing?.() ?? (engine === 'postgres' ? missingPostgres() : undefined)
    if (why !== undefined) {
      skipped.push({ scenario: name, why })
      return
    }
    if (plan.short && performance.now() - began > SHORT_MS) {
      skipped.push({ scenario: name, why: 'the time of the short form was over' })
      return
    }
    const runs = await runsOf(plan, place.lab, { scenario, engine }, name)
    const row = rowOf(scenario.name, engine, runs)
    names.set(row, at)
    rows.push(row)
    for (const { seed, lost, wrong } of runs)
      if (lost.length + wrong.length > 0)
        failures.push({ scenario: scenario.name, engine, seed, lost, wrong })
  }
  const queue = tasks.entries()
  const lane = async () => {
    for (const [at, task] of queue) await work(at, task)
  }
  try {
    await Promise.all(Array.from({ length: plan.short ? SHORT_AT_ONCE : 1 }, lane))
  } finally {
    await place.close()
  }
  return {
    seed: plan.seed,
    short: plan.short,
    seconds: Math.round((performance.now() - began) / 1000),
    recovery_goal_ms: RECOVERY_GOAL_MS,
    rows: rows.sort((a, b) => names.get(a)! - names.get(b)!),
    failures,
    skipped,
  }
}

type Run = Findings & { readonly seed: number }

/** All runs of one scenario on one engine, in as many vaults at a time as it has lanes. */
async function runsOf(plan: Plan, lab: Lab, { scenario, engine }: Task, name: string) {
  const runs: Run[] = []
  const open = async () => {
    plan.progress(`${name}: a vault`)
    return scenario.open(lab, engine)
  }
  const first = await open()
  let seeds: readonly number[]
  try {
    seeds = plan.once ? [plan.seed] : await first.seeds(new Random(plan.seed))
  } catch (error) {
    await first.close()
    return [
      { seed: plan.seed, ...nothingFound(), wrong: [`before any fault: ${described(error)}`] },
    ]
  }
  const queue = seeds[Symbol.iterator]()
  const lane = async (opening: Promise<Experiment>) => {
    let experiment = await opening
    try {
      for (const seed of queue) {
        plan.progress(`${name}: run ${runs.length + 1} of ${seeds.length}, seed ${seed}`)
        try {
          runs.push({ seed, ...(await experiment.run(seed)) })
        } catch (error) {
          const found = experiment.world.ledger.take()
          const wrong = [...found.wrong, `the run did not end: ${described(error)}`]
          runs.push({ seed, ...found, wrong })
          await experiment.close()
          experiment = await open()
        }
      }
    } finally {
      await experiment.close()
    }
  }
  const lanes = plan.short ? 1 : Math.min(scenario.lanes?.[engine] ?? 1, seeds.length)
  await Promise.all(
    Array.from({ length: Math.max(1, lanes) }, (_, i) =>
      lane(i === 0 ? Promise.resolve(first) : open()),
    ),
  )
  return runs
}

/** Folders and a Postgres for as long as they are needed. */
async function laboratory(short: boolean): Promise<{ lab: Lab; close(): Promise<void> }> {
  const root = mkdtempSync(join(tmpdir(), 'vertex-lab-'))
  // The user of a Postgres must get to its part of it.
  chmodSync(root, 0o711)
  const remove = () => rmSync(root, { recursive: true, force: true })
  process.once('exit', remove)
  let folders = 0
  let postgres: Promise<TestPostgres> | undefined
  const lab: Lab = {
    short,
    folder: () => {
      const folder = join(root, String((folders += 1)))
      mkdirSync(folder, { mode: 0o711 })
      return folder
    },
    postgres: () => (postgres ??= startPostgres()),
  }
  return Promise.resolve({
    lab,
    close: async () => {
      await (await postgres)?.stop()
      process.off('exit', remove)
      remove()
    },
  })
}
