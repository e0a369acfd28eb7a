export { Redis, RedisUnavailable, script } from './connection.js'
export type { Argument, RedisEvent, Reply, Script } from './connection.js'
export { RedisRefused } from './login.js'
