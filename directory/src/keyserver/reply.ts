import { ctr } from '@noble/ciphers/aes.js'
import { concatBytes } from '@noble/hashes/utils.js'
import type { Equation } from '../ed25519.js'
import { parseStrictJson } from '../json/index.js'
import { fromBase64, hash256, isSignature, sameBytes, toBase64 } from './bytes.js'
import { splitEntry } from './chain.js'
import { canonical, count, object, text, type Read } from './json.js'
import { checkMessage, type CheckedMessage } from './message.js'
import { refused } from './refusal.js'

const IV_BYTES = 16

/** What is kept of a message, and given to whoever names its index. docs/spec/keyserver.md, 3.7 */
export interface UidReply {
  readonly ENTRY: ReplyEntry
  readonly SERVERSIGNATURE: string
}

export interface ReplyEntry {
  readonly UIDMESSAGEENCRYPTED: string
  readonly HASHCHAINENTRY: string
  readonly HASHCHAINPOS: number
}

export const uidReply: Read<UidReply> = object({
  ENTRY: object({
    UIDMESSAGEENCRYPTED: text(32 * 1024),
    HASHCHAINENTRY: text(204),
    HASHCHAINPOS: count,
  }),
  SERVERSIGNATURE: text(88),
})

/** AES-256 in counter mode, after its IV. */
export const encryptCtr = (key: Uint8Array, plain: Uint8Array, iv: Uint8Array): Uint8Array =>
  concatBytes(iv, ctr(key, iv).encrypt(plain))

export const decryptCtr = (key: Uint8Array, bytes: Uint8Array): Uint8Array =>
  ctr(key, bytes.slice(0, IV_BYTES)).decrypt(bytes.slice(IV_BYTES))

/** A message as it is kept. 3.2, 3.6 @param iv 16 random bytes */
export function encryptMessage(
  bytes: Uint8Array,
  iv: Uint8Array,
): { readonly uidHash: Uint8Array; readonly encrypted: Uint8Array } {
  const uidHash = hash256(bytes)
  return { uidHash, encrypted: concatBytes(hash256(uidHash), encryptCtr(uidHash, bytes, iv)) }
}

/**
 * Opens what is kept of a message; that it is that message, its hash shows. 3.6
 * @throws KeyserverRefusal
 */
export function decryptMessage(
  encrypted: Uint8Array,
  uidHash: Uint8Array,
  equation?: Equation,
): CheckedMessage {
  const index = encrypted.subarray(0, 32)
  const rest = encrypted.subarray(32)
  if (rest.length <= IV_BYTES || !sameBytes(index, hash256(uidHash)))
    throw refused('uid: the message is not the one of its entry')
  const bytes = decryptCtr(uidHash, rest)
  if (!sameBytes(hash256(bytes), uidHash))
    throw refused('uid: the message is not the one of its entry')
  const checked = checkMessage(parsed(bytes), equation)
  if (!sameBytes(checked.bytes, bytes)) throw refused('uid: the message is not in its one form')
  return checked
}

/** @throws KeyserverRefusal */
export function parsed(bytes: Uint8Array): unknown {
  try {
    return parseStrictJson(bytes)
  } catch {
    throw refused('uid: this is not JSON')
  }
}

/** What the keyserver signs of a reply. */
export const signedOfReply = ({ ENTRY }: Pick<UidReply, 'ENTRY'>): Uint8Array => canonical(ENTRY)

export const isServerSignature = (
  signature: string,
  serverKey: string,
  signed: Uint8Array,
  equation?: Equation,
): boolean => isSignature(signature, serverKey, signed, equation)

/**
 * Checks that a reply is about the entry at a place, and opens it. Whose signature it has is checked by itself, when the
 * key of the keyserver at that time is known.
 * @throws KeyserverRefusal
 */
export function openReply(
  { ENTRY: entry }: UidReply,
  expected: { readonly entry: string; readonly position: number; readonly uidHash: Uint8Array },
  equation?: Equation,
): CheckedMessage {
  if (entry.HASHCHAINENTRY !== expected.entry || entry.HASHCHAINPOS !== expected.position)
    throw refused('uid: the reply is about another entry')
  const encrypted = fromBase64(entry.UIDMESSAGEENCRYPTED)
  if (encrypted === undefined) throw refused('uid: UIDMESSAGEENCRYPTED is not base64')
  const { uidIndex } = splitEntry(expected.entry)
  if (!sameBytes(encrypted.subarray(0, 32), uidIndex))
    throw refused('uid: the message is not the one of its entry')
  return decryptMessage(encrypted, expected.uidHash, equation)
}

export const replyOf = (
  encrypted: Uint8Array,
  entry: Uint8Array,
  position: number,
): ReplyEntry => ({
  UIDMESSAGEENCRYPTED: toBase64(encrypted),
  HASHCHAINENTRY: toBase64(entry),
  HASHCHAINPOS: position,
})
