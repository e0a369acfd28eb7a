import { MAX_BATCH } from '@vertex/mpc'

/**
 * How much there may be at one time; how often is in rates.ts. What protects a share is the cap on concurrent runs and
 * the lock after failed checks.
 */
export const limits = {
  /** Runs at one time on one share; further ones wait, and each of them holds an HTTP request. */
  runsPerShare: 4,
  /** Runs that may wait for the share; one more is refused with `rate_limited`. */
  waitingPerShare: 28,
  /**
   * How long a run waits for the share. Short, because runs that wait for each other's slots on two Vertices would
   * otherwise stand still until their deadline.
   */
  waitMs: 5_000,
  /** Runs at one time for each thread that computes them; one more is refused with `too_busy`. */
  runs: 128,
  /** Of those, by one user, those that wait for their share included: nobody takes the others' places. */
  runsPerUser: 64,
  /** Rooms of one user that wait to be used. */
  roomsPerUser: 1024,
  /** Requests in one batch, in one room or in several. */
  batch: MAX_BATCH,
  /** A batch counts as a run for each so many signatures, begun ones included. */
  batchPerRun: 8,
  /** With so many waiting, a request for several rooms gets one: what some clients hold ahead leaves place for others. */
  roomsAheadPerUser: 512,
  /** Rooms opened by one request. */
  roomsAtOnce: 64,
  /** Failed cryptographic checks by one authenticated peer within {@link limits.failureWindowMs} that lock a share. */
  failures: 5,
  failureWindowMs: 24 * 60 * 60 * 1000,
  /** Keys of one user that wait for their keygen, and how long they are kept for it. */
  pendingKeys: 1000,
  pendingKeyMs: 24 * 60 * 60 * 1000,
  /**
   * How long running protocols may take to finish once the server is asked to stop. What is left of 20 s, after which
   * many platforms kill, is for their answers and for closing the database.
   */
  drainMs: 17_000,
} as const
