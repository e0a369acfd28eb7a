import {
  assertConnected,
  assertFirst,
  assertFollows,
  assertLifetime,
  canonical,
  checkKeyInit,
  checkMessage,
  entryText,
  flushBytes,
  fromBase64,
  KEYSERVER,
  KeyserverRefusal,
  linkOf,
  mapIdentity,
  sigKeyHash,
  splitEntry,
  stateOf,
  toBase64,
  type CheckedKeyInit,
  type CheckedMessage,
  type UidReply,
} from '@vertex/directory/keyserver'
import { verifyStrict } from '@vertex/directory/keypackage'
import { createHash } from 'node:crypto'
import { toHex } from '../../store/columns.js'
import type { Unit, UnitStore } from '../../store/index.js'
import { byOpenssl } from '../equation.js'
import {
  allOfName,
  append,
  byIndex,
  entriesBetween,
  inUnit,
  lastEntry,
  lastOfName,
  openRow,
  outside,
  positionOf,
  replyTo,
  timeAfter,
  type NameEntry,
} from './chain.js'
import {
  assertInUse,
  deleteAll,
  dispense,
  flush,
  keep,
  prune,
  type Dispensed,
} from './key-inits.js'
import type { KeyserverKeys } from './keys.js'
import { openChain } from './own.js'
import type { KeyserverSettings } from './settings.js'
import { ENTRIES, LINKS, type LinkRow } from './tables.js'
import { TokenKeys, useUp } from './tokens.js'

/** How long ago a LASTENTRY may have been the last one, for a new identity. */
const FRESH_MS = 24 * 3600 * 1000
/** Of a call. */
const MOST_KEY_INITS = 100

const refused = (message: string) => new KeyserverRefusal('refused', message)
const notFound = (message: string) => new KeyserverRefusal('not_found', message)

/** What a call that writes something is paid with. */
export interface Paid {
  readonly tokens: readonly string[]
  /** Told once, before anything is written or looked for that costs. @throws what ends the call */
  readonly countWrite: () => Promise<void>
}

/** The keyserver on its tables. docs/spec/keyserver.md */
export class Keyserver {
  #keys: KeyserverKeys | undefined
  readonly #tokenKeys: TokenKeys

  constructor(
    private readonly store: UnitStore,
    readonly settings: KeyserverSettings,
    /** Milliseconds since 1970. */
    private readonly now: () => number,
  ) {
    this.#tokenKeys = new TokenKeys(settings.tokenKeys)
  }

  /** Before anything is asked; and once a day, so that its own messages last. @throws ChainRefused, StorageUnavailable */
  async open(): Promise<void> {
    this.#keys = await openChain(this.store, this.settings, this.now())
  }

  /** Deletes what has expired. */
  prune(): Promise<void> {
    return prune(this.store, this.#seconds())
  }

  async capabilities(methods: readonly string[]) {
    const last = await this.last()
    const domains = [...this.settings.domains]
    const CAPABILITIES = {
      METHODS: [...methods],
      DOMAINS: domains,
      KEYREPOSITORYURIS: domains,
      KEYINITREPOSITORYURIS: domains,
      KEYHASHCHAINURIS: domains,
      KEYHASHCHAINENTRY: last.entry,
      TKNPUBKEY: this.#tokenKeys.shown,
      SIGPUBKEYS: [this.keys.publicKey],
    }
    return { CAPABILITIES, SIGNATURE: this.keys.sign(canonical(CAPABILITIES)) }
  }

  /** The end of the chain. */
  async last(): Promise<{ readonly position: number; readonly entry: string }> {
    const last = await lastEntry(outside(this.store))
    if (last === undefined) throw new Error('the chain has not begun')
    return { position: last.position, entry: entryText(last.entry) }
  }

  /** Entries, some at a time, and the place of the first. 8.3 */
  async entries(start: number, end: number | undefined) {
    if (end !== undefined && end < start)
      throw new KeyserverRefusal('malformed', 'EndPosition must not be below StartPosition')
    const { position: last } = await this.last()
    const from = Math.min(start, last)
    const to = Math.min(Math.max(end ?? from, from), last)
    return { from, to, pages: entriesBetween(this.store, from, to) }
  }

  async fetchUid(uidIndex: string): Promise<UidReply> {
    const index = bytesOf(uidIndex, 32, 'UIDIndex')
    const row = await byIndex(outside(this.store), index)
    if (row === undefined) throw notFound('there is no message of this UIDIndex')
    return replyTo(row)
  }

  /** Where the entries of a name are. */
  async positions(given: string): Promise<readonly number[]> {
    const { text } = mapIdentity(given)
    const rows = await this.store.select(
      `SELECT position FROM ${ENTRIES} WHERE name_tag = $1 ORDER BY position`,
      [this.keys.tagOf(text)],
    )
    return rows.map(({ position }) => Number(position))
  }

  async link(domain: string): Promise<LinkRow> {
    const [row] = await this.store.select(
      `SELECT identity, position FROM ${LINKS} WHERE domain = $1`,
      [domain.toLowerCase()],
    )
    if (row === undefined) throw notFound('there is no authoritative link for this domain')
    return { domain, identity: String(row['identity']), position: Number(row['position']) }
  }

  /** 4.7 */
  async create(value: unknown, { tokens, countWrite }: Paid): Promise<UidReply> {
    const checked = this.#check(value)
    assertFirst(checked, byOpenssl)
    const rows = outside(this.store)
    const tag = this.keys.tagOf(checked.identity.text)
    const before = await lastOfName(rows, tag)
    if (before !== undefined && isOf(before, checked)) return replyTo(before)
    await countWrite()
    this.#assertFree(before)
    await this.#assertFresh(checked)
    this.#assertUnconnected(checked)
    const token = this.#tokenKeys.firstGood(tokens)
    return this.store.inChain(async (unit) => {
      const last = await lastOfName(inUnit(unit), tag)
      if (last !== undefined && isOf(last, checked)) return replyTo(last)
      this.#assertFree(last)
      return this.#append(unit, checked, token)
    })
  }

  /** 4.8 */
  async update(value: unknown, { tokens, countWrite }: Paid): Promise<UidReply> {
    const checked = this.#check(value)
    const tag = this.keys.tagOf(checked.identity.text)
    const before = await lastOfName(outside(this.store), tag)
    if (before !== undefined && isOf(before, checked)) return replyTo(before)
    await countWrite()
    if (before === undefined || !stateOf(before.notAfter, this.#seconds()).isKnown)
      throw notFound('uid: the identity is not known')
    if (!stateOf(before.notAfter, this.#seconds()).canBeUpdated)
      throw refused('uid: the identity can no longer be updated')
    const { message: former } = openRow(before, checked.identity.text)
    assertFollows(checked, former, byOpenssl)
    await this.#assertNotOlder(checked, former.UIDContent.LASTENTRY)
    const token = this.#tokenKeys.firstGood(tokens)
    return this.store.inChain(async (unit) => {
      const last = await lastOfName(inUnit(unit), tag)
      if (last !== undefined && isOf(last, checked)) return replyTo(last)
      // What was checked before was against another one.
      if (last?.position !== before.position)
        throw new KeyserverRefusal('conflict', 'uid: message counter not incremented by one')
      const reply = await this.#append(unit, checked, token)
      const [now, then] = [checked.message, former].map(
        ({ UIDContent }) => UIDContent.SIGKEY.PUBKEY,
      )
      if (now !== then) await deleteAll(unit, sigKeyHash(fromBase64(then!)!))
      return reply
    })
  }

  async addKeyInits(
    sigPubKey: string,
    given: readonly unknown[],
    { tokens, countWrite }: Paid,
  ): Promise<readonly string[]> {
    const hash = sigKeyHash(bytesOf(sigPubKey, 32, 'SigPubKey'))
    if (given.length === 0 || given.length > MOST_KEY_INITS)
      throw new KeyserverRefusal('malformed', `KeyInits must be 1 to ${MOST_KEY_INITS}`)
    await countWrite()
    const now = this.#seconds()
    // Before anything is computed for a stranger; it is looked at again where it counts.
    await assertInUse(outside(this.store), hash, now)
    const expected = { sigPubKey, repoUris: this.settings.domains, now }
    const checked: CheckedKeyInit[] = []
    for (const each of given) {
      checked.push(checkKeyInit(each, expected, byOpenssl))
      // Between two of them everybody else has their turn.
      await new Promise((done) => setImmediate(done))
    }
    if (new Set(checked.map(({ contents }) => toBase64(contents))).size !== checked.length)
      throw new KeyserverRefusal('malformed', 'KeyInits has one of them twice')
    await this.store.inChain((unit) =>
      keep(unit, hash, checked, now, () =>
        // Looked at only where something is kept: whoever asks again because an answer was lost has nothing left to pay with.
        Promise.resolve().then(() => useUp(unit, this.#tokenKeys.firstGood(tokens), this.now())),
      ),
    )
    return checked.map(({ bytes }) => this.keys.sign(bytes))
  }

  async fetchKeyInit(given: string, countWrite: () => Promise<void>): Promise<string> {
    const hash = toBase64(bytesOf(given, 64, 'SigKeyHash'))
    await countWrite()
    const found = await this.dispense(hash)
    if (found === undefined) throw notFound('there is no key init of this SigKeyHash')
    return found.keyInit
  }

  /** @param hash of a SIGKEY, base64 */
  dispense(hash: string): Promise<Dispensed | undefined> {
    return dispense(this.store, hash, this.#seconds())
  }

  async flushKeyInits(
    sigPubKey: string,
    nonce: number,
    signature: string,
    countWrite: () => Promise<void>,
  ): Promise<void> {
    const key = bytesOf(sigPubKey, 32, 'SigPubKey')
    const sig = bytesOf(signature, 64, 'Signature')
    if (verifyStrict(key, flushBytes(nonce), sig, byOpenssl) !== 'valid')
      throw refused('uid: nonce signature invalid')
    await countWrite()
    const now = this.#seconds()
    await this.store.inChain((unit) => flush(unit, sigKeyHash(key), nonce, now))
  }

  /**
   * All messages of a name, opened; undefined where there are more than so many.
   * @throws KeyserverRefusal for rows that are not what they were
   */
  async messagesOf(
    identity: string,
    most: number,
  ): Promise<readonly NameEntryOpened[] | undefined> {
    const rows = await allOfName(outside(this.store), this.keys.tagOf(identity), most + 1)
    if (rows.length > most) return undefined
    return rows.map((row) => ({ position: row.position, checked: openRow(row, identity) }))
  }

  get keys(): KeyserverKeys {
    if (this.#keys === undefined) throw new Error('the keyserver was not opened')
    return this.#keys
  }

  #seconds(): number {
    return Math.floor(this.now() / 1000)
  }

  /** 4.1 to 4.4, as far as the message alone tells. */
  #check(value: unknown): CheckedMessage {
    const checked = checkMessage(value, byOpenssl)
    const { localpart, domain } = checked.identity
    if (!this.settings.domains.includes(domain))
      throw refused('identity: the domain is not served here')
    if (localpart === KEYSERVER || this.settings.reserved.includes(localpart))
      throw refused('identity: this localpart is not given out')
    assertLifetime(checked.message.UIDContent.NOTAFTER, this.#seconds())
    this.#checkLink(checked)
    return checked
  }

  /** 6.3 */
  #checkLink({ message, content }: CheckedMessage): void {
    const link = linkOf(message.UIDContent)
    if (link?.AUTHORITATIVE !== true) return
    const { escrowKey } = this.settings
    const sig = fromBase64(message.LINKAUTHORITY, 64)
    if (
      escrowKey === undefined ||
      sig === undefined ||
      verifyStrict(escrowKey, content, sig, byOpenssl) !== 'valid'
    )
      throw refused(
        'uid: an AUTHORITATIVE link needs LINKAUTHORITY, a signature by the escrow key of this keyserver: ask its operator',
      )
    if ((link.DOMAINS ?? []).some((domain) => this.settings.domains.includes(domain.toLowerCase())))
      throw refused('uid: CHAINLINK.DOMAINS has a domain that is served here')
  }

  /** 6.4: a new identity has no message before. */
  #assertUnconnected({ message }: CheckedMessage): void {
    const link = linkOf(message.UIDContent)
    if (link !== undefined && !link.AUTHORITATIVE && link.IDENTITY !== '')
      assertConnected(link.IDENTITY, undefined)
  }

  #assertFree(row: NameEntry | undefined): void {
    if (row !== undefined && stateOf(row.notAfter, this.#seconds()).isKnown)
      throw new KeyserverRefusal('conflict', 'uid: the identity is already known')
  }

  /** 4.5 */
  async #assertFresh({ message }: CheckedMessage): Promise<void> {
    const position = await this.#placeOf(message.UIDContent.LASTENTRY)
    const next = await timeAfter(outside(this.store), position)
    if (next !== undefined && next < this.now() - FRESH_MS)
      throw refused('uid: LASTENTRY is not fresh: fetch the hashchain again')
  }

  async #assertNotOlder({ message }: CheckedMessage, before: string): Promise<void> {
    const position = await this.#placeOf(message.UIDContent.LASTENTRY)
    if (position < (await this.#placeOf(before)))
      throw refused('uid: LASTENTRY is older than that of the message before')
  }

  async #placeOf(entry: string): Promise<number> {
    const position = await positionOf(outside(this.store), entry)
    if (position === undefined) throw refused('uid: LASTENTRY is not an entry of this hashchain')
    return position
  }

  async #append(unit: Unit, checked: CheckedMessage, token: string | undefined): Promise<UidReply> {
    const at = this.now()
    await useUp(unit, token, at)
    const row = await append(unit, this.keys, checked, at)
    await this.#noteLink(unit, checked, row.position)
    return replyTo(row)
  }

  async #noteLink(unit: Unit, { message, identity }: CheckedMessage, position: number) {
    const domains = linkOf(message.UIDContent)?.DOMAINS ?? []
    for (const domain of new Set(domains.map((each) => each.toLowerCase()))) {
      const before = await unit.verb((manager) => manager.findOneBy<LinkRow>(LINKS, { domain }))
      if (before === null) {
        const row = { domain, identity: identity.text, position }
        await unit.verb((manager) => manager.insert<LinkRow>(LINKS, row))
      } else if (before.identity !== identity.text)
        throw refused('uid: CHAINLINK.DOMAINS has a domain that another identity has claimed')
    }
  }
}

export interface NameEntryOpened {
  readonly position: number
  readonly checked: CheckedMessage
}

/** Whether a row is of this very message. */
function isOf({ uidIndex, entry }: NameEntry, { bytes }: CheckedMessage): boolean {
  const uidHash = createHash('sha256').update(bytes).digest()
  const index = createHash('sha256').update(uidHash).digest()
  return uidIndex === toHex(index) && toHex(splitEntry(entry).uidIndex) === uidIndex
}

/** @throws KeyserverRefusal */
function bytesOf(text: string, length: number, name: string): Uint8Array {
  const bytes = fromBase64(text, length)
  if (bytes === undefined)
    throw new KeyserverRefusal('malformed', `${name} must be base64 of ${length} bytes`)
  return bytes
}
