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
    return countWith(this.limiter, who, points)
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

/** Counts in a place that others share, and here where that fails. */
export class SharedCounter implements Counter {
  constructor(
    private readonly limiter: RateLimiterAbstract,
    private readonly here: Counter['count'],
  ) {}

  async count(who: string, points: number): Promise<RateCount> {
    let late: NodeJS.Timeout | undefined
    const shared = countWith(this.limiter, who, points).catch(() => undefined)
    const waited = new Promise<undefined>((resolve) => {
      late = setTimeout(() => {
        resolve(undefined)
      }, PATIENCE_MS)
    })
    const count = await Promise.race([shared, waited])
    clearTimeout(late)
    return count ?? this.here(who, points)
  }
}

async function countWith(
  limiter: RateLimiterAbstract,
  who: string,
  points: number,
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
    // What is not done does not count: where a batch was too large, a smaller one may still fit.
    return found(false, await limiter.reward(who, points))
  }
}
