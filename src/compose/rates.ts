import type { Config } from '../config.js'
import { ratesInMemory, ratesInRedis } from '../rates/index.js'
import type { Redis } from '../redis/index.js'
import type { AdmitToSystems } from '../http/systems.js'
import type { RateLimit, Rates } from '../vault/index.js'

/** Counts whoever asks the directory by its address, for it has nothing else to be known by. */
export function admitBy(rates: Rates): AdmitToSystems {
  return async (source, writes) => {
    const counted: [RateLimit, number][] = [['directory', 1]]
    if (writes > 0) counted.push(['directoryWrites', writes])
    for (const [limit, points] of counted) {
      const { allowed, ms } = await rates.count(limit, source, points)
      if (!allowed) return Math.max(1, Math.ceil(ms / 1000))
    }
    return 0
  }
}

/** @param redis what replicas share: they count there together */
export function composeRates({ rates }: Config, redis: Redis | undefined): Rates {
  if (redis === undefined) return ratesInMemory(rates)
  return ratesInRedis(rates, (lua, key, args) => redis.send('EVAL', lua, '1', key, ...args))
}
