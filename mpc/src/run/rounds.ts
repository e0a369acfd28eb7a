import { ProtocolAbort } from '../abort.js'
import { concatBytes, equalBytes } from '../bytes.js'
import type { PartyIndex } from '../party.js'
import type { Step } from '../round.js'
import type { Watch } from './options.js'
import type { Peer } from './peer.js'
import type { Protocol } from './wire.js'

export interface RoundsInput<Keep> {
  readonly protocol: Protocol
  readonly peers: readonly Peer[]
  /**
   * With three parties and more: the hash of all hellos, 32 bytes. It stands in front of each party's first message
   * and is compared before that message is looked at, so that a party that told others something else cannot make
   * them take each other for cheats.
   */
  readonly view?: Uint8Array | undefined
  /** Asked right before messages are worked on, and right before each one is sent. Throws when neither must be. */
  readonly before?: () => Promise<void>
  /** Makes durable what must not be lost, before anything of that step leaves. */
  readonly keep?: (keep: Keep) => Promise<void>
  readonly watch?: Watch | undefined
}

/** Runs a protocol over channels, step by step, to its result. docs/spec/run.md, step 6 */
export async function playRounds<Result, Keep>(
  first: Step<Result, Keep>,
  { protocol, peers, view = new Uint8Array(0), before, keep, watch }: RoundsInput<Keep>,
): Promise<Result> {
  const byParty = new Map(peers.map((peer) => [peer.index, peer]))
  const sent = new Map<PartyIndex, number>()
  const received = new Map<PartyIndex, number>()
  const roundEnded = watch?.(protocol)
  let step = first
  for (;;) {
    if (step.keep !== undefined) await keep?.(step.keep)
    for (const [to, payload] of step.outbox) {
      await before?.()
      const number = countUp(sent, to)
      const message = number === 1 ? concatBytes(view, payload) : payload
      expectPeer(byParty, to).send(protocol, number, message)
    }
    if ('result' in step) return step.result
    const { next } = step
    const messages = next.expects.map(async (from) => {
      const number = countUp(received, from)
      const message = await expectPeer(byParty, from).receive(protocol, number, next.number)
      return [from, number === 1 ? withoutView(message, view, next.number) : message] as const
    })
    const inbox = new Map(await Promise.all(messages))
    await before?.()
    step = next.advance(inbox)
    roundEnded?.(next.number)
  }
}

function withoutView(message: Uint8Array, view: Uint8Array, round: number): Uint8Array {
  if (view.length === 0) return message
  if (!equalBytes(message.subarray(0, view.length), view))
    throw new ProtocolAbort('view_mismatch', round)
  return message.subarray(view.length)
}

function countUp(counts: Map<PartyIndex, number>, party: PartyIndex): number {
  const count = (counts.get(party) ?? 0) + 1
  counts.set(party, count)
  return count
}

function expectPeer(peers: ReadonlyMap<PartyIndex, Peer>, index: PartyIndex): Peer {
  const peer = peers.get(index)
  if (peer === undefined) throw new Error(`party ${index} is not in this run`)
  return peer
}
