import { expect } from 'vitest'
import { partyIndex, type AbortCode, type Reaction } from '@vertex/mpc'
import type { Outcome } from './simulate.js'

/** What a failed check must say. */
export interface Expected {
  readonly code: AbortCode
  readonly round: number
  readonly culprits: readonly number[]
  readonly reaction: Reaction
}

/** Party `who` ended with exactly this abort, and nobody it speaks for got a result. */
export function expectAbort(
  outcome: Outcome<unknown, unknown>,
  who: number,
  expected: Expected,
): void {
  const abort = outcome.aborts.get(partyIndex(who))
  expect(abort, `party ${who} does not abort`).toBeDefined()
  const { code, round, culprits, reaction } = abort!
  expect({ code, round, culprits, reaction }).toEqual(expected)
  expect(outcome.results.has(partyIndex(who))).toBe(false)
}
