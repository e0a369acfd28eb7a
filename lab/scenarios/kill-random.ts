import { setTimeout as sleep } from 'node:timers/promises'
import { load } from '../load.js'
import { openWorld } from '../open-world.js'
import { someKey } from '../operations.js'
import { Random } from '../random.js'
import type { Scenario } from '../scenario.js'

export const killRandom: Scenario = {
  name: 'kill-random',
  about: 'kill -9 of the server at a random moment, while keys are made, used and imported',
  engines: ['sqlite', 'postgres'],
  short: ['postgres'],
  lanes: { postgres: 2 },
  async open(lab, engine) {
    const world = await openWorld(lab, engine, { anchored: true })
    return {
      world,
      seeds: (random) => Array.from({ length: lab.short ? 1 : 25 }, () => random.below(2 ** 31)),
      async run(seed) {
        const random = new Random(seed)
        const probe = await someKey(world)
        const work = load(world, probe, random)
        await sleep(random.between(20, 1_500))
        const since = performance.now()
        await world.kill()
        await world.start()
        await world.recovers(since, probe)
        await work.stop()
        await world.ledger.audit()
        await world.inspect()
        return world.ledger.take()
      },
      close: () => world.close(),
    }
  },
}
