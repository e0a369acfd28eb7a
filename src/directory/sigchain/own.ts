import {
  assertFollows,
  primaryOfSigner,
  SigchainRefusal,
  signEvent,
  type CheckedEvent,
  type Head,
  type NewEvent,
  type Signer,
} from '@vertex/directory/sigchain'
import type { UnitStore } from '../../store/index.js'
import { ChainUnusable, MAX_EVENTS, type CheckedChain, type Parties } from './parties.js'
import { append, headIn } from './store.js'

/** Kinds of subjects that a Vertex says of itself, and takes back. */
const KINDS = ['vertex:', 'keygen:', 'ed25519:']

/**
 * When the events of a Vertex were made, they do not say: one that lost its chain with its database makes the same ones
 * again, byte for byte, and no second history.
 */
const CREATED_AT = '1970-01-01T00:00:00Z'

const ATTEMPTS = 5

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
 * @throws ChainUnusable, StorageUnavailable
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
      if (!(error instanceof SigchainRefusal) || attempt === ATTEMPTS) throw error
    }
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
