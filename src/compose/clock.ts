import type { Clock } from '../vault/ports.js'

export const clock: Clock = { now: () => Date.now() }
