import { RateLimiterRes, type RateLimiterAbstract } from 'rate-limiter-flexible'
import type { RateCount } from '../vault/index.js'

/** One limit, counted for each of those it is about. */
export interface Counter {
  count(who: string, points: number): Promise<RateCount>
}

/** Counts at most so many of those it is about. */
export class BoundedCounter implements Counter {
  /** In the order in which they were first seen. */
  readonly #seen = new Set<string>()

  constructor(
    private readonly limiter: RateLimiterAbstract,
    private readonly most: number,
  ) {}

  async count(who: string, points: number): Promise<RateCount> {
    if (!this.#seen.has(who)) await this.#makeRoomFor(who)
    // What is not done does not count: where a batch was too large, a smaller one may still fit.
    return countWith(this.limiter, who, points, () => this.limiter.reward(who, points))
  }

  /** The one first seen longest ago goes, and would begin anew. */
  async #makeRoomFor(who: string): Promise<void> {
    const [oldest] = this.#seen
    if (this.#seen.size >= this.most && oldest !== undefined) {
      this.#seen.delete(oldest)
      await this.limiter.delete(oldest)
    }
    this.#seen.add(who)
  }
}

/** So long a request waits for the common count, before it is counted here. Milliseconds. */
const PATIENCE_MS = 250

/**
 * What {@link SharedCounter} needs of a RateLimiterRedis, in place of its own script: what does not fit is not counted.
 * To count it and give it back is two steps, and what is given back after the end of a window is more for the next one.
 */
export const countWhatFits = `
redis.call('set', KEYS[1], 0, 'EX', ARGV[2], 'NX')
local consumed = redis.call('incrby', KEYS[1], ARGV[1])
if consumed > tonumber(ARGV[3]) then redis.call('incrby', KEYS[1], -ARGV[1]) end
return {consumed, redis.call('pttl', KEYS[1])}
`

/** Counts in a place that others share, and here where that fails. */
export class SharedCounter implements Counter {
  /** @param limiter with {@link countWhatFits} */
  constructor(
    private readonly limiter: RateLimiterAbstract,
    private readonly here: Counter['count'],
  ) {}

  async count(who: string, points: number): Promise<RateCount> {
    let late: NodeJS.Timeout | undefined
    const shared = this.#together(who, points).catch(() => undefined)
    const waited = new Promise<undefined>((resolve) => {
      late = setTimeout(() => {
        resolve(undefined)
      }, PATIENCE_MS)
    })
    const count = await Promise.race([shared, waited])
    clearTimeout(late)
    return count ?? this.here(who, points)
  }

  #together(who: string, points: number): Promise<RateCount> {
    const { limiter } = this
    return countWith(limiter, who, points, ({ consumedPoints, msBeforeNext }) => {
      const before = consumedPoints - points
      const left = Math.max(0, limiter.points - before)
      return new RateLimiterRes(left, msBeforeNext, before)
    })
  }
}

/** @param uncounted what there is once what was refused is not counted */
async function countWith(
  limiter: RateLimiterAbstract,
  who: string,
  points: number,
  uncounted: (refused: RateLimiterRes) => RateLimiterRes | Promise<RateLimiterRes>,
): Promise<RateCount> {
  const found = (allowed: boolean, { remainingPoints, msBeforeNext }: RateLimiterRes) => ({
    allowed,
    most: limiter.points,
    left: remainingPoints,
    // Where the clock was put back, the time left is too long; a timer that does not heed it ends it after the window.
    ms: Math.min(msBeforeNext, limiter.duration * 1000),
  })
  try {
    return found(true, await limiter.consume(who, points))
  } catch (refused) {
    if (!(refused instanceof RateLimiterRes)) throw refused
    return found(false, await uncounted(refused))
  }
}
