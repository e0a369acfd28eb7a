import { badRequest, parseHex } from './ids.js'
import type { NameKey, NamePort, PartyPort, PartySubjects } from './ports.js'
import { asVaultError } from './units.js'

const problems: Readonly<Record<NonNullable<PartySubjects['problem']>, string>> = {
  no_chain: 'has no sigchain in the directory of this server; post it there first',
  too_long: 'has a sigchain with more events than this server checks',
  broken: 'has a sigchain that does not verify',
}

/** What names begin with, where there could be a primary too. */
const NAME = 'mute:'

const nameProblems: Readonly<Record<NonNullable<NameKey['problem']>, string>> = {
  no_name: 'is no name: mute:localpart@domain, as the keyserver writes it',
  unknown: 'is a name that nobody has',
  broken: 'has messages on the hashchain that do not verify',
  no_key: 'has no key left to which a backup could be sealed',
}

/** To which key something is sealed, and how that is shown. */
export interface RecipientKey {
  readonly key: Uint8Array
  /** Of a name only: what it has signed about the key, if that is given out once. */
  readonly keyInit?: string | null
}

/** What other parties say of themselves, for what relies on it. docs/spec/identities.md, sections 2 and 3 */
export class Identities {
  /** @param names undefined where no names are given out */
  constructor(
    private readonly parties: PartyPort,
    private readonly names: NamePort | undefined,
  ) {}

  /**
   * The form of what is expected of the other parties of a key; looks nothing up.
   * @param expected a primary for each of them, or null
   * @throws VaultError `bad_request_params`
   */
  assertForm(others: number, expected: readonly (string | null)[]): void {
    if (expected.length !== others)
      throw badRequest(
        `others_identities must have an entry for each of the ${others} others_keygen_ids, not ${expected.length}`,
      )
    for (const [i, primary] of expected.entries())
      if (primary !== null) this.assertPrimary(nameOf(i), primary)
  }

  /** @throws VaultError `bad_request_params` */
  assertPrimary(name: string, text: string): void {
    if (!this.parties.isPrimary(text))
      throw badRequest(
        `${name} is no primary: ed25519:<64 hex digits in lower case> or nostr:<npub>`,
      )
  }

  /** The form of a recipient; looks nothing up. @throws VaultError `bad_request_params` */
  assertRecipient(text: string): void {
    // A name's form is the keyserver's business.
    if (!text.startsWith(NAME)) this.assertPrimary('recipient', text)
  }

  /**
   * Checks that each keygen_id speaks for the party that is expected behind it.
   * @param keygenIds lower-case hex
   * @param expected as {@link assertForm} found it
   * @throws VaultError `bad_request_params`
   */
  async assertKeygenIds(
    keygenIds: readonly string[],
    expected: readonly (string | null)[],
  ): Promise<void> {
    for (const [i, primary] of expected.entries()) {
      if (primary === null) continue
      const name = nameOf(i)
      if (!(await this.#live(name, primary)).includes(`keygen:${keygenIds[i]!}`))
        throw badRequest(`${name}: the keygen_id is not live on the sigchain of this party`)
    }
  }

  /**
   * The key to which a backup for a party is sealed: of a primary the one it added last of those that are live, of a
   * name one that nobody else gets.
   * @throws VaultError `bad_request_params`
   */
  async recipientKey(recipient: string): Promise<RecipientKey> {
    return recipient.startsWith(NAME)
      ? this.#keyOfName(recipient.slice(NAME.length))
      : { key: await this.#keyOnChain(recipient) }
  }

  async #keyOfName(name: string): Promise<RecipientKey> {
    if (this.names === undefined) throw badRequest('recipient: this server gives out no names')
    const found = await this.names.keyFor(name).catch((e: unknown) => {
      throw asVaultError(e)
    })
    if (found.problem !== undefined) throw badRequest(`recipient ${nameProblems[found.problem]}`)
    return found
  }

  async #keyOnChain(primary: string): Promise<Uint8Array> {
    const live = await this.#live('recipient', primary)
    const newest = live.findLast((subject) => /^recipient:[0-9a-f]{64}$/.test(subject))
    if (newest === undefined)
      throw badRequest('recipient: this party has no live recipient key on its sigchain')
    return parseHex('the recipient key', newest.slice('recipient:'.length))
  }

  async #live(name: string, primary: string): Promise<readonly string[]> {
    const found = await this.parties.subjectsOf(primary).catch((e: unknown) => {
      throw asVaultError(e)
    })
    if (found.problem !== undefined) throw badRequest(`${name} ${problems[found.problem]}`)
    return found.live
  }
}

const nameOf = (i: number) => `others_identities[${i}]`
