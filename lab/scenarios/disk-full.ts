import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { VertexError } from '@vertex/sdk'
import { startFragilePostgres, type FragilePostgres } from '../../test/support/postgres.js'
import { postgresFor, sqliteIn } from '../database.js'
import { described } from '../ledger.js'
import { missingMount, mountSmallDisk, type SmallDisk } from '../mount.js'
import { someKey } from '../operations.js'
import { Random } from '../random.js'
import type { Experiment, Lab, Scenario } from '../scenario.js'
import { World } from '../world.js'

const RUNS = 8
const MOST_TRIES = 400

export const diskFull: Scenario = {
  name: 'disk-full',
  about: 'the disk under the database is full, in the middle of whatever the last bytes were for',
  engines: ['sqlite', 'postgres'],
  short: ['sqlite'],
  missing: missingMount,
  async open(lab, engine) {
    const folder = lab.folder()
    const disk = mountSmallDisk(join(folder, 'disk'), engine === 'sqlite' ? 16 : 96)
    const vault = join(disk.path, 'vault')
    const shares = join(folder, 'shares')
    if (engine === 'sqlite') {
      const control = join(folder, 'control.json')
      const world = await World.open({ folder: vault, shares, control, database: sqliteIn(vault) })
      return new DiskFull(lab, disk, world, undefined)
    }
    const postgres = await startFragilePostgres(disk.path)
    const aside = join(folder, 'vault')
    const database = await postgresFor(aside, postgres)
    return new DiskFull(lab, disk, await World.open({ folder: aside, database }), postgres)
  },
}

export const diskFullClient: Scenario = {
  name: 'disk-full-client',
  about: "the disk under the client's share store is full",
  engines: ['sqlite'],
  missing: missingMount,
  async open(lab) {
    const folder = lab.folder()
    const disk = mountSmallDisk(join(folder, 'disk'), 4)
    const shares = join(disk.path, 'shares')
    mkdirSync(shares)
    const vault = join(folder, 'vault')
    const world = await World.open({ folder: vault, shares, database: sqliteIn(vault) })
    return new DiskFull(lab, disk, world, undefined, true)
  },
}

class DiskFull implements Experiment {
  constructor(
    private readonly lab: Lab,
    private readonly disk: SmallDisk,
    readonly world: World,
    private readonly postgres: FragilePostgres | undefined,
    private readonly atClient = false,
  ) {}

  seeds(random: Random) {
    return Array.from({ length: this.lab.short ? 1 : RUNS }, () => random.below(2 ** 31))
  }

  async run(seed: number) {
    const { world, disk, postgres, atClient } = this
    const random = new Random(seed)
    const probe = await someKey(world)
    disk.fill(random.between(0, postgres === undefined ? 300_000 : 2_000_000))
    let full = false
    for (let tries = 0; tries < MOST_TRIES && !full; tries++) full = !(await this.#succeeds())
    if (!full) world.ledger.wrong('the disk did not get full')
    // Still full: again and again, and reading.
    for (let tries = 0; tries < 3; tries++) await this.#succeeds()
    await world.attempt('sign', () => probe.sign({ message: new Uint8Array(32), hashAlgo: 'none' }))
    const dies = !atClient && random.below(2) === 0
    if (dies) await world.kill()
    disk.empty()
    const since = performance.now()
    if (postgres?.isRunning() === false) await postgres.start()
    if (dies) await world.start()
    await world.recovers(since, probe)
    await world.insist('create key', () => world.createKey())
    await world.ledger.audit()
    await world.inspect()
    return world.ledger.take()
  }

  /** Makes a key, or fails as one may when the disk is full. */
  async #succeeds(): Promise<boolean> {
    try {
      await this.world.createKey()
      return true
    } catch (error) {
      const noSpace = (error as { readonly code?: unknown }).code === 'ENOSPC'
      if (this.atClient) {
        if (!noSpace) this.world.ledger.wrong(`create key failed with ${described(error)}`)
      } else if (!(error instanceof VertexError)) {
        this.world.ledger.wrong(`create key failed with ${described(error)}`)
      } else {
        await this.world.attempt('create key', () => Promise.reject(error))
      }
      return false
    }
  }

  async close() {
    await this.world.close()
    await this.postgres?.stop()
    this.disk.unmount()
  }
}
