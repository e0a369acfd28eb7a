// A process of its own that restores a database and is killed in the middle, by itself or by whoever traces it.
import { restoreDatabase, type BundledRow, type Database } from '../../src/store/index.js'
import { storageKey, testSeal } from './engines.js'
import { manyRows } from './many-rows.js'

const database = JSON.parse(process.argv[2]!) as Database
/** After so many rows; `end` is before the commit, `never` is never. */
const when = process.argv[3]!

const die = () => process.kill(process.pid, 'SIGKILL')

async function* dying(): AsyncGenerator<BundledRow> {
  let given = 0
  for (const row of manyRows()) {
    if (String(given++) === when) die()
    yield await Promise.resolve(row)
  }
}

const clock = { now: () => 1_700_000_000_000 }
await restoreDatabase(
  { database, rowSeal: testSeal(storageKey), clock },
  async ({ uow, insert }) => {
    await insert(dying())
    await uow.meta.restored(clock.now())
    if (when === 'end') die()
  },
)
