import {
  assertFollows,
  parseEnvelope,
  primaryOfSigner,
  SigchainRefusal,
  signEvent,
  type CheckedEvent,
  type Head,
  type NewEvent,
  type Primary,
  type Signer,
} from '@vertex/directory/sigchain'
import type { UnitStore } from '../../store/index.js'
import { ChainUnusable, MAX_EVENTS, type CheckedChain, type Parties } from './parties.js'
import { append, envelopesOf, headIn } from './store.js'

/** Kinds of subjects that a Vertex says of itself, and takes back. */
const KINDS = ['vertex:', 'keygen:', 'ed25519:']

/**
 * When the events of a Vertex were made, they do not say: one that lost its chain with its database makes the same ones
 * again, byte for byte, and no second history.
 */
const CREATED_AT = '1970-01-01T00:00:00Z'

const ATTEMPTS = 5

/**
 * How often a start adds one and the same subject. Servers of one database that want different things of the chain would
 * undo what the other did at each start, until it is too long for anybody to rely on.
 */
const ADDED_AT_MOST = 3

/** Why a chain of this Vertex was left as it is, for its operator. */
export class NotPublished extends Error {}

/** What a Vertex wants its own chain to say. */
export interface OwnChain {
  readonly signer: Signer
  /** Of the {@link KINDS}, and no others of them. */
  readonly subjects: readonly string[]
}

export interface Publishing {
  readonly store: UnitStore
  readonly parties: Parties
  readonly now: () => number
}

/**
 * Brings a chain of this Vertex to where it says what it should. docs/spec/identities.md, section 4
 * @param options `begin`: whether a chain is begun where there is none
 * @returns how many events that took
 * @throws NotPublished, ChainUnusable, StorageUnavailable
 */
export async function publish(
  { store, parties, now }: Publishing,
  { signer, subjects }: OwnChain,
  options: { readonly begin: boolean },
): Promise<number> {
  const primary = primaryOfSigner(signer)
  for (let attempt = 1; ; attempt++) {
    const chain = await parties.checked(primary)
    if (chain.head === undefined && !options.begin) return 0
    const made = eventsTo(signer, chain, subjects)
    if ((made.at(-1)?.event.seq ?? 0) >= MAX_EVENTS) throw new ChainUnusable('too_long')
    if (made.length === 0) return 0
    if (chain.head !== undefined) await assertNoContest(store, primary, made)
    const at = now()
    try {
      await store.inUnit(async (unit) => {
        assertFollows(await headIn(unit, primary), made[0]!.event.envelope.payload)
        for (const { bytes, event } of made)
          await append(unit, primary, event, { text: new TextDecoder().decode(bytes), at })
      })
      return made.length
    } catch (error) {
      // Another server of this vault was first.
      if (!(error instanceof SigchainRefusal)) throw error
      if (attempt === ATTEMPTS)
        throw new NotPublished('other servers write it right now; the next start tries again')
    }
  }
}

/** @throws NotPublished */
async function assertNoContest(
  store: UnitStore,
  primary: Primary,
  made: readonly { readonly event: CheckedEvent }[],
): Promise<void> {
  const left = new Map<string, number>()
  for (const { event } of made) {
    const { op, payload } = event.envelope.payload
    if (op === 'add') left.set(payload.subject, ADDED_AT_MOST)
  }
  for await (const page of envelopesOf(store, primary))
    for (const envelope of page) {
      const { op, payload } = parseEnvelope(new TextEncoder().encode(envelope)).payload
      const before = left.get(payload.subject)
      if (op !== 'add' || before === undefined) continue
      if (before === 1)
        throw new NotPublished(
          `${payload.subject} was added to it ${ADDED_AT_MOST} times and taken back as often, as by servers on one database that are set up differently; give all of them the same VERTEX_PUBLIC_HOST and the same versions of the backup secret`,
        )
      left.set(payload.subject, before - 1)
    }
}

/** What is missing is added first: whoever reads in between finds too much rather than nobody. */
function eventsTo(signer: Signer, { head, live }: CheckedChain, subjects: readonly string[]) {
  const missing = subjects.filter((subject) => !live.includes(subject))
  const left = live.filter(
    (subject) => KINDS.some((kind) => subject.startsWith(kind)) && !subjects.includes(subject),
  )
  const wanted = [
    ...missing.map((subject) => ({ op: 'add', subject }) as const),
    ...left.map((subject) => ({ op: 'revoke', subject }) as const),
  ]
  let end: Head | undefined = head
  return wanted.map((what): { bytes: Uint8Array; event: CheckedEvent } => {
    const event: NewEvent = { ...what, createdAt: CREATED_AT }
    const made = signEvent(signer, end, event)
    end = made.event
    return made
  })
}
