import type { PartyIndex } from './party.js'

/** Messages by party: what to send to whom, or what came from whom. */
export type Outbox = ReadonlyMap<PartyIndex, Uint8Array>
export type Inbox = ReadonlyMap<PartyIndex, Uint8Array>

/**
 * What a round gives: messages to send, then either the next round or the result.
 * `keep` is what must be durable before the outbox may leave the process.
 */
export type Step<Result, Keep = never> =
  | { readonly outbox: Outbox; readonly keep?: Keep; readonly next: Round<Result, Keep> }
  | { readonly outbox: Outbox; readonly keep?: Keep; readonly result: Result }

/** A round that waits for one message from each party in `expects`. It can be advanced once. */
export interface Round<Result, Keep = never> {
  /** 1-based number of the round that consumes the messages; named in aborts. */
  readonly number: number
  readonly expects: readonly PartyIndex[]
  /**
   * Takes the state out, then computes.
   * @throws Error on a second call
   * @throws ProtocolAbort when a check fails
   */
  advance(inbox: Inbox): Step<Result, Keep>
}

/**
 * Makes a single-use round. The state lives in a closure that is emptied before `compute` runs, so it cannot be
 * used twice, cloned or serialised (architecture: reuse is impossible, not forbidden).
 */
export function round<State, Result, Keep = never>(
  number: number,
  expects: readonly PartyIndex[],
  state: State,
  compute: (state: State, inbox: Inbox) => Step<Result, Keep>,
): Round<Result, Keep> {
  let held: { state: State } | undefined = { state }
  return Object.freeze({
    number,
    expects,
    advance(inbox: Inbox): Step<Result, Keep> {
      const taken = held
      held = undefined
      if (taken === undefined) throw new Error(`round ${number} has been used already`)
      return compute(taken.state, inbox)
    },
  })
}
