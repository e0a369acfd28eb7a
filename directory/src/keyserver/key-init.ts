import type { Equation } from '../ed25519.js'
import { fromBase64, hash512, isSignature, sameBytes, toBase64 } from './bytes.js'
import { canonical, count, flag, list, object, text, type Read } from './json.js'
import { AGREES, checkKeys, keyEntry, type KeyEntry } from './key-entry.js'
import { VERSIONS } from './message.js'
import { malformed, refused } from './refusal.js'
import { decryptCtr, encryptCtr, parsed } from './reply.js'
import { assertLifetime } from './rules.js'

/** A key that is given out once. docs/spec/keyserver.md, section 5 */
export interface KeyInit {
  readonly Contents: KeyInitContents
  readonly SIGNATURE: string
}

export interface KeyInitContents {
  readonly VERSION: string
  readonly MSGCOUNT: number
  readonly NOTAFTER: number
  readonly NOTBEFORE: number
  readonly FALLBACK: boolean
  readonly SIGKEYHASH: string
  readonly REPOURI: string
  readonly SESSIONANCHOR: string
  readonly SESSIONANCHORHASH: string
}

/** What a KeyInit hides from whoever does not know the identity. */
export interface SessionAnchor {
  readonly MIXADDRESS: string
  readonly NYMADDRESS: string
  readonly PFKEYS: readonly KeyEntry[]
}

/** Seconds. */
export const MAX_KEY_INIT_LIFETIME = 90 * 24 * 3600
const MAX_KEY_INIT = 16 * 1024

const keyInit: Read<KeyInit> = object({
  Contents: object({
    VERSION: text(16),
    MSGCOUNT: count,
    NOTAFTER: count,
    NOTBEFORE: count,
    FALLBACK: flag,
    SIGKEYHASH: text(88),
    REPOURI: text(254),
    SESSIONANCHOR: text(MAX_KEY_INIT),
    SESSIONANCHORHASH: text(88),
  }),
  SIGNATURE: text(88),
})

const sessionAnchor: Read<SessionAnchor> = object({
  MIXADDRESS: text(254),
  NYMADDRESS: text(1568),
  PFKEYS: list(keyEntry, 16),
})

/** 5.2 @param sigPubKey 32 bytes */
export const sigKeyHash = (sigPubKey: Uint8Array): string => toBase64(hash512(hash512(sigPubKey)))

const anchorKey = (sigPubKey: Uint8Array) => hash512(sigPubKey).slice(0, 32)

/** A KeyInit that was checked. */
export interface CheckedKeyInit {
  readonly keyInit: KeyInit
  readonly anchor: SessionAnchor
  /** What the server signs, and gives out. */
  readonly bytes: Uint8Array
  /** What its owner has signed. */
  readonly contents: Uint8Array
}

/** Whose KeyInit it is to be, where, and when. */
export interface KeyInitExpected {
  /** Of the SIGKEY of its owner, base64. */
  readonly sigPubKey: string
  readonly repoUris: readonly string[]
  /** In seconds. */
  readonly now: number
}

/**
 * Checks a KeyInit. 5.1 to 5.4
 * @param value parsed JSON, members in any order
 * @throws KeyserverRefusal
 */
export function checkKeyInit(
  value: unknown,
  { sigPubKey, repoUris, now }: KeyInitExpected,
  equation?: Equation,
): CheckedKeyInit {
  const read = keyInit(value, 'KeyInit')
  const bytes = canonical(read)
  if (bytes.length > MAX_KEY_INIT)
    throw malformed(`uid: a KeyInit has at most ${MAX_KEY_INIT} bytes`)
  const { Contents: of } = read
  if (!VERSIONS.includes(of.VERSION)) throw malformed('uid: unknown Contents.VERSION')
  if (!repoUris.includes(of.REPOURI)) throw refused('uid: KeyInit has invalid repoURI')
  const key = fromBase64(sigPubKey, 32)
  if (key === undefined || of.SIGKEYHASH !== sigKeyHash(key))
    throw refused('uid: KeyInit SIGKEYHASH does not match')
  if (of.NOTBEFORE >= of.NOTAFTER)
    throw refused('uid: key init NOTBEFORE must be smaller than NOTAFTER')
  assertLifetime(of.NOTAFTER, now, MAX_KEY_INIT_LIFETIME)
  const contents = canonical(of)
  if (!isSignature(read.SIGNATURE, sigPubKey, contents, equation))
    throw refused('uid: KeyInit signature is invalid')
  return { keyInit: read, anchor: openAnchor(of, key), bytes, contents }
}

function openAnchor(of: KeyInitContents, sigPubKey: Uint8Array): SessionAnchor {
  const encrypted = fromBase64(of.SESSIONANCHOR)
  if (encrypted === undefined || encrypted.length <= 16)
    throw malformed('uid: SESSIONANCHOR is not base64 of an anchor')
  const plain = decryptCtr(anchorKey(sigPubKey), encrypted)
  const wrong = refused('uid: SESSIONANCHORHASH does not match decrypted SESSIONANCHOR')
  let anchor: SessionAnchor
  try {
    anchor = sessionAnchor(parsed(plain), 'SESSIONANCHOR')
  } catch {
    throw wrong
  }
  const hash = fromBase64(of.SESSIONANCHORHASH, 64)
  if (hash === undefined || !sameBytes(hash512(canonical(anchor)), hash)) throw wrong
  checkKeys(anchor.PFKEYS, 'PFKEYS')
  if (anchor.PFKEYS.length === 0) throw refused('uid: KeyEntry not found')
  return anchor
}

/** The X25519 key with which somebody agrees on a secret; undefined where there is none. */
export function agreementKey(keys: readonly KeyEntry[]): Uint8Array | undefined {
  const found = keys.find((key) => key.FUNCTION === AGREES)
  return found && fromBase64(found.PUBKEY, 32)
}

/** A SessionAnchor as a KeyInit has it. 5.3 @param iv 16 random bytes */
export function sealAnchor(
  anchor: SessionAnchor,
  sigPubKey: Uint8Array,
  iv: Uint8Array,
): Pick<KeyInitContents, 'SESSIONANCHOR' | 'SESSIONANCHORHASH'> {
  const plain = canonical(anchor)
  return {
    SESSIONANCHOR: toBase64(encryptCtr(anchorKey(sigPubKey), plain, iv)),
    SESSIONANCHORHASH: toBase64(hash512(plain)),
  }
}

/** What is signed to have all KeyInits of a key deleted. 5.7 @param nonce the time, in seconds */
export function flushBytes(nonce: number): Uint8Array {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(nonce), true)
  return bytes
}

/** One that could be given out. */
export interface Dispensable {
  readonly id: number
  /** In seconds. */
  readonly notAfter: number
}

/**
 * Chooses one of several KeyInits that may be given out more than once. 5.6
 * @param valid at least one
 * @param below a random whole number from 0 to below its argument, which is at least 1
 */
export function chooseFallback<T extends Dispensable>(
  valid: readonly T[],
  now: number,
  below: (most: number) => number,
): { readonly chosen: T; readonly remove: boolean } {
  const left = (each: T) => each.notAfter - now
  const longest = Math.max(1, ...valid.map(left))
  const lives = (each: T) => below(longest) <= left(each)
  const order = [...valid]
  for (let i = order.length - 1; i > 0; i--) {
    const other = below(i + 1)
    ;[order[i], order[other]] = [order[other]!, order[i]!]
  }
  const chosen = order.find((each) => !lives(each)) ?? order[0]!
  return { chosen, remove: valid.length > 1 && !lives(chosen) }
}
