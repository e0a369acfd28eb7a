import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { startChild } from './child.js'
import { rssOf } from './proc.js'
import type { Samples } from './samples.js'
import { perSecond, window, withService, type Service, type WarmWindows } from './service.js'
import { startVertex } from './vertex.js'

const MANY = 100_000
const SIGNING = 100
const FEW = 10

/**
 * Signatures per second of a service that stores few keys and of one that stores many, both running, window after
 * window in turn; and what the idle keys cost in memory and on the disk.
 */
export async function measureGrowth(
  { count, ms, warmUpMs }: WarmWindows,
  samples: Samples,
  progress: (what: string) => void,
): Promise<void> {
  const settings = () => ({})
  const fill = async (folder: string) => {
    progress(`storing ${MANY - SIGNING} idle keys`)
    await storeIdleKeys(folder, MANY - SIGNING)
    progress(`making ${SIGNING} keys that sign`)
  }
  await withService(settings, FEW, (few) =>
    withService(
      settings,
      SIGNING,
      async (many) => {
        const sides = [
          [`keys_${FEW}`, few],
          [`keys_${MANY}`, many],
        ] as const
        // As many at a time as the smaller side has keys, so that none of them waits for its turn on either side.
        const lanes = FEW
        progress('growth, warming up')
        for (const [, service] of sides) await window(service, 'sign', { lanes, ms: warmUpMs })
        for (let i = 0; i < count; i++)
          for (const [name, service] of sides) {
            progress(`growth ${i + 1}/${count}`)
            const seen = await window(service, 'sign', { lanes, ms })
            samples.add(`${name}_signatures_per_s`, perSecond(seen))
          }
        for (const [name, { vertex }] of sides) {
          samples.add(`${name}_database_bytes`, databaseBytes(vertex.folder))
          samples.add(`${name}_server_rss_bytes`, rssOf(vertex.pid))
        }
        samples.add('idle_key_rss_bytes', idleKeyBytes(few, many))
      },
      fill,
    ),
  )
}

/** A server has made the database, its secrets and the keys' user; it is stopped while they are filled in. */
async function storeIdleKeys(folder: string, count: number): Promise<void> {
  const vertex = await startVertex(folder)
  const { userId } = await vertex.createUser('idle')
  await vertex.stop()
  const filler = startChild('fill-process')
  try {
    await filler.ask('fill', { folder, userId, count })
  } finally {
    await filler.end()
  }
}

const databaseBytes = (folder: string): number =>
  readdirSync(join(folder, 'data'))
    .filter((name) => name.startsWith('vertex.db'))
    .reduce((sum, name) => sum + statSync(join(folder, 'data', name)).size, 0)

/** How much more memory the server with many keys holds, for each of them. */
const idleKeyBytes = (few: Service, many: Service): number =>
  Math.max(0, rssOf(many.vertex.pid) - rssOf(few.vertex.pid)) / (MANY - FEW)
