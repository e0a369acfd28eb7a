import { RateLimiterMemory, RateLimiterRedis } from 'rate-limiter-flexible'
import { rateLimits, type RateLimit, type Rates } from '../vault/index.js'
import { BoundedCounter, countWhatFits, SharedCounter, type Counter } from './counters.js'

/** How much each limit allows. */
export type RateSettings = Readonly<Record<RateLimit, number>>

/** Runs a script in Lua on one key of a Redis. Rejects when it cannot. */
export type RunOnRedis = (lua: string, key: string, args: readonly string[]) => Promise<unknown>

/** So many are counted for each limit, which bounds the memory this takes. */
const MOST_COUNTED = 20_000

/** Counts in the memory of this process: a restart forgets. */
export function ratesInMemory(settings: RateSettings, mostCounted = MOST_COUNTED): Rates {
  return counting(settings, (options) => {
    const limiter = new RateLimiterMemory({ ...options, keyPrefix: '' })
    return new BoundedCounter(limiter, mostCounted)
  })
}

/** Counts in a Redis that several servers share. While it does not answer, each of them counts in its memory. */
export function ratesInRedis(settings: RateSettings, run: RunOnRedis): Rates {
  // All that the library asks of a client in order to count.
  const storeClient = {
    eval: (lua: string, of: { readonly keys: [string]; readonly arguments: string[] }) =>
      run(lua, of.keys[0], of.arguments),
  }
  const inMemory = ratesInMemory(settings)
  return counting(settings, (options, limit) => {
    const keyPrefix = `vertex:rate:${limit}`
    const limiter = new RateLimiterRedis({
      ...options,
      keyPrefix,
      storeClient,
      useRedisPackage: true,
      customIncrTtlLuaScript: countWhatFits,
    })
    return new SharedCounter(limiter, (who, points) => inMemory.count(limit, who, points))
  })
}

interface Options {
  readonly points: number
  readonly duration: number
}

function counting(
  settings: RateSettings,
  make: (options: Options, limit: RateLimit) => Counter,
): Rates {
  const counters = new Map(
    (Object.keys(rateLimits) as RateLimit[]).map((limit) => {
      const options = { points: settings[limit], duration: rateLimits[limit].seconds }
      return [limit, make(options, limit)]
    }),
  )
  return { count: (limit, who, points = 1) => counters.get(limit)!.count(who, points) }
}
