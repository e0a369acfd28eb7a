import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js'
import { Writer } from './bytes.js'

// Addresses and fingerprints of contacts. docs/spec/share-codes.md, section 6.

const FINGERPRINT_BYTES = 16
/** What Unicode calls white space, which is not quite what `trim` takes away. */
const SPACE =
  /^[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+|[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+$/g

/**
 * An address as it is compared and hashed: without white space around it, ASCII letters in lower case. 6.1
 * @returns undefined for what is no address
 */
export function normaliseEmail(email: string): string | undefined {
  const normal = email.replace(SPACE, '').replace(/[A-Z]/g, (letter) => letter.toLowerCase())
  const length = utf8ToBytes(normal).length
  if (length === 0 || length > 254 || /[\0-\x1f\x7f]/.test(normal)) return undefined
  return normal.includes('@') && !normal.startsWith('@') && !normal.endsWith('@')
    ? normal
    : undefined
}

const ATOM = "[a-z0-9!#$%&'*+/=?^_`{|}~-]+"
const LABEL = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?'
/** No quotes, comments, lists or literals, and nothing that a program could take for one of its options. */
const MAILABLE = new RegExp(`^(?!-)(?=[^@]{1,64}@)${ATOM}(?:\\.${ATOM})*@${LABEL}(?:\\.${LABEL})*$`)

/** Whether a normalised address is one to which a server sends mail: one mailbox, in one way of writing. 6.2 */
export const isMailable = (email: string): boolean => MAILABLE.test(email)

/** What a fingerprint is of. */
export interface ContactKeys {
  readonly email: string
  readonly publicKey: Uint8Array
  readonly signingKey: Uint8Array
}

/** 6.3 @throws RangeError for what is no address */
export function fingerprintOf({ email, publicKey, signingKey }: ContactKeys): Uint8Array {
  const normal = normaliseEmail(email)
  if (normal === undefined) throw new RangeError('not an address')
  const hashed = new Writer()
    .text('revault-contact-fingerprint-v1')
    .text(normal)
    .text('recipient-public-key-bytes-v1')
    .bytes(publicKey)
    .text('owner-signing-public-key-bytes-v1')
    .bytes(signingKey)
    .done()
  return sha256(hashed).slice(0, FINGERPRINT_BYTES)
}

/** As it is read out: pairs of hex digits with a space between. 6.4 */
export const showFingerprint = (fingerprint: Uint8Array): string =>
  bytesToHex(fingerprint).replace(/..(?!$)/g, '$& ')

/**
 * What somebody typed who heard it: in either case, with spaces, colons or hyphens between or none. 6.4
 * @returns undefined for what is no fingerprint
 */
export function readFingerprint(typed: string): Uint8Array | undefined {
  const digits = typed.replace(/[\s:-]/g, '').toLowerCase()
  return /^[0-9a-f]{32}$/.test(digits) ? hexToBytes(digits) : undefined
}
