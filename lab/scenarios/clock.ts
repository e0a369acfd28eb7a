import { openWorld } from '../open-world.js'
import { operations, someKey } from '../operations.js'
import { Random } from '../random.js'
import type { Lab, Scenario } from '../scenario.js'
import type { EngineName } from '../database.js'

const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE
const jumps = [MINUTE, 10 * MINUTE, 3 * 60 * MINUTE, 25 * 60 * MINUTE, 40 * DAY, 400 * DAY]

const clock = (name: string, about: string, direction: 1 | -1): Scenario => ({
  name,
  about,
  engines: ['sqlite', 'postgres'],
  short: direction === -1 ? ['sqlite'] : [],
  open: (lab, engine) => open(lab, engine, direction),
})

export const clocks: readonly Scenario[] = [
  clock('clock-forwards', "the server's clock jumps ahead, by a minute to a year", 1),
  clock('clock-backwards', "the server's clock jumps back, and a lock must not open", -1),
]

async function open(lab: Lab, engine: EngineName, direction: 1 | -1) {
  const world = await openWorld(lab, engine)
  const locking = operations.find(({ name }) => name === 'lock')!
  let clockMs = 0
  return {
    world,
    seeds: (random: Random) =>
      Array.from({ length: lab.short ? 1 : 8 }, () => random.below(2 ** 31)),
    async run(seed: number) {
      const random = new Random(seed)
      const probe = await someKey(world)
      // A lock lasts a day, so only a clock that goes back must leave it.
      if (direction === -1) await (await locking.prepare(world))()
      await world.createUser(`user ${random.below(2 ** 31)}`)
      clockMs += direction * random.of(jumps)
      const since = performance.now()
      await world.control({ clockMs })
      await world.recovers(since, probe)
      await world.insist('create key', () => world.createKey())
      await world.insist('create user', () => world.createUser(`later ${random.below(2 ** 31)}`))
      await world.insist('verify backup', () => probe.verifyBackup())
      await world.ledger.audit()
      if (random.below(2) === 0) {
        await world.kill()
        await world.start()
        await world.ledger.audit()
      }
      await world.inspect()
      return world.ledger.take()
    },
    close: () => world.close(),
  }
}
