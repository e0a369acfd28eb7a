import { base64 } from '@scure/base'
import { concatBytes, utf8ToBytes } from '@noble/hashes/utils.js'
import { Malformed, Reader, shortText, uint } from './bytes.js'

/**
 * The bytes of a sealed backup, without its cryptography, and as much of a backup's as sealing it takes.
 * docs/spec/sealed-backup.md, section 3; docs/spec/backup-envelope.md, sections 2 and 3.
 */

const SEALED = utf8ToBytes('VTXSLD')
const BACKUP = utf8ToBytes('VTXBKP')
const FORMAT = 1
/** X25519, HKDF-SHA-256, AES-256-GCM. */
const SUITE = 1
export const KEY_BYTES = 32
const TAG_BYTES = 16
const MAX_TEXT = 65_536
const MAX_CIPHERTEXT = 49_152
const POINT_BYTES = 33

/** What everybody can read of a sealed backup; all of it is authenticated. */
export interface SealedFor {
  /** The primary it was sealed to. */
  readonly recipient: string
  /** The X25519 public key it was sealed to, 32 bytes. */
  readonly recipientKey: Uint8Array
  /** Milliseconds since 1970. */
  readonly exportedAt: number
}

/** A sealed backup, taken apart. */
export interface SealedParts extends SealedFor {
  /** Of the backup, in the clear. */
  readonly prelude: Uint8Array
  /** Everything before `enc`: the associated data. */
  readonly associated: Uint8Array
  readonly enc: Uint8Array
  /** With the tag at its end. */
  readonly ciphertext: Uint8Array
}

/** What the clear header of a backup says of the share in it. */
export interface BackupSubject {
  readonly vaultName: string
  readonly userId: string
  /** The key_id under which it was exported. */
  readonly keyId: string
  /** 33 bytes, compressed. */
  readonly publicKey: Uint8Array
  readonly party: number
  readonly threshold: number
  /** Of all parties, in the order of their index; 33 bytes each. */
  readonly keygenIds: readonly Uint8Array[]
  readonly epoch: number
}

export function encodeAssociated(
  { recipient, recipientKey, exportedAt }: SealedFor,
  prelude: Uint8Array,
): Uint8Array {
  if (recipientKey.length !== KEY_BYTES) throw new RangeError('a recipient key has 32 bytes')
  return concatBytes(
    SEALED,
    Uint8Array.of(FORMAT, SUITE),
    shortText(recipient),
    recipientKey,
    uint(exportedAt, 8),
    uint(prelude.length, 4),
    prelude,
  )
}

/** The text that travels. */
export function encodeSealed(
  associated: Uint8Array,
  enc: Uint8Array,
  ciphertext: Uint8Array,
): string {
  return base64.encode(concatBytes(associated, enc, uint(ciphertext.length, 4), ciphertext))
}

/** @throws Malformed */
export function decodeSealed(text: string): SealedParts {
  const bytes = decodeText(text)
  const reader = new Reader(bytes)
  expect(reader, SEALED)
  expect(reader, Uint8Array.of(FORMAT, SUITE))
  const recipient = reader.shortText()
  const recipientKey = reader.take(KEY_BYTES)
  const exportedAt = reader.uint(8)
  const prelude = reader.take(reader.uint(4))
  if (splitBackup(prelude).rest.length !== 0) throw new Malformed()
  const associated = bytes.slice(0, reader.at)
  const enc = reader.take(KEY_BYTES)
  const length = reader.uint(4)
  if (length <= TAG_BYTES || length > MAX_CIPHERTEXT) throw new Malformed()
  const ciphertext = reader.take(length)
  reader.end()
  return { recipient, recipientKey, exportedAt, prelude, associated, enc, ciphertext }
}

/** Takes a backup apart behind its prelude. @throws Malformed */
export function splitBackup(backup: Uint8Array): { prelude: Uint8Array; rest: Uint8Array } {
  const reader = new Reader(backup)
  expect(reader, BACKUP)
  expect(reader, Uint8Array.of(FORMAT))
  reader.take(1)
  reader.take(reader.uint(4))
  return { prelude: backup.slice(0, reader.at), rest: backup.slice(reader.at) }
}

/** @throws Malformed */
export function readSubject(prelude: Uint8Array): BackupSubject {
  const reader = new Reader(prelude)
  reader.take(BACKUP.length + 2 + 4)
  const [vaultName, userId] = [reader.shortText(), reader.shortText()]
  // Protocol and curve.
  reader.shortText()
  reader.shortText()
  const keyId = reader.shortText()
  const publicKey = reader.take(POINT_BYTES)
  const [party, threshold, count] = [reader.uint(1), reader.uint(1), reader.uint(1)]
  const keygenIds = Array.from({ length: count }, () => {
    const keygenId = reader.take(POINT_BYTES)
    reader.take(POINT_BYTES)
    return keygenId
  })
  const epoch = reader.uint(4)
  return { vaultName, userId, keyId, publicKey, party, threshold, keygenIds, epoch }
}

/** Canonical base64 and nothing around it. @throws Malformed */
export function decodeText(text: string): Uint8Array {
  if (text.length > MAX_TEXT) throw new Malformed()
  let bytes: Uint8Array
  try {
    bytes = base64.decode(text)
  } catch {
    throw new Malformed()
  }
  if (base64.encode(bytes) !== text) throw new Malformed()
  return bytes
}

export const encodeText = (bytes: Uint8Array): string => base64.encode(bytes)

function expect(reader: Reader, expected: Uint8Array): void {
  if (!reader.take(expected.length).every((byte, i) => byte === expected[i])) throw new Malformed()
}
