import { once } from 'node:events'
import { chmodSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { missingPostgres, startPostgres, type TestPostgres } from '../test/support/postgres.js'
import type { EngineName } from './database.js'
import { described, nothingFound, type Findings } from './ledger.js'
import { Random } from './random.js'
import { RECOVERY_GOAL_MS, rowOf, type Failure, type Report } from './report.js'
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
  /** Is told of each run that lost something or went wrong, when it ends. */
  readonly found: (failure: Failure) => void
  /** Ends it before everything was run; what was found until then is reported. */
  readonly interrupted: AbortSignal
}

/** No scenario is begun later than this in the short form, so that it ends within a minute. */
const SHORT_MS = 35_000
/** Scenarios at one time in the short form: most of a run is waiting. */
const SHORT_AT_ONCE = 2

interface Task {
  readonly scenario: Scenario
  readonly engine: EngineName
}

/** Runs of one scenario on one engine. */
interface Made {
  readonly task: Task
  readonly runs: Run[]
  /** How many there are to be; undefined until that is known. */
  planned?: number
  /** What is running, and its seed. */
  readonly running: Map<Experiment, number>
}

/** Makes the runs of all scenarios, and tells what was lost, wrong, and how long it took to recover. */
export async function experiment(plan: Plan): Promise<Report> {
  const began = performance.now()
  const skipped: { scenario: string; why: string }[] = []
  const place = await laboratory(plan.short)
  const tasks = plan.scenarios.flatMap((scenario) =>
    scenario.engines
      .filter((engine) => plan.engine === undefined || plan.engine === engine)
      .filter((engine) => !plan.short || plan.named || scenario.short?.includes(engine) === true)
      .map((engine): Made => ({ task: { scenario, engine }, runs: [], running: new Map() })),
  )
  const work = async (made: Made) => {
    const { scenario, engine } = made.task
    const why = scenario.missing?.() ?? (engine === 'postgres' ? missingPostgres() : undefined)
    const late = plan.short && performance.now() - began > SHORT_MS
    if (why !== undefined || late) {
      made.planned = 0
      skipped.push({
        scenario: nameOf(made.task),
        why: why ?? 'the time of the short form was over',
      })
      return
    }
    await makeRuns(plan, place.lab, made)
  }
  const queue = tasks.values()
  const lane = async () => {
    for (const made of queue) await work(made)
  }
  const all = Promise.all(Array.from({ length: plan.short ? SHORT_AT_ONCE : 1 }, lane)).finally(
    () => place.close(),
  )
  await Promise.race([all, abortOf(plan.interrupted)])
  if (plan.interrupted.aborted) {
    // What goes on in the background ends with the process, and has nothing to say any more.
    all.catch(() => undefined)
    for (const made of tasks) takeFromRunning(made)
  }
  const done = tasks.filter(({ runs }) => runs.length > 0)
  return {
    seed: plan.seed,
    short: plan.short,
    seconds: Math.round((performance.now() - began) / 1000),
    recovery_goal_ms: RECOVERY_GOAL_MS,
    rows: done.map(({ task, runs }) => rowOf(task.scenario.name, task.engine, runs)),
    failures: done.flatMap(({ task, runs }) =>
      runs.map((run) => failureOf(task, run)).filter((failure) => failure !== undefined),
    ),
    skipped,
    unfinished: tasks
      .filter(({ runs, planned }) => runs.length !== planned)
      .map(({ task, runs, planned = null }) => ({
        scenario: nameOf(task),
        runs: runs.length,
        planned,
      })),
  }
}

type Run = Findings & { readonly seed: number }

const nameOf = ({ scenario, engine }: Task) => `${scenario.name} on ${engine}`

const abortOf = (signal: AbortSignal) =>
  signal.aborted ? Promise.resolve() : once(signal, 'abort')

function failureOf({ scenario, engine }: Task, { seed, lost, wrong }: Run): Failure | undefined {
  if (lost.length + wrong.length === 0) return undefined
  return { scenario: scenario.name, engine, seed, lost, wrong }
}

/** What runs that are cut off have found so far; one that has found nothing has told nothing. */
function takeFromRunning({ runs, running }: Made): void {
  for (const [experiment, seed] of running) {
    const found = experiment.world.ledger.take()
    if (found.lost.length + found.wrong.length > 0) runs.push({ seed, ...found })
  }
}

/** All runs of one scenario on one engine, in as many vaults at a time as it has lanes. */
async function makeRuns(plan: Plan, lab: Lab, made: Made): Promise<void> {
  const { task, runs, running } = made
  const { scenario, engine } = task
  const name = nameOf(task)
  const ended = (run: Run) => {
    // What happens after an interruption may be its doing.
    if (plan.interrupted.aborted) return
    runs.push(run)
    const failure = failureOf(task, run)
    if (failure !== undefined) plan.found(failure)
  }
  /** @returns undefined when there is no vault, which is a finding */
  const open = async (seed: number) => {
    plan.progress(`${name}: a vault`)
    try {
      return await scenario.open(lab, engine)
    } catch (error) {
      ended({ seed, ...nothingFound(), wrong: [`no vault: ${described(error)}`] })
      return undefined
    }
  }
  const first = await open(plan.seed)
  if (first === undefined) return
  let seeds: readonly number[]
  try {
    seeds = plan.once ? [plan.seed] : await first.seeds(new Random(plan.seed))
  } catch (error) {
    await first.close()
    const wrong = [`before any fault: ${described(error)}`]
    ended({ seed: plan.seed, ...nothingFound(), wrong })
    return
  }
  made.planned = seeds.length
  const queue = seeds[Symbol.iterator]()
  const lane = async (experiment: Experiment | undefined) => {
    if (experiment === undefined) return
    for (const seed of queue) {
      plan.progress(`${name}: run ${runs.length + 1} of ${seeds.length}, seed ${seed}`)
      running.set(experiment, seed)
      try {
        ended({ seed, ...(await experiment.run(seed)) })
        running.delete(experiment)
      } catch (error) {
        const found = experiment.world.ledger.take()
        const wrong = [...found.wrong, `the run did not end: ${described(error)}`]
        ended({ seed, ...found, wrong })
        running.delete(experiment)
        await experiment.close()
        return lane(await open(seed))
      }
    }
    await experiment.close()
  }
  const lanes = plan.short ? 1 : Math.min(scenario.lanes?.[engine] ?? 1, seeds.length)
  const more = Array.from({ length: lanes - 1 }, () => open(plan.seed).then(lane))
  await Promise.all([lane(first), ...more])
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
