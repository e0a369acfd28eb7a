import { fromBase64, hash512, sameBytes, toBase64 } from './bytes.js'
import { object, text, type Read } from './json.js'
import { malformed } from './refusal.js'

/** A public key as messages have it. docs/spec/keyserver.md, 2.3 */
export interface KeyEntry {
  readonly CIPHERSUITE: string
  readonly FUNCTION: string
  readonly HASH: string
  readonly PUBKEY: string
}

const SUITES = [
  'NACL HKDF AES256-CTR SHA512-HMAC ED25519 ECDHE25519',
  'NACL HKDF AES-CTR256 SHA512-HMAC ED25519 ECDHE25519',
  'ECIES25519 HKDF AES-CTR256 SHA512-HMAC ED25519 ECDHE25519',
] as const

/** The spelling of the client, which knows no other. */
export const CIPHERSUITE = SUITES[0]
export const SIGNS = 'ED25519'
export const AGREES = 'ECDHE25519'

export const keyEntry: Read<KeyEntry> = object({
  CIPHERSUITE: text(100),
  FUNCTION: text(20),
  HASH: text(88),
  PUBKEY: text(44),
})

export const makeKeyEntry = (use: typeof SIGNS | typeof AGREES, key: Uint8Array): KeyEntry => ({
  CIPHERSUITE,
  FUNCTION: use,
  HASH: toBase64(hash512(key)),
  PUBKEY: toBase64(key),
})

/** What stands for no key, beside `null`. */
export const isNoKey = (entry: KeyEntry | null): boolean =>
  entry === null || entry.CIPHERSUITE + entry.FUNCTION + entry.HASH + entry.PUBKEY === ''

/** @throws KeyserverRefusal */
export function checkKeyEntry(entry: KeyEntry, use: 'signs' | 'agrees', at: string): void {
  if (!(SUITES as readonly string[]).includes(entry.CIPHERSUITE))
    throw malformed(`uid: ${at}.CIPHERSUITE is not known`)
  const functions = use === 'signs' ? [SIGNS] : [AGREES, 'ECIES25519']
  if (!functions.includes(entry.FUNCTION))
    throw malformed(`uid: ${at}.FUNCTION must be ${functions.join(' or ')}`)
  const [hash, key] = [fromBase64(entry.HASH, 64), fromBase64(entry.PUBKEY, 32)]
  if (hash === undefined || key === undefined)
    throw malformed(`uid: ${at} needs base64 of 64 bytes of HASH and 32 bytes of PUBKEY`)
  if (!sameBytes(hash512(key), hash)) throw malformed(`uid: SHA512(${at}.PUBKEY) != ${at}.HASH`)
}

/** Of keys that agree, in the order of their hashes. @throws KeyserverRefusal */
export function checkKeys(entries: readonly KeyEntry[], at: string): void {
  for (const [i, entry] of entries.entries()) {
    checkKeyEntry(entry, 'agrees', `${at}[${i}]`)
    if (i > 0 && !isBelow(entries[i - 1]!, entry))
      throw malformed(`uid: ${at} must be in the order of their hashes`)
  }
}

const isBelow = (a: KeyEntry, b: KeyEntry): boolean => {
  const [x, y] = [fromBase64(a.HASH, 64)!, fromBase64(b.HASH, 64)!]
  const i = x.findIndex((byte, at) => byte !== y[at])
  return i !== -1 && x[i]! < y[i]!
}

/** In the order that messages want. */
export const sortedKeys = (entries: readonly KeyEntry[]): readonly KeyEntry[] =>
  [...entries].sort((a, b) => (isBelow(a, b) ? -1 : 1))
