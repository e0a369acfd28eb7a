import { sha256 } from '@noble/hashes/sha2.js'
import { concatBytes, utf8ToBytes } from '@noble/hashes/utils.js'

// What stands in the log. docs/spec/directory-log.md, section 2.

/** Of which kind a record is. A new one is added here, and in section 2 of the spec. */
export const kinds = [
  'sigchain-event',
  'account-bundle',
  'keyserver-entry',
  'contact-verification',
  'audit-batch',
] as const
export type EntryKind = (typeof kinds)[number]

/** One entry, as its bytes say it. */
export interface Entry {
  readonly kind: string
  /** Salted hash of whom or what it is about: {@link subjectHash}. */
  readonly subject: Uint8Array
  /** SHA-256 of what was recorded. */
  readonly digest: Uint8Array
  /** Milliseconds since 1970. */
  readonly time: number
}

export const SALT_BYTES = 32
const FORMAT = 1
const KIND = /^[a-z0-9-]{1,32}$/

/** 2.1 @throws RangeError for what is no entry */
export function encodeEntry({ kind, subject, digest, time }: Entry): Uint8Array {
  if (!KIND.test(kind) || subject.length !== 32 || digest.length !== 32 || !isTime(time))
    throw new RangeError('not an entry of the log')
  const name = utf8ToBytes(kind)
  return concatBytes(Uint8Array.of(FORMAT, name.length), name, subject, digest, u64(time))
}

/** Undefined for anything but the bytes that {@link encodeEntry} makes. 2.1 */
export function decodeEntry(bytes: Uint8Array): Entry | undefined {
  const [format, length] = bytes
  if (format !== FORMAT || length === undefined || bytes.length !== 2 + length + 72)
    return undefined
  const kind = String.fromCharCode(...bytes.subarray(2, 2 + length))
  const at = 2 + length
  const time = readU64(bytes.subarray(at + 64))
  if (!KIND.test(kind) || !isTime(time)) return undefined
  return { kind, subject: bytes.slice(at, at + 32), digest: bytes.slice(at + 32, at + 64), time }
}

/** 2.3 @param salt 32 random bytes of this entry. @throws RangeError for a text of more than 255 bytes */
export function subjectHash(kind: string, salt: Uint8Array, subject: string): Uint8Array {
  if (salt.length !== SALT_BYTES) throw new RangeError('a salt has 32 bytes')
  return sha256(concatBytes(str('vertex/v1/log-subject'), str(kind), salt, str(subject)))
}

/** The `extra` of a proof: what is needed beside the record to make its entry again. 3.9 */
export const encodeExtra = (salt: Uint8Array, time: number): Uint8Array =>
  concatBytes(salt, u64(time))

/** Undefined for anything else. */
export function decodeExtra(
  bytes: Uint8Array,
): { readonly salt: Uint8Array; readonly time: number } | undefined {
  if (bytes.length !== SALT_BYTES + 8) return undefined
  const time = readU64(bytes.subarray(SALT_BYTES))
  return isTime(time) ? { salt: bytes.slice(0, SALT_BYTES), time } : undefined
}

const isTime = (time: number) => Number.isSafeInteger(time) && time >= 0

function str(text: string): Uint8Array {
  const bytes = utf8ToBytes(text)
  if (bytes.length > 255) throw new RangeError('the subject of an entry is too long')
  return concatBytes(Uint8Array.of(bytes.length), bytes)
}

function u64(value: number): Uint8Array {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value))
  return bytes
}

/** Above 2⁵³ not exact, and then no time. */
const readU64 = (bytes: Uint8Array): number =>
  Number(new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0))
