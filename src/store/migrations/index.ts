import { First1763700000000 } from './0001-first.js'

/** In the order in which they run. */
export const migrations = [First1763700000000]
