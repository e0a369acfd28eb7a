import { ProtocolAbort } from '../abort.js'
import { concatBytes } from '../bytes.js'
import { round, type Inbox, type Outbox, type Round, type Step } from '../round.js'

/**
 * Plays several runs of one protocol as one: message k of all of them travels in one message, in order, and all of them
 * take each round together. What one of them finds ends all, and there are results of all or of none. Each keeps its
 * own state. docs/spec/run.md, step B.3
 */
export function lockstep<Result>(steps: readonly Step<Result>[]): Step<Result[]> {
  const outbox = joinOutboxes(steps.map((step) => step.outbox))
  const results: Result[] = []
  const rounds: Round<Result>[] = []
  for (const step of steps)
    if ('result' in step) results.push(step.result)
    else rounds.push(step.next)
  const [first] = rounds
  if (first === undefined) return { outbox, result: results }
  const { number, expects } = first
  if (rounds.length !== steps.length || rounds.some((other) => other.number !== number))
    throw new Error('runs of one protocol have their rounds at the same time')
  return {
    outbox,
    next: round(number, expects, rounds, (waiting, inbox) => {
      const inboxes = splitInbox(number, inbox, waiting.length)
      return lockstep(waiting.map((each, at) => each.advance(inboxes[at]!)))
    }),
  }
}

function joinOutboxes(outboxes: readonly Outbox[]): Outbox {
  const [first] = outboxes
  if (outboxes.length === 1 && first !== undefined) return first
  return new Map(
    [...(first?.keys() ?? [])].map((to) => [
      to,
      concatBytes(...outboxes.map((outbox) => outbox.get(to)!)),
    ]),
  )
}

/**
 * A message of a protocol has one length for each round, so that of `count` runs divides into equal pieces. Whether
 * they are of the right length is for the protocol to say, of each piece before it reads it.
 */
function splitInbox(number: number, inbox: Inbox, count: number): Inbox[] {
  if (count === 1) return [inbox]
  for (const [from, { length }] of inbox)
    if (length % count !== 0) throw new ProtocolAbort('message_invalid', number, [from])
  return Array.from({ length: count }, (_, at) => {
    const pieces = [...inbox].map(([from, bytes]) => {
      const length = bytes.length / count
      return [from, bytes.subarray(at * length, (at + 1) * length)] as const
    })
    return new Map(pieces)
  })
}
