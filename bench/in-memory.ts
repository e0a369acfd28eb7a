import type { PartyIndex, Step } from '@vertex/mpc'

export interface Traffic {
  bytes: number
  messages: number
  /** One-way flights: how often some party had to wait for another. */
  flights: number
}

/** Runs the parties' rounds in one process: the protocol and nothing else. */
export function runInMemory<Result, Keep>(
  parties: ReadonlyMap<PartyIndex, Step<Result, Keep>>,
  traffic: Traffic = { bytes: 0, messages: 0, flights: 0 },
): Map<PartyIndex, Result> {
  const steps = new Map(parties)
  const results = new Map<PartyIndex, Result>()
  // By receiver and sender, in order of arrival: a quick party may be a round ahead.
  const inboxes = new Map<PartyIndex, Map<PartyIndex, Uint8Array[]>>()
  for (const party of steps.keys()) inboxes.set(party, new Map())

  const post = (from: PartyIndex, step: Step<Result, Keep>): void => {
    if (step.outbox.size > 0) traffic.flights++
    for (const [to, bytes] of step.outbox) {
      traffic.bytes += bytes.length
      traffic.messages++
      const inbox = inboxes.get(to)!
      inbox.set(from, [...(inbox.get(from) ?? []), bytes])
    }
    if ('result' in step) results.set(from, step.result)
  }
  for (const [party, step] of steps) post(party, step)

  while (results.size < steps.size) {
    let moved = false
    for (const [party, step] of [...steps]) {
      if ('result' in step) continue
      const inbox = inboxes.get(party)!
      const { expects } = step.next
      if (!expects.every((from) => (inbox.get(from)?.length ?? 0) > 0)) continue
      const taken = new Map(expects.map((from) => [from, inbox.get(from)!.shift()!]))
      const advanced = step.next.advance(taken)
      steps.set(party, advanced)
      post(party, advanced)
      moved = true
    }
    if (!moved) throw new Error('no party can move')
  }
  return results
}
