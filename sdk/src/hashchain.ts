import {
  currentOf,
  followingEntries,
  isServerSignature,
  KEYSERVER,
  KeyserverRefusal,
  lastOf,
  openReply,
  signedOfReply,
  splitEntry,
  stateOf,
  toBase64,
  uidHashIn,
  uidReply,
  type ChainEntry,
  type FoundMessage,
  type UidContent,
  type UidReply,
} from '@vertex/directory/keyserver'
import { IdentityError, VertexError } from './errors.js'

/** So many entries are asked for at once. */
const PART = 2_000
/** Of a name; checking takes a millisecond or two for each. */
const MAX_MESSAGES = 200

/** An entry of a keyserver's chain that was seen. */
export interface ChainPlace {
  readonly position: number
  /** Base64. */
  readonly entry: string
}

export type Call = (method: string, params: object, signal: AbortSignal) => Promise<unknown>

/** What was found of a name so far. */
interface Search {
  /** Entries before this one were looked at. */
  upTo: number
  readonly found: { readonly checked: FoundMessage; readonly reply: UidReply }[]
}

/** A copy of a keyserver's chain, checked link by link, and what was found on it. docs/spec/keyserver.md, 3 and 4.10 */
export class Hashchain {
  readonly #texts: string[] = []
  readonly #entries: ChainEntry[] = []
  readonly #searches = new Map<string, Search>()
  #turn: Promise<unknown> = Promise.resolve()

  constructor(private readonly call: Call) {}

  /** Fetches what is new. @returns the last entry @throws IdentityError for another history */
  sync(signal: AbortSignal, known?: ChainPlace): Promise<ChainPlace> {
    // One at a time, so that no two go on at one place.
    const mine = this.#turn.then(() => this.#sync(signal, known))
    this.#turn = mine.catch(() => undefined)
    return mine
  }

  async #sync(signal: AbortSignal, known: ChainPlace | undefined): Promise<ChainPlace> {
    const last = placeOf(await this.call('KeyHashchain.FetchLastHashChain', {}, signal))
    while (this.#texts.length <= last.position) {
      const start = this.#texts.length
      const end = Math.min(last.position, start + PART - 1)
      const range = { StartPosition: start, EndPosition: end }
      const given = await this.call('KeyHashchain.FetchHashChain', range, signal)
      const part = entriesOf(given, start, end)
      const before = this.#entries.at(-1)?.hash
      const entries = checked(() => followingEntries(part, before))
      this.#texts.push(...part)
      this.#entries.push(...entries)
    }
    // One that was shown before, by whoever answers now or by somebody else.
    for (const { position, entry } of known === undefined ? [last] : [last, known])
      if (this.#texts[position] !== entry)
        throw new IdentityError(
          'chain_invalid',
          'the hashchain is without an entry that was seen before: it was cut short, or is another history',
        )
    return { position: this.#texts.length - 1, entry: this.#texts.at(-1)! }
  }

  /**
   * The last message of an identity, if somebody has it now. Everything is checked: the links, the message, the one
   * before it, which chain its owner knew, and the keyserver's signatures.
   * @param now in seconds
   * @param byOwner the last one as long as its owner may say something new, even if it has expired
   */
  async find(
    identity: string,
    domain: string,
    now: number,
    signal: AbortSignal,
    byOwner = false,
  ): Promise<FoundMessage | undefined> {
    const servers = await this.#search(`${KEYSERVER}@${domain}`, signal)
    const mine = await this.#search(identity, signal)
    const messages = ({ found }: Search) => found.map((each) => each.checked)
    return checked(() => {
      if (currentOf(messages(servers), now) === undefined)
        throw new VertexError('chain_invalid', 'the keyserver of this domain has no key now')
      for (const { checked: message, reply } of mine.found) {
        const server = messages(servers).findLast(({ position }) => position < message.position)
        const key = server?.checked.message.UIDContent.SIGKEY.PUBKEY ?? ''
        if (!isServerSignature(reply.SERVERSIGNATURE, key, signedOfReply(reply)))
          throw new VertexError('chain_invalid', 'a message is not signed by the keyserver')
      }
      if (!byOwner) return currentOf(messages(mine), now)
      const last = lastOf(messages(mine), now)
      const end = last?.checked.message.UIDContent.NOTAFTER
      return end !== undefined && stateOf(end, now).canBeUpdated ? last : undefined
    })
  }

  async #search(identity: string, signal: AbortSignal): Promise<Search> {
    const search = this.#searches.get(identity) ?? { upTo: 0, found: [] }
    this.#searches.set(identity, search)
    for (; search.upTo < this.#entries.length; search.upTo++) {
      const position = search.upTo
      const entry = this.#entries[position]!
      const uidHash = checked(() => uidHashIn(entry, identity))
      if (uidHash === undefined) continue
      if (search.found.length === MAX_MESSAGES)
        throw new VertexError('chain_invalid', `a name with more than ${MAX_MESSAGES} messages`)
      const index = { UIDIndex: toBase64(entry.uidIndex) }
      const answer = await this.call('KeyRepository.FetchUID', index, signal)
      // Somebody else may have searched meanwhile.
      if (search.upTo !== position) continue
      const { UIDMessageReply } = answer as { UIDMessageReply?: unknown }
      const found = checked(() => {
        const reply = uidReply(UIDMessageReply, 'UIDMessageReply')
        const expected = { entry: this.#texts[position]!, position, uidHash }
        const opened = openReply(reply, expected)
        this.#assertKnown(opened.message.UIDContent, position)
        return { checked: { position, checked: opened }, reply }
      })
      search.found.push(found)
    }
    return search
  }

  /** Its owner has signed which chain they saw: a message that is shown on another one is found here. 4.10 */
  #assertKnown({ IDENTITY, LASTENTRY }: UidContent, position: number): void {
    if (LASTENTRY === '' && IDENTITY.startsWith(`${KEYSERVER}@`)) return
    const known = this.#texts.indexOf(LASTENTRY)
    if (known === -1 || known >= position)
      throw new VertexError('chain_invalid', 'a message was made on another hashchain')
  }
}

function placeOf(answer: unknown): ChainPlace {
  const { HCEntry: entry, HCPos: position } = answer as { HCEntry?: unknown; HCPos?: unknown }
  if (typeof entry !== 'string' || !Number.isSafeInteger(position)) throw noChain()
  checked(() => splitEntry(entry))
  return { entry, position: position as number }
}

function entriesOf(answer: unknown, start: number, end: number): readonly string[] {
  const { HCEntries, HCFirstPos } = answer as { HCEntries?: unknown; HCFirstPos?: unknown }
  const fits =
    HCFirstPos === start &&
    Array.isArray(HCEntries) &&
    HCEntries.length === end - start + 1 &&
    HCEntries.every((each) => typeof each === 'string')
  if (!fits) throw noChain()
  return HCEntries
}

const noChain = () => new VertexError('bad_response', 'the keyserver answered with no hashchain')

/** What does not verify, as this SDK says it. */
function checked<T>(check: () => T): T {
  try {
    return check()
  } catch (error) {
    if (!(error instanceof KeyserverRefusal)) throw error
    const message = `what the keyserver shows does not verify: ${error.message}`
    throw new VertexError('chain_invalid', message, { cause: error })
  }
}
