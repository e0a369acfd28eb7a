import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible'
import { rateLimits, type RateCount, type RateLimit, type Rates } from '../vault/index.js'

/** How much each limit allows. */
export type RateSettings = Readonly<Record<RateLimit, number>>

/** So many are counted for each limit, which bounds the memory this takes. */
const MOST_COUNTED = 20_000

/** Counts in the memory of this process: a restart forgets, and each of several servers counts for itself. */
export function ratesInMemory(settings: RateSettings, mostCounted = MOST_COUNTED): Rates {
  const counters = new Map(
    (Object.keys(rateLimits) as RateLimit[]).map((limit) => [
      limit,
      new Counter(settings[limit], rateLimits[limit].seconds, mostCounted),
    ]),
  )
  return { count: (limit, who, points = 1) => counters.get(limit)!.count(who, points) }
}

/** One limit, counted for each of those it is about. */
class Counter {
  readonly #limiter: RateLimiterMemory
  /** In the order in which they were first seen. */
  readonly #seen = new Set<string>()

  constructor(
    private readonly most: number,
    seconds: number,
    private readonly mostCounted: number,
  ) {
    this.#limiter = new RateLimiterMemory({ points: most, duration: seconds, keyPrefix: '' })
  }

  async count(who: string, points: number): Promise<RateCount> {
    if (!this.#seen.has(who)) await this.#makeRoomFor(who)
    try {
      return this.#counted(true, await this.#limiter.consume(who, points))
    } catch (refused) {
      if (!(refused instanceof RateLimiterRes)) throw refused
      // What is not done does not count: where a batch was too large, a smaller one may still fit.
      return this.#counted(false, await this.#limiter.reward(who, points))
    }
  }

  /** The one first seen longest ago goes, and would begin anew. */
  async #makeRoomFor(who: string): Promise<void> {
    const [oldest] = this.#seen
    if (this.#seen.size >= this.mostCounted && oldest !== undefined) {
      this.#seen.delete(oldest)
      await this.#limiter.delete(oldest)
    }
    this.#seen.add(who)
  }

  #counted(allowed: boolean, { remainingPoints, msBeforeNext }: RateLimiterRes): RateCount {
    return { allowed, most: this.most, left: remainingPoints, ms: msBeforeNext }
  }
}
