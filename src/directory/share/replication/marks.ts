import { createHash } from 'node:crypto'
import type { Unit, UnitStore } from '../../../store/index.js'
import { MARKS } from './tables.js'

/** More fetches than any share can have: it is gone. */
export const GONE = 65_536
/** So many are deleted at once. */
const STEP = 500

/**
 * Remembers how often shares were given out that are not here, or not here any more, as long as somebody could send them
 * here again. Of a code there is a hash. docs/spec/share-replication.md, 3.9 to 3.11
 */
export class Marks {
  constructor(
    private readonly store: UnitStore,
    /** How long a share can live. */
    private readonly lifeMs: number,
    private readonly now: () => number,
  ) {}

  /** Never less than before. */
  async set(unit: Unit, code: string, fetches: number): Promise<void> {
    await unit.rows(
      `INSERT INTO ${MARKS} (code_hash, fetches, until) VALUES ($1, $2, $3)
       ON CONFLICT (code_hash) DO UPDATE SET until = excluded.until, fetches =
         CASE WHEN excluded.fetches > ${MARKS}.fetches THEN excluded.fetches ELSE ${MARKS}.fetches END
       RETURNING fetches`,
      [hashOf(code), fetches, this.now() + this.lifeMs],
    )
  }

  async of(unit: Unit, code: string): Promise<number> {
    const [row] = await unit.rows(`SELECT fetches FROM ${MARKS} WHERE code_hash = $1`, [
      hashOf(code),
    ])
    return Number(row?.['fetches'] ?? 0)
  }

  async prune(): Promise<void> {
    let found: number
    do {
      const gone = await this.store.change(
        `DELETE FROM ${MARKS} WHERE code_hash IN
           (SELECT code_hash FROM ${MARKS} WHERE until < $1 LIMIT ${STEP}) RETURNING until`,
        [this.now()],
      )
      found = gone.length
    } while (found === STEP)
  }
}

const hashOf = (code: string) =>
  createHash('sha256').update('share-mark').update(code).digest('hex').slice(0, 32)
