import { KeyNotFoundError, VertexError } from '@vertex/sdk'
import { tellRestored } from '../command.js'
import { described } from '../ledger.js'
import { openWorld } from '../open-world.js'
import { someKey } from '../operations.js'
import { Random } from '../random.js'
import type { Lab, Scenario } from '../scenario.js'
import type { EngineName } from '../database.js'
import type { World } from '../world.js'

const restored = (name: string, about: string, told: boolean): Scenario => ({
  name,
  about,
  engines: ['sqlite', 'postgres'],
  short: told ? ['sqlite'] : [],
  open: (lab, engine) => open(lab, engine, told),
})

export const restores: readonly Scenario[] = [
  restored(
    'restored-told',
    'an older copy of the database is put back, and the vault is told',
    true,
  ),
  restored(
    'restored-untold',
    'an older copy is put back in silence: refused as documented, and telling mends it',
    false,
  ),
]

async function open(lab: Lab, engine: EngineName, told: boolean) {
  const world = await openWorld(lab, engine, { mayRecover: true })
  return {
    world,
    seeds: (random: Random) =>
      Array.from({ length: lab.short ? 1 : 5 }, () => random.below(2 ** 31)),
    async run(seed: number) {
      const random = new Random(seed)
      const probe = await someKey(world)
      await world.stop()
      await world.database.save()
      await world.start()
      const since = [await made(world), await made(world)]
      await world.createUser(`since ${random.below(2 ** 31)}`)
      // A crash, or a clean end: what is put back is the same.
      await (random.below(2) === 0 ? world.kill() : world.stop())
      await world.database.putBack()
      if (!told) {
        await world.start()
        await world.signs(probe, probe.publicKey)
        world.ledger.acknowledged()
        for (const id of since) await refused(world, id)
        await world.stop()
      }
      const began = performance.now()
      await tellRestored(world)
      await world.start()
      await world.recovers(began, probe)
      const before = world.recovered
      await world.ledger.audit()
      const back = world.recovered - before
      if (back < since.length)
        world.ledger.wrong(`${back} of ${since.length} keys came back from their backups`)
      await world.inspect()
      return world.ledger.take()
    },
    close: () => world.close(),
  }
}

async function made(world: World): Promise<string> {
  return (await world.insist('create key', () => world.createKey())).id
}

/** A key that the copy does not have counts as deleted: it is refused, and nothing is recovered. */
export async function refused(world: World, id: string): Promise<void> {
  const key = await world.vertex.ecdsa.openKey(id)
  const before = world.recovered
  const said = await key.sign({ message: new Uint8Array(32), hashAlgo: 'none' }).then(
    () => 'a signature',
    (error: unknown) => {
      if (error instanceof KeyNotFoundError && error.refusal === 'same_generation') return undefined
      return error instanceof VertexError ? described(error) : String(error)
    },
  )
  if (said !== undefined) world.ledger.wrong(`a key that is not in the copy: ${said}`)
  if (world.recovered !== before) world.ledger.wrong('a key that counts as deleted was recovered')
}
