import { VaultError } from './errors.js'

/**
 * How often something may be asked for: counted for each user, or for each key, by the share that this vault has of it,
 * so that another key_id of the same key is not another chance. How often is the operator's to say.
 */
export const rateLimits = {
  requests: { seconds: 60, of: 'requests of one user in a minute' },
  creates: { seconds: 3600, of: 'new keys of one user in an hour' },
  exports: { seconds: 3600, of: 'backup exports and rewraps of one user in an hour' },
  imports: {
    seconds: 3600,
    of: 'imports, verifications and drills of backups by one user in an hour',
  },
  signatures: { seconds: 60, of: 'signatures of one key in a minute' },
  directory: { seconds: 60, of: 'requests of one address to the directory in a minute' },
  directoryWrites: { seconds: 60, of: 'writes of one address to the directory in a minute' },
  keyExports: { seconds: 3600, of: 'backup exports and rewraps of one key in an hour' },
} as const

export type RateLimit = keyof typeof rateLimits

/** What was found when something was counted. */
export interface RateCount {
  /** Otherwise it was not counted. */
  readonly allowed: boolean
  readonly most: number
  readonly left: number
  /** Milliseconds until counting begins anew. */
  readonly ms: number
}

/** Counts what is asked for. */
export interface Rates {
  count(limit: RateLimit, who: string, points?: number): Promise<RateCount>
}

/** Counts, and refuses what is too much. @throws VaultError `rate_limited` with `retry_after` */
export async function take(
  rates: Rates,
  limit: RateLimit,
  who: string,
  points = 1,
): Promise<RateCount> {
  const count = await rates.count(limit, who, points)
  if (!count.allowed) throw rateLimited(limit, count)
  return count
}

export function rateLimited(limit: RateLimit, { most, ms }: RateCount): VaultError {
  const seconds = Math.max(1, Math.ceil(ms / 1000))
  return new VaultError(
    'rate_limited',
    `at most ${most} ${rateLimits[limit].of}; wait ${seconds} s`,
    { retry_after: seconds },
  )
}
