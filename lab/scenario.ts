import type { EngineName } from './database.js'
import type { Findings } from './ledger.js'
import type { Random } from './random.js'
import type { World } from './world.js'
import type { TestPostgres } from '../test/support/postgres.js'

/** What a scenario has of the laboratory. */
export interface Lab {
  /** A new, empty folder, which is removed at the end. */
  folder(): string
  /** The Postgres that nobody makes fail; started when it is first asked for. */
  postgres(): Promise<TestPostgres>
  readonly short: boolean
}

/** One kind of fault. */
export interface Scenario {
  readonly name: string
  /** What is done and what is looked for, in a line. */
  readonly about: string
  readonly engines: readonly EngineName[]
  /** On which of them it is part of the short form; none if absent. */
  readonly short?: readonly EngineName[]
  /** Why it cannot run on this machine; undefined when it can. */
  missing?(): string | undefined
  /** How many vaults go through a whole form at the same time; 1 if absent. For what mostly waits. */
  readonly lanes?: Readonly<Partial<Record<EngineName, number>>>
  open(lab: Lab, engine: EngineName): Promise<Experiment>
}

/** A scenario on one vault, in which run follows run. */
export interface Experiment {
  /** What was acknowledged, and what has been found so far. */
  readonly world: Pick<World, 'ledger'>
  /** The runs to make, each by its seed: it decides all that the laboratory decides in that run. */
  seeds(random: Random): Promise<readonly number[]> | readonly number[]
  /** Makes one run. What it throws is wrong, and ends the experiment. */
  run(seed: number): Promise<Findings>
  close(): Promise<void>
}
