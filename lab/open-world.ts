import { join } from 'node:path'
import { postgresFor, sqliteIn, type EngineName } from './database.js'
import type { Lab } from './scenario.js'
import { World, type WorldOptions } from './world.js'

/** A vault in a folder of its own, on the engine that is asked for. */
export async function openWorld(
  lab: Lab,
  engine: EngineName,
  options: Partial<WorldOptions> = {},
): Promise<World> {
  const folder = options.folder ?? join(lab.folder(), 'vault')
  const database =
    engine === 'sqlite' ? sqliteIn(folder) : await postgresFor(folder, await lab.postgres())
  return World.open({ ...options, folder, database })
}
