import { x25519 } from '@noble/curves/ed25519.js'
import {
  checkEvent,
  liveSubjects,
  parsePrimary,
  primaryOfSigner,
  signEvent,
  SigchainRefusal,
  type CheckedEvent,
  type Head,
  type Op,
  type Primary,
  type Signer,
} from '@vertex/directory/sigchain'
import { openSealedBackup as open, SealedBackupRefused } from '@vertex/directory/sealed'
import { utf8ToBytes } from '@noble/hashes/utils.js'
import { bytesToHex } from '@vertex/mpc'
import {
  Contacts,
  type AddContactOptions,
  type Contact,
  type PublishContactOptions,
  type PublishedContact,
} from './contacts.js'
import { withDeadline } from './deadline.js'
import {
  BackupError,
  IdentityError,
  RequestError,
  UnavailableError,
  VertexError,
} from './errors.js'
import type { Answer } from './exchange.js'
import type { Http } from './http.js'
import type { AtVertex, EcdsaKey } from './key.js'
import { Names } from './names.js'
import type { Backup } from './record.js'
import { toName } from './sealed-export.js'

/** Checking an event takes a millisecond or two, and anybody may make a chain. */
const MAX_EVENTS = 1_000
/** So long at a time; then whatever else the app does has its turn. */
const CHECKING_MS = 8
const ATTEMPTS = 3

/** A party of the directory, as its sigchain shows it: every event of it was checked here, from the first one on. */
export interface Party {
  /** `ed25519:…` or `nostr:…` */
  readonly primary: string
  /** Its last event. Keep it, and give it as `known` the next time: then an older chain is not taken for this one. */
  readonly head: Head
  /** All that speaks for the party now, the newest at the end. */
  readonly live: readonly string[]
  /** Of those, the keygen_ids of the party, hex. */
  readonly keygenIds: readonly string[]
  /** The X25519 public keys to which backups for it may be sealed, hex; the newest at the end. */
  readonly recipientKeys: readonly string[]
  /** Hosts at which it answers, if it is a Vertex. */
  readonly vertices: readonly string[]
  /** Of a Vertex whose backup secret was rotated: the primary that it says has taken its place. */
  readonly successors: readonly string[]
}

export interface LookupOptions {
  /** The last event of this chain that was seen before: one without it was cut short, or is another history. */
  readonly known?: Head
  readonly signal?: AbortSignal
}

export interface PublishOptions extends LookupOptions {
  /** Subjects that are to speak for the party, such as `keygen:…` or `recipient:…`. Those that do already stay. */
  readonly add?: readonly string[]
  /** Subjects that are to speak for it no more. */
  readonly revoke?: readonly string[]
}

/** A backup that only one party can open; `exportType` is that of the backup in it. */
export interface SealedBackup {
  readonly exportType: Backup['export_type']
  /** Base64. */
  readonly keyShare: string
  readonly recipient: string
  /** The public key it is sealed to, hex. */
  readonly recipientKey: string
  readonly exportedAt: Date
}

/**
 * The directory of a Vertex: who parties are, proved by what they signed. The server is not believed: what it shows is
 * checked here. That it shows an older state of a chain is found only by `known`.
 */
export class Directory {
  /** Names that the keyserver of this Vertex gives out. */
  readonly names: Names
  readonly #http: Http
  readonly #deadlineMs: number
  readonly #contacts: Contacts

  constructor(http: Http, deadlineMs: number) {
    this.names = new Names(http, deadlineMs)
    this.#http = http
    this.#deadlineMs = deadlineMs
    this.#contacts = new Contacts(http, deadlineMs)
  }

  /**
   * Reads and checks the sigchain of a party.
   * @throws VertexError `party_not_found` for one without a chain, `chain_invalid` for one that does not verify
   */
  async lookup(party: string, options: LookupOptions = {}): Promise<Party> {
    const primary = primaryOf(party)
    return withDeadline(this.#deadlineMs, options.signal, async ({ signal }) => {
      const chain = await this.#chain(primary, options.known, signal)
      if (chain.length === 0)
        throw new VertexError('party_not_found', 'the directory has no sigchain of this party')
      return partyOf(primary, chain)
    })
  }

  /**
   * Says on the sigchain of an identity what speaks for it. Signs and posts only what is missing, so it may be called
   * again at any time. Give `known` where it is at hand: to a server that hides the end of the chain, another history
   * would be signed.
   * @param identity the secret of the primary; it stays here
   */
  async publishIdentity(identity: Signer, options: PublishOptions = {}): Promise<Party> {
    const { add = [], revoke = [], known } = options
    for (const subject of [...add, ...revoke]) checkSubject(subject)
    const primary = primaryOfSigner(identity)
    return withDeadline(this.#deadlineMs, options.signal, async ({ signal }) => {
      for (let attempt = 1; ; attempt++) {
        let chain = await this.#chain(primary, known, signal)
        const live = liveSubjects(chain)
        const wanted = [
          ...add
            .filter((subject) => !live.has(subject))
            .map((subject) => ['add', subject] as const),
          ...revoke
            .filter((subject) => live.has(subject))
            .map((subject) => ['revoke', subject] as const),
        ]
        const posted = await this.#say(identity, primary, chain, wanted, signal)
        if (posted !== undefined) chain = posted
        // Somebody else who has this secret was first.
        else if (attempt < ATTEMPTS) continue
        else
          throw new VertexError('chain_invalid', 'the sigchain changes faster than it is written')
        if (chain.length === 0)
          throw new RequestError('bad_argument', 'there is nothing to say, and no sigchain yet')
        return partyOf(primary, chain)
      }
    })
  }

  /**
   * Takes a backup of a Vertex's share that only this party can open, with {@link openSealedBackup}. What comes out is
   * imported as any backup. It is sealed by the Vertex, to the key that the party added last; that the Vertex did so,
   * only the party can see: have it opened and verified before relying on it.
   *
   * A party may also be `mute:` and a name of this Vertex's keyserver: the key is then one that the name has left there,
   * and nobody else gets it; that it is the name's, this SDK checks.
   * @throws VertexError `party_not_found`, `chain_invalid`; BackupError, IdentityError where the Vertex gave another one
   */
  async sealBackupTo(
    party: string,
    key: EcdsaKey,
    options: LookupOptions & AtVertex = {},
  ): Promise<SealedBackup> {
    if (party.startsWith('mute:'))
      return this.#sealToName(party.slice('mute:'.length), key, options)
    const found = await this.lookup(party, options)
    if (found.recipientKeys.length === 0)
      throw new VertexError('party_not_found', 'this party has no live recipient key')
    return key.exportSealed(found, options)
  }

  /**
   * Publishes keys of yours for somebody to whom you then give the code. The server sends a link to the address: nobody
   * takes the keys before it was opened. Tell the fingerprint to nobody but a receiver who calls you.
   * @throws RequestError for an address that mail is not sent to, UnavailableError where there is no mail
   */
  publishContact(email: string, options: PublishContactOptions): Promise<PublishedContact> {
    return this.#contacts.publish(email, options)
  }

  /**
   * Takes the keys of somebody who has published them, once: a code is used up by it, whatever comes of it.
   * @param fingerprint as you heard it from the one whose keys they are, over another way than the code
   * @throws VertexError `code_not_found`; IdentityError `contact_unverified`, `contact_mismatch`
   */
  addContact(code: string, fingerprint: string, options?: AddContactOptions): Promise<Contact> {
    return this.#contacts.add(code, fingerprint, options)
  }

  async #sealToName(
    name: string,
    key: EcdsaKey,
    options: LookupOptions & AtVertex,
  ): Promise<SealedBackup> {
    const to = await withDeadline(this.#deadlineMs, options.signal, async (deadline) => {
      const { content, identity } = await this.names.contentOf(name, {}, deadline.signal)
      return toName(identity, content)
    })
    return key.exportSealed(to, options)
  }

  /** All events of a chain, checked; none where there is no chain. */
  async #chain(
    primary: Primary,
    known: Head | undefined,
    signal: AbortSignal,
  ): Promise<readonly CheckedEvent[]> {
    const answer = await this.#http.send('GET', pathOf(primary), { signal })
    if (answer.status !== 200 && answer.status !== 404) throw refused(answer)
    const text = answer.status === 404 ? '' : answer.text
    const chain = await checkedChain(text, primary, signal)
    if (known !== undefined && chain[known.seq]?.hash !== known.hash)
      throw new IdentityError(
        'chain_invalid',
        'the sigchain is without an event that was seen before: it was cut short, or is another history',
      )
    return chain
  }

  /** @returns the chain with the new events; undefined when it had gone on meanwhile */
  async #say(
    identity: Signer,
    primary: Primary,
    chain: readonly CheckedEvent[],
    wanted: readonly (readonly [Op, string])[],
    signal: AbortSignal,
  ): Promise<readonly CheckedEvent[] | undefined> {
    const all = [...chain]
    for (const [op, subject] of wanted) {
      const createdAt = new Date().toISOString()
      const { bytes, event } = signEvent(identity, all.at(-1), { op, subject, createdAt })
      const answer = await this.#http.send('POST', `${pathOf(primary)}/events`, {
        // Its own canonical text again, since members keep their order.
        body: JSON.parse(new TextDecoder().decode(bytes)) as unknown,
        signal,
      })
      if (answer.status === 409) return undefined
      if (answer.status !== 201) throw refused(answer)
      all.push(event)
    }
    return all
  }
}

/** A key pair to which backups are sealed. The secret belongs where no share of the key is; it is not stored here. */
export function createRecipientKey(): {
  readonly secret: Uint8Array
  /** What the party says on its chain. */
  readonly subject: string
} {
  const secret = x25519.utils.randomSecretKey()
  return { secret, subject: `recipient:${bytesToHex(x25519.getPublicKey(secret))}` }
}

/** The primary of an identity. */
export const primaryOfIdentity = (identity: Signer): string => primaryOfSigner(identity).text

/**
 * Opens a sealed backup, so that it can be imported and verified. Needs WebCrypto: Node, or a page in a secure context.
 * @param secret the recipient's X25519 private key, 32 bytes
 * @throws BackupError `backup_invalid` for one that was changed, or is not for this key
 */
export async function openSealedBackup(
  { keyShare, exportType }: Pick<SealedBackup, 'keyShare' | 'exportType'>,
  secret: Uint8Array,
): Promise<Backup> {
  // In a browser it is there in secure contexts only.
  const { subtle } = globalThis.crypto as { subtle?: SubtleCrypto }
  if (subtle === undefined)
    throw new RequestError('bad_argument', 'opening a sealed backup needs WebCrypto: use https')
  try {
    return { export_type: exportType, key_share: await open(keyShare, secret) }
  } catch (error) {
    if (!(error instanceof SealedBackupRefused)) throw error
    throw new BackupError('backup_invalid', error.message, { cause: error })
  }
}

/** @param text an envelope a line; an empty last line is no event */
async function checkedChain(
  text: string,
  primary: Primary,
  signal: AbortSignal,
): Promise<readonly CheckedEvent[]> {
  const lines = text.split('\n')
  if (lines.at(-1) === '') lines.pop()
  if (lines.length > MAX_EVENTS)
    throw new VertexError('chain_invalid', `the sigchain has more than ${MAX_EVENTS} events`)
  const chain: CheckedEvent[] = []
  let since = performance.now()
  for (const line of lines) {
    if (performance.now() - since >= CHECKING_MS) {
      await new Promise((resolve) => setTimeout(resolve))
      since = performance.now()
    }
    signal.throwIfAborted()
    try {
      chain.push(checkEvent(chain.at(-1), utf8ToBytes(line), primary))
    } catch (cause) {
      if (!(cause instanceof SigchainRefusal)) throw cause
      const message = `the sigchain does not verify: line ${chain.length + 1}: ${cause.message}`
      throw new VertexError('chain_invalid', message, { cause })
    }
  }
  return chain
}

function partyOf(primary: Primary, chain: readonly CheckedEvent[]): Party {
  const last = chain.at(-1)!
  const live = [...liveSubjects(chain).keys()]
  const of = (kind: string, form: RegExp) =>
    live
      .filter((subject) => subject.startsWith(kind))
      .map((subject) => subject.slice(kind.length))
      .filter((rest) => form.test(rest))
  return {
    primary: primary.text,
    head: { seq: last.seq, hash: last.hash },
    live,
    keygenIds: of('keygen:', /^[0-9a-f]{66}$/),
    recipientKeys: of('recipient:', /^[0-9a-f]{64}$/),
    vertices: of('vertex:', /./),
    successors: of('ed25519:', /^[0-9a-f]{64}$/).map((rest) => `ed25519:${rest}`),
  }
}

/** Kinds of subjects that others look up by their exact text. */
const forms: Readonly<Record<string, RegExp>> = {
  keygen: /^[0-9a-f]{66}$/,
  recipient: /^[0-9a-f]{64}$/,
  device: /^[0-9a-f]{64}$/,
}

function checkSubject(subject: string): void {
  const colon = subject.indexOf(':')
  const form = forms[subject.slice(0, Math.max(0, colon))]
  if (colon < 1 || form?.test(subject.slice(colon + 1)) === false)
    throw new RequestError('bad_argument', 'a subject is kind:value, with hex in lower case')
}

function primaryOf(party: string): Primary {
  try {
    return parsePrimary(party)
  } catch (error) {
    throw new RequestError('bad_argument', error instanceof Error ? error.message : 'no primary')
  }
}

const pathOf = ({ scheme, id }: Primary) => `/v1/sigchains/${scheme}/${id}`

/** The directory has a form of errors of its own. */
function refused({ status, text, headers }: Answer): VertexError {
  const wait = Number(headers['retry-after'])
  const retryAfter = Number.isFinite(wait) ? wait : undefined
  if (status === 429)
    return new UnavailableError('rate_limited', 'too many requests', { status, retryAfter })
  if (status >= 500)
    return new UnavailableError('storage_unavailable', 'the directory does not answer now', {
      status,
      retryAfter,
    })
  let message: unknown
  try {
    message = (JSON.parse(text) as { error?: { message?: unknown } }).error?.message
  } catch {
    // Whatever it is, it is not an answer of a directory.
  }
  return new VertexError(
    'bad_response',
    `the directory refused: ${typeof message === 'string' ? message : 'it may have none'}`,
    { status },
  )
}
