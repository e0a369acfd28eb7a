import {
  checkEvent,
  envelopeHash,
  parseEnvelope,
  parsePrimary,
  SigchainRefusal,
  type CheckedEvent,
  type Head,
  type Primary,
} from '@vertex/directory/sigchain'
import type { UnitStore } from '../../store/index.js'
import { byOpenssl } from '../equation.js'
import type { PartyPort, PartySubjects } from '../../vault/ports.js'
import { envelopesOf, lastOf } from './store.js'

/** Checking takes time, and anybody may make a chain. */
export const MAX_EVENTS = 1_000
const REMEMBERED = 512
/** Of a subject that is remembered. The longest one that anybody asks for is that of a host and its port. */
const LONGEST = 300

/** How a chain ended that was checked, and what was live then, the one added last at the end. */
export interface CheckedChain {
  readonly head: Head | undefined
  readonly live: readonly string[]
}

/** Why nobody can rely on a chain. */
export class ChainUnusable extends Error {
  constructor(readonly problem: 'too_long' | 'broken') {
    super(`the chain is ${problem.replace('_', ' ')}`)
  }
}

/**
 * The chains of the directory, as far as the vault relies on them: every event is checked here, whoever wrote its row.
 * docs/spec/identities.md, section 2
 */
export class Parties implements PartyPort {
  /** By primary; the one used longest ago first. */
  readonly #checked = new Map<string, CheckedChain>()
  /** By primary; the last of those that ask for it now. */
  readonly #underWay = new Map<string, Promise<CheckedChain>>()
  /** Ends when the next signature may be checked. */
  #turn = Promise.resolve()

  constructor(private readonly store: UnitStore) {}

  isPrimary(text: string): boolean {
    try {
      parsePrimary(text)
      return true
    } catch (error) {
      if (!(error instanceof SigchainRefusal)) throw error
      return false
    }
  }

  async subjectsOf(primary: string): Promise<PartySubjects> {
    try {
      const { head, live } = await this.checked(parsePrimary(primary))
      return head === undefined ? { problem: 'no_chain' } : { live }
    } catch (error) {
      if (!(error instanceof ChainUnusable)) throw error
      return { problem: error.problem }
    }
  }

  /** @throws ChainUnusable */
  async checked(primary: Primary): Promise<CheckedChain> {
    const before = this.#underWay.get(primary.text)
    // Whoever asks meanwhile goes on where the one before ended, so that no event is checked twice at one time.
    const mine = (async () => {
      await before?.catch(() => undefined)
      return this.#check(primary)
    })()
    this.#underWay.set(primary.text, mine)
    try {
      return await mine
    } finally {
      if (this.#underWay.get(primary.text) === mine) this.#underWay.delete(primary.text)
    }
  }

  async #check(primary: Primary): Promise<CheckedChain> {
    const last = await lastOf(this.store, primary)
    // Before anything is computed.
    if (last !== undefined && last.seq >= MAX_EVENTS) throw new ChainUnusable('too_long')
    const known = this.#checked.get(primary.text) ?? { head: undefined, live: [] }
    const chain = await this.#goOn(primary, known)
    this.#checked.delete(primary.text)
    if (chain.head !== undefined) this.#checked.set(primary.text, chain)
    if (this.#checked.size > REMEMBERED)
      this.#checked.delete(this.#checked.keys().next().value as string)
    return chain
  }

  async #goOn(primary: Primary, known: CheckedChain): Promise<CheckedChain> {
    const live = new Set(known.live)
    let { head } = known
    // Where checking goes on, the event that it ended with must still be.
    let expected = head?.hash
    for await (const page of envelopesOf(this.store, primary, head?.seq))
      for (const envelope of page) {
        const bytes = utf8.encode(envelope)
        if (expected === undefined) {
          await this.#nextTurn()
          const event = valid(() => checkEvent(head, bytes, primary, byOpenssl))
          apply(live, event)
          head = { seq: event.seq, hash: event.hash }
          if (head.seq >= MAX_EVENTS) throw new ChainUnusable('too_long')
        } else if (valid(() => envelopeHash(parseEnvelope(bytes))) !== expected)
          throw new ChainUnusable('broken')
        expected = undefined
      }
    if (expected !== undefined) throw new ChainUnusable('broken')
    return { head, live: [...live] }
  }

  /** However many chains are checked at one time: between two signatures everybody else has their turn. */
  #nextTurn(): Promise<void> {
    this.#turn = this.#turn.then(() => new Promise((done) => setImmediate(done)))
    return this.#turn
  }
}

const utf8 = new TextEncoder()

function apply(live: Set<string>, { envelope }: CheckedEvent): void {
  const { op, payload } = envelope.payload
  if (op === 'revoke') live.delete(payload.subject)
  else if (payload.subject.length <= LONGEST) live.add(payload.subject)
}

function valid<T>(check: () => T): T {
  try {
    return check()
  } catch (error) {
    if (!(error instanceof SigchainRefusal)) throw error
    throw new ChainUnusable('broken')
  }
}
