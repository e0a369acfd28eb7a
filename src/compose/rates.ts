import type { Config } from '../config.js'
import { ratesInMemory, ratesInRedis } from '../rates/index.js'
import type { Redis } from '../redis/index.js'
import type { Rates } from '../vault/index.js'

/** @param redis what replicas share: they count there together */
export function composeRates({ rates }: Config, redis: Redis | undefined): Rates {
  if (redis === undefined) return ratesInMemory(rates)
  return ratesInRedis(rates, (lua, key, args) => redis.send('EVAL', lua, '1', key, ...args))
}
