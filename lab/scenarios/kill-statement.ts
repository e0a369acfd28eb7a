import { killMoments, type KillMoment } from '../control.js'
import type { EngineName } from '../database.js'
import { openWorld } from '../open-world.js'
import { operations, someKey } from '../operations.js'
import type { Random } from '../random.js'
import type { Experiment, Lab, Scenario } from '../scenario.js'
import type { World } from '../world.js'

/** What a seed says: which operation is killed around which of its statements. */
const seedOf = (operation: number, at: number, when: KillMoment) =>
  (at * killMoments.length + killMoments.indexOf(when)) * operations.length + operation
const meaning = (seed: number) => {
  const moments = Math.floor(seed / operations.length)
  return {
    operation: operations[seed % operations.length]!,
    when: killMoments[moments % killMoments.length]!,
    at: Math.max(1, Math.floor(moments / killMoments.length)),
  }
}

/**
 * When a whole form kills, beside before the first statement. Between the end of one statement and the beginning of the
 * next nothing changes in a database, so `before` of all others would only be `after` once more; and Postgres goes on
 * with what it was sent, whoever is there to hear of it.
 */
const moment: Readonly<Record<EngineName, KillMoment>> = { sqlite: 'after', postgres: 'sent' }

export const killStatement: Scenario = {
  name: 'kill-statement',
  about: 'kill -9 between all database statements of keygen, sign, import, lock and delete',
  engines: ['sqlite', 'postgres'],
  short: ['sqlite'],
  // A process that follows one that was killed waits for its lease.
  lanes: { postgres: 4 },
  async open(lab, engine) {
    return new KillStatement(lab, engine, await openWorld(lab, engine, { anchored: true }))
  },
}

class KillStatement implements Experiment {
  constructor(
    private readonly lab: Lab,
    private readonly engine: EngineName,
    readonly world: World,
  ) {}

  async seeds(random: Random): Promise<readonly number[]> {
    // Without counting first: where an operation has fewer statements, the server is killed after it.
    if (this.lab.short)
      return [0, 1].map((operation) =>
        seedOf(operation, random.between(1, 10), random.of(killMoments)),
      )
    const all: number[] = []
    for (const [i, operation] of operations.entries()) {
      // Done once without a fault, to count its statements.
      const work = await operation.prepare(this.world)
      await this.world.control({})
      await work()
      const count = this.world.statements().length
      const after = Array.from({ length: count }, (_, n) => seedOf(i, n + 1, moment[this.engine]))
      all.push(seedOf(i, 1, 'before'), ...after)
    }
    this.world.ledger.take()
    return all
  }

  async run(seed: number) {
    const { world } = this
    const { operation, when, at } = meaning(seed)
    const probe = await someKey(world)
    const work = await operation.prepare(world)
    await world.control({ kill: { at, when } })
    await world.attempt(operation.name, work, ['keygen_unfinished'])
    // Where an operation asks for less than it did when its statements were counted, it has come to its end.
    const since = performance.now()
    await world.kill()
    await world.control({})
    await world.start()
    await world.recovers(since, probe)
    await world.ledger.audit()
    await world.inspect()
    return world.ledger.take()
  }

  close() {
    return this.world.close()
  }
}
