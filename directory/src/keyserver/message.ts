import type { Equation } from '../ed25519.js'
import { isSignature } from './bytes.js'
import { splitEntry } from './chain.js'
import { KEYSERVER, mappedIdentity, type Identity } from './identity.js'
import { canonical, count, flag, list, object, orNull, text, type Read } from './json.js'
import { checkKeyEntry, checkKeys, isNoKey, keyEntry, type KeyEntry } from './key-entry.js'
import { malformed, refused } from './refusal.js'

/** What an identity says of itself. docs/spec/keyserver.md, 2.4 */
export interface UidContent {
  readonly VERSION: string
  readonly MSGCOUNT: number
  readonly NOTAFTER: number
  readonly NOTBEFORE: number
  readonly MIXADDRESS: string
  readonly NYMADDRESS: string
  readonly IDENTITY: string
  readonly SIGKEY: KeyEntry
  readonly PUBKEYS: readonly KeyEntry[]
  readonly SIGESCROW: KeyEntry | null
  readonly LASTENTRY: string
  readonly REPOURIS: readonly string[] | null
  readonly PREFERENCES: Preferences
  readonly CHAINLINK: ChainLink | null
}

export interface Preferences {
  readonly FORWARDSEC: string
  readonly CIPHERSUITES: readonly string[] | null
}

/** How a message is tied to another chain. Section 6 */
export interface ChainLink {
  readonly URI: readonly string[] | null
  readonly LAST: string
  readonly AUTHORITATIVE: boolean
  readonly DOMAINS: readonly string[] | null
  readonly IDENTITY: string
}

export interface UidMessage {
  readonly UIDContent: UidContent
  readonly ESCROWSIGNATURE: string
  readonly USERSIGNATURE: string
  readonly SELFSIGNATURE: string
  readonly LINKAUTHORITY: string
}

export const VERSIONS: readonly string[] = ['1.0', '0.1a']
const FORWARDSEC = ['strict', 'mandatory', 'optional']
const MAX_MESSAGE = 16 * 1024
const MAX_ADDRESS = 254
const MAX_NYM_ADDRESS = 1568
const MAX_URIS = 5
const entry = text(204)
const signature = text(88)
const address = text(MAX_ADDRESS)
const addresses = (most: number) => orNull(list(address, most))

const uidMessage: Read<UidMessage> = object({
  UIDContent: object({
    VERSION: text(16),
    MSGCOUNT: count,
    NOTAFTER: count,
    NOTBEFORE: count,
    MIXADDRESS: address,
    NYMADDRESS: text(MAX_NYM_ADDRESS),
    IDENTITY: text(254),
    SIGKEY: keyEntry,
    PUBKEYS: list(keyEntry, 16),
    SIGESCROW: orNull(keyEntry),
    LASTENTRY: entry,
    REPOURIS: addresses(8),
    PREFERENCES: object({ FORWARDSEC: text(16), CIPHERSUITES: addresses(16) }),
    CHAINLINK: orNull(
      object({
        URI: addresses(MAX_URIS),
        LAST: entry,
        AUTHORITATIVE: flag,
        DOMAINS: addresses(16),
        IDENTITY: text(254),
      }),
    ),
  }),
  ESCROWSIGNATURE: signature,
  USERSIGNATURE: signature,
  SELFSIGNATURE: signature,
  LINKAUTHORITY: signature,
})

/** A message in form, with its hash's bytes. */
export interface CheckedMessage {
  readonly message: UidMessage
  readonly identity: Identity
  /** What is hashed. */
  readonly bytes: Uint8Array
  /** What is signed. */
  readonly content: Uint8Array
}

/**
 * Reads a message and checks all that can be checked of it alone: its form, and its self-signature.
 * docs/spec/keyserver.md, section 2
 * @param value parsed JSON, members in any order
 * @throws KeyserverRefusal
 */
export function checkMessage(value: unknown, equation?: Equation): CheckedMessage {
  const message = uidMessage(value, 'UIDMessage')
  const bytes = canonical(message)
  if (bytes.length > MAX_MESSAGE) throw malformed(`uid: a message has at most ${MAX_MESSAGE} bytes`)
  const { UIDContent: uid } = message
  if (!VERSIONS.includes(uid.VERSION)) throw malformed('uid: unknown UIDContent.VERSION')
  const identity = mappedIdentity(uid.IDENTITY)
  if (uid.NOTBEFORE >= uid.NOTAFTER) throw malformed('uid: NOTBEFORE must be smaller than NOTAFTER')
  checkOfKeys(uid)
  if (!(identity.localpart === KEYSERVER && uid.LASTENTRY === '')) splitEntry(uid.LASTENTRY)
  if ((uid.REPOURIS ?? []).length === 0) throw malformed('uid: REPOURIS must name a repository')
  checkPreferences(uid)
  if (message.USERSIGNATURE !== '' && message.ESCROWSIGNATURE !== '')
    throw malformed('uid: USERSIGNATURE and ESCROWSIGNATURE cannot be set at the same time')
  checkLink(message)
  const content = canonical(uid)
  if (!isSignature(message.SELFSIGNATURE, uid.SIGKEY.PUBKEY, content, equation))
    throw refused('uid: self-signature invalid')
  return { message, identity, bytes, content }
}

function checkOfKeys({ SIGKEY, SIGESCROW, PUBKEYS }: UidContent): void {
  checkKeyEntry(SIGKEY, 'signs', 'SIGKEY')
  const escrow = escrowOf({ SIGESCROW })
  if (escrow !== undefined) {
    checkKeyEntry(escrow, 'signs', 'SIGESCROW')
    if (escrow.PUBKEY === SIGKEY.PUBKEY) throw malformed('uid: SIGESCROW must not be SIGKEY')
  }
  if (PUBKEYS.length === 0) throw malformed('uid: PUBKEYS must contain a key')
  checkKeys(PUBKEYS, 'PUBKEYS')
}

/** The escrow key, where there is one. */
export const escrowOf = ({ SIGESCROW }: Pick<UidContent, 'SIGESCROW'>): KeyEntry | undefined =>
  SIGESCROW === null || isNoKey(SIGESCROW) ? undefined : SIGESCROW

function checkPreferences({ PREFERENCES, MIXADDRESS, NYMADDRESS }: UidContent): void {
  const { FORWARDSEC: preference } = PREFERENCES
  if (!FORWARDSEC.includes(preference))
    throw malformed(`uid: FORWARDSEC must be ${FORWARDSEC.join(', ')}`)
  if (preference === 'optional') return
  for (const [name, value] of Object.entries({ MIXADDRESS, NYMADDRESS }))
    if (value !== '' && value !== 'NULL')
      throw malformed(`uid: ${name} must be null, if FORWARDSEC is not "optional"`)
}

/** The link of a message, where it has one. 6.1 */
export function linkOf({ CHAINLINK: link }: Pick<UidContent, 'CHAINLINK'>): ChainLink | undefined {
  if (link === null) return undefined
  const { URI, LAST, AUTHORITATIVE, DOMAINS, IDENTITY } = link
  const isNone =
    [...(URI ?? []), ...(DOMAINS ?? [])].length === 0 && LAST + IDENTITY === '' && !AUTHORITATIVE
  return isNone ? undefined : link
}

/** What a link must be by itself. 6.1, 6.5 */
function checkLink({ UIDContent: uid, LINKAUTHORITY }: UidMessage): void {
  const link = linkOf(uid)
  if (LINKAUTHORITY !== '' && link?.AUTHORITATIVE !== true)
    throw malformed('uid: LINKAUTHORITY is for AUTHORITATIVE links only')
  if (link === undefined) return
  const uris = link.URI ?? []
  if (uris.length === 0) throw malformed('uid: a CHAINLINK needs a URI')
  for (const [i, uri] of uris.entries()) {
    if (!/^https:\/\/[!-~]+$/.test(uri)) throw malformed('uid: CHAINLINK.URI must be https URLs')
    if (i > 0 && uris[i - 1]! >= uri) throw malformed('uid: CHAINLINK.URI must be in order')
  }
  splitEntry(link.LAST)
  if ((link.DOMAINS ?? []).length > 0 && !link.AUTHORITATIVE)
    throw malformed('uid: DOMAINS are for AUTHORITATIVE links only')
}
