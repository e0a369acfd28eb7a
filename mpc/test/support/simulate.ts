import { ProtocolAbort, type PartyIndex, type Round, type Step } from '@vertex/mpc'

/** One message on the simulated network. `round` is the number of the round or flight that sent it, from 1. */
export interface Sent {
  readonly from: PartyIndex
  readonly to: PartyIndex
  readonly round: number
  readonly bytes: Uint8Array
}

/** Cheating at one point: what `from` says in `round`, to everyone or only to `to`, is replaced. */
export interface Tamper {
  readonly from: number
  readonly to?: number
  readonly round: number
  /**
   * Gets a copy of the message to change in place or to replace, and everything that was sent so far, this round's
   * messages of all parties included: a cheater may speak last and may pool what its friends have heard.
   */
  change(bytes: Uint8Array, sent: readonly Sent[], to: PartyIndex): Uint8Array | undefined
}

/** How a run ended for each party. A party in none of the maps waits for ever for one that aborted. */
export interface Outcome<Result, Keep> {
  readonly results: ReadonlyMap<PartyIndex, Result>
  readonly aborts: ReadonlyMap<PartyIndex, ProtocolAbort>
  readonly kept: ReadonlyMap<PartyIndex, Keep>
  readonly sent: readonly Sent[]
}

/**
 * Runs parties against each other in memory until nobody can go on. All that can advance do so before anything they
 * send is delivered, so a tamper sees a whole round. Errors that are no ProtocolAbort are bugs and are thrown on.
 */
export function simulate<Result, Keep>(
  parties: ReadonlyMap<PartyIndex, Step<Result, Keep>>,
  tampers: readonly Tamper[] = [],
): Outcome<Result, Keep> {
  const results = new Map<PartyIndex, Result>()
  const aborts = new Map<PartyIndex, ProtocolAbort>()
  const kept = new Map<PartyIndex, Keep>()
  const waiting = new Map<PartyIndex, Round<Result, Keep>>()
  const sent: Sent[] = []
  const queues = new Map<string, Sent[]>()
  const queue = (from: PartyIndex, to: PartyIndex) => {
    const name = `${from}>${to}`
    if (!queues.has(name)) queues.set(name, [])
    return queues.get(name)!
  }

  const take = (me: PartyIndex, round: number, step: Step<Result, Keep>) => {
    for (const [to, bytes] of step.outbox) {
      const message = { from: me, to, round, bytes }
      sent.push(message)
      queue(me, to).push(message)
    }
    if (step.keep !== undefined) kept.set(me, step.keep)
    if ('next' in step) waiting.set(me, step.next)
    else results.set(me, step.result)
  }

  const delivered = ({ from, to, round, bytes }: Sent) => {
    let now: Uint8Array = bytes.slice()
    for (const tamper of tampers)
      if (tamper.from === from && tamper.round === round && (tamper.to ?? to) === to)
        now = tamper.change(now, sent, to) ?? now
    return now
  }

  for (const [me, step] of parties) take(me, 1, step)
  for (;;) {
    const ready = [...waiting].filter(([me, round]) =>
      round.expects.every((from) => queue(from, me).length > 0),
    )
    if (ready.length === 0) return { results, aborts, kept, sent }
    const steps: [PartyIndex, number, Step<Result, Keep>][] = []
    for (const [me, round] of ready) {
      waiting.delete(me)
      const inbox = new Map(
        round.expects.map((from) => [from, delivered(queue(from, me).shift()!)]),
      )
      try {
        steps.push([me, round.number, round.advance(inbox)])
      } catch (e) {
        if (!(e instanceof ProtocolAbort)) throw e
        aborts.set(me, e)
      }
    }
    for (const [me, number, step] of steps) take(me, number, step)
  }
}

/** All results; @throws the first abort, or Error when a party is left waiting */
export function finish<Result, Keep>(
  outcome: Outcome<Result, Keep>,
  parties: number,
): ReadonlyMap<PartyIndex, Result> {
  for (const abort of outcome.aborts.values()) throw abort
  if (outcome.results.size !== parties) throw new Error('a party is left waiting')
  return outcome.results
}
