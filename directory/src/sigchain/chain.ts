import { utf8ToBytes } from '@noble/hashes/utils.js'
import type { Equation } from '../ed25519.js'
import {
  canonical,
  envelopeHash,
  parseEnvelope,
  type Envelope,
  type EventPayload,
  type Op,
} from './envelope.js'
import type { Primary } from './primary.js'
import { refuse, SigchainRefusal } from './refusal.js'
import {
  primaryOfSigner,
  signPayload,
  verifySignature,
  type SignedBytes,
  type Signer,
} from './signature.js'

/** Where a chain ends: its last event. Undefined for a chain without any. */
export interface Head {
  readonly seq: number
  /** Of its envelope. */
  readonly hash: string
}

/** An event that passed every check. */
export interface CheckedEvent extends Head {
  readonly envelope: Envelope
  readonly signedBytes: SignedBytes
}

/**
 * The five checks of an event, in their order: its tag, its primary, its number, the event it follows, its signature.
 * @param head where the chain of this primary ends
 * @param bytes the envelope, as it came
 * @param equation of Ed25519, where there is a faster one than this package's own
 * @throws SigchainRefusal
 */
export function checkEvent(
  head: Head | undefined,
  bytes: Uint8Array,
  primary: Primary,
  equation?: Equation,
): CheckedEvent {
  const envelope = parseEnvelope(bytes)
  const { payload } = envelope
  if (payload.primary !== primary.text)
    throw refuse('wrong_primary', 'payload.primary is not the primary of this chain')
  assertFollows(head, payload)
  const signedBytes = verifySignature(envelope, primary, equation)
  return { seq: payload.seq, hash: envelopeHash(envelope), envelope, signedBytes }
}

/** That an event goes on where a chain ends. @throws SigchainRefusal `wrong_seq`, `bad_prev` */
export function assertFollows(
  head: Head | undefined,
  { seq, prev }: Pick<EventPayload, 'seq' | 'prev'>,
): void {
  const expected = head === undefined ? 0 : head.seq + 1
  if (seq !== expected) throw refuse('wrong_seq', `expected seq ${expected}, got ${seq}`)
  if (head === undefined && prev !== undefined)
    throw refuse('bad_prev', 'the first event has no prev')
  if (prev !== head?.hash)
    throw refuse('bad_prev', `prev must be the hash of the event with seq ${seq - 1}`)
}

/** What a new event is to say. */
export interface NewEvent {
  readonly op: Op
  readonly subject: string
  /** RFC 3339. */
  readonly createdAt: string
}

/**
 * Makes the next event of the signer's own chain.
 * @param head where that chain ends
 * @returns its envelope in canonical form, which is one line
 */
export function signEvent(
  signer: Signer,
  head: Head | undefined,
  { op, subject, createdAt }: NewEvent,
): { readonly bytes: Uint8Array; readonly event: CheckedEvent } {
  const primary = primaryOfSigner(signer)
  const envelope = signPayload(signer, {
    type: 'kez.sigchain.event',
    version: 1,
    primary: primary.text,
    seq: head === undefined ? 0 : head.seq + 1,
    ...(head === undefined ? {} : { prev: head.hash }),
    created_at: createdAt,
    op,
    payload: { subject },
  })
  const bytes = canonical(envelope)
  // Never one that others would refuse, whatever the caller gave.
  return { bytes, event: checkEvent(head, bytes, primary) }
}

/**
 * Checks a whole chain, from its first event.
 * @param lines an envelope a line; an empty last line is no event
 * @throws SigchainRefusal with the line of the first bad event
 */
export function verifyChain(lines: string, primary: Primary): readonly CheckedEvent[] {
  const checked: CheckedEvent[] = []
  const all = lines.split('\n')
  if (all.at(-1) === '') all.pop()
  for (const [index, line] of all.entries())
    try {
      checked.push(checkEvent(checked.at(-1), utf8ToBytes(line), primary))
    } catch (error) {
      if (!(error instanceof SigchainRefusal)) throw error
      throw new SigchainRefusal(error.reason, `line ${index + 1}: ${error.message}`, index + 1)
    }
  return checked
}

/**
 * The subjects that speak for a primary after these events: added and not revoked since.
 * @returns each with the event that added it last
 */
export function liveSubjects(events: readonly CheckedEvent[]): ReadonlyMap<string, CheckedEvent> {
  const live = new Map<string, CheckedEvent>()
  for (const event of events) {
    const { op, payload } = event.envelope.payload
    if (op === 'revoke') live.delete(payload.subject)
    else if (!live.has(payload.subject)) live.set(payload.subject, event)
  }
  return live
}

/**
 * Of several copies of one chain, from several places, the longest; and whether they are copies of one chain at all.
 * @param chains each checked by {@link verifyChain}
 * @returns `forkAt` is the number of the first event on which two of them differ: their owner signed both
 */
export function longestChain(chains: readonly (readonly CheckedEvent[])[]): {
  readonly chain: readonly CheckedEvent[]
  readonly forkAt: number | undefined
} {
  const chain = chains.reduce((one, other) => (other.length > one.length ? other : one), [])
  const forks = chains.flatMap((other) => {
    const at = other.findIndex(({ hash }, seq) => chain[seq]?.hash !== hash)
    return at === -1 ? [] : [at]
  })
  return { chain, forkAt: forks.length === 0 ? undefined : Math.min(...forks) }
}
