import { createHash } from 'node:crypto'
import type { Unit, UnitStore } from '../../../store/index.js'
import { MARKS } from './tables.js'

/** More fetches than any share can have: it is gone. */
export const GONE = 65_536
/** Clocks of servers differ. */
export const CLOCKS_MS = 5 * 60_000
/** A time that both databases can hold, with what is added to it. */
const LATEST = Number.MAX_SAFE_INTEGER - CLOCKS_MS
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

  /**
   * Never less than before, nor for a shorter time.
   * @param endsAt when the share ends, where that is known: another server may let shares live longer
   */
  async set(unit: Unit, code: string, fetches: number, endsAt = 0): Promise<void> {
    const until = Math.max(this.now() + this.lifeMs, Math.min(endsAt, LATEST) + CLOCKS_MS)
    await unit.rows(
      `INSERT INTO ${MARKS} (code_hash, fetches, until) VALUES ($1, $2, $3)
       ON CONFLICT (code_hash) DO UPDATE SET
         until = CASE WHEN excluded.until > ${MARKS}.until THEN excluded.until ELSE ${MARKS}.until END,
         fetches =
           CASE WHEN excluded.fetches > ${MARKS}.fetches THEN excluded.fetches ELSE ${MARKS}.fetches END
       RETURNING fetches`,
      [hashOf(code), fetches, until],
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
