import { concatBytes, utf8ToBytes } from '@noble/hashes/utils.js'
import { equalBytes } from '@vertex/mpc'
import type { BackupHeader, BackupSecretHint } from '../vault/ports.js'
import { Malformed, Reader, shortText, u32, u64, u8 } from './bytes.js'

/**
 * The bytes of a backup blob, without any of its cryptography. Every field has one encoding and every blob one reading;
 * whatever deviates is refused. docs/spec/backup-envelope.md, sections 2 and 3.
 */

const MAGIC = utf8ToBytes('VTXBKP')
const FORMAT = 1
export const PLAINTEXT = 0
/** HKDF-SHA-256 with commitment, AES-256-GCM. */
export const ENCRYPTED = 1

const PROTOCOL = 'dkls23'
const CURVE = 'secp256k1'

export const SALT_BYTES = 32
export const COMMITMENT_BYTES = 32
export const TAG_BYTES = 16
export const CHECKSUM_BYTES = 32
const HASH_BYTES = 32
const POINT_BYTES = 33
const MAX_PARTIES = 32
/** More than any share needs; the whole blob stays below what a request may carry. */
const MAX_RECORD_BYTES = 16_384
export type Suite = typeof PLAINTEXT | typeof ENCRYPTED

/** The header of a blob with everything in it. */
export interface ContainerHeader extends BackupHeader {
  /** Absent from a plaintext blob, where its fields are zero and empty. */
  readonly secret: BackupSecretHint | undefined
}

export type Container =
  | {
      readonly suite: typeof ENCRYPTED
      readonly header: ContainerHeader
      /** Everything before the salt: the associated data. */
      readonly prelude: Uint8Array
      readonly salt: Uint8Array
      readonly commitment: Uint8Array
      /** With the tag at its end. */
      readonly ciphertext: Uint8Array
    }
  | {
      readonly suite: typeof PLAINTEXT
      readonly header: ContainerHeader
      readonly prelude: Uint8Array
      readonly record: Uint8Array
      /** Over everything before it. */
      readonly checksum: Uint8Array
      readonly checksummed: Uint8Array
    }

/** Everything up to the salt or, in plaintext, the record: magic, format, suite, header with its length. */
export function encodePrelude(suite: Suite, header: ContainerHeader): Uint8Array {
  const encoded = encodeHeader(header)
  return concatBytes(MAGIC, u8(FORMAT), u8(suite), u32(encoded.length), encoded)
}

/** A variable part with its length before it. */
export function lengthAndBytes(bytes: Uint8Array): Uint8Array {
  return concatBytes(u32(bytes.length), bytes)
}

/** Takes a blob apart. @throws Malformed */
export function decodeContainer(bytes: Uint8Array): Container {
  const reader = new Reader(bytes)
  if (!equalBytes(reader.take(MAGIC.length), MAGIC)) throw new Malformed()
  if (reader.u8() !== FORMAT) throw new Malformed()
  const suite = reader.u8()
  const encodedHeader = reader.take(reader.u32())
  const prelude = bytes.slice(0, reader.at)
  if (suite === ENCRYPTED) {
    const header = decodeHeader(encodedHeader, true)
    const salt = reader.take(SALT_BYTES)
    const commitment = reader.take(COMMITMENT_BYTES)
    const ciphertext = reader.take(limited(reader.u32(), TAG_BYTES))
    reader.end()
    return { suite, header, prelude, salt, commitment, ciphertext }
  }
  if (suite !== PLAINTEXT) throw new Malformed()
  const header = decodeHeader(encodedHeader, false)
  const record = reader.take(limited(reader.u32(), 0))
  const checksummed = bytes.slice(0, reader.at)
  const checksum = reader.take(CHECKSUM_BYTES)
  reader.end()
  return { suite, header, prelude, record, checksum, checksummed }
}

function limited(length: number, overhead: number): number {
  if (length <= overhead || length > MAX_RECORD_BYTES + overhead) throw new Malformed()
  return length
}

function encodeHeader(header: ContainerHeader): Uint8Array {
  const secret = header.secret ?? { fingerprint: new Uint8Array(HASH_BYTES), name: '', version: '' }
  return concatBytes(
    shortText(header.vaultName),
    shortText(header.userId),
    shortText(PROTOCOL),
    shortText(CURVE),
    shortText(header.keyId),
    header.publicKey,
    u8(header.party),
    u8(header.threshold),
    u8(header.parties.length),
    ...header.parties.flatMap(({ keygenId, publicShare }) => [keygenId, publicShare]),
    u32(header.epoch),
    header.chainCodeHash,
    secret.fingerprint,
    shortText(secret.name),
    shortText(secret.version),
    u64(header.createdAt),
  )
}

function decodeHeader(bytes: Uint8Array, encrypted: boolean): ContainerHeader {
  const reader = new Reader(bytes)
  const vaultName = nonEmpty(reader.shortText())
  const userId = nonEmpty(reader.shortText())
  if (reader.shortText() !== PROTOCOL || reader.shortText() !== CURVE) throw new Malformed()
  const keyId = nonEmpty(reader.shortText())
  const publicKey = reader.take(POINT_BYTES)
  const party = reader.u8()
  const threshold = reader.u8()
  const count = reader.u8()
  if (count > MAX_PARTIES || threshold < 2 || threshold > count || party < 1 || party > count)
    throw new Malformed()
  const parties = Array.from({ length: count }, () => ({
    keygenId: reader.take(POINT_BYTES),
    publicShare: reader.take(POINT_BYTES),
  }))
  const epoch = reader.u32()
  const chainCodeHash = reader.take(HASH_BYTES)
  const fingerprint = reader.take(HASH_BYTES)
  const name = reader.shortText()
  const version = reader.shortText()
  const createdAt = reader.u64()
  reader.end()
  const named = fingerprint.some((byte) => byte !== 0)
  if (encrypted ? !named : named || name !== '' || version !== '') throw new Malformed()
  return {
    vaultName,
    userId,
    keyId,
    publicKey,
    party,
    threshold,
    parties,
    epoch,
    chainCodeHash,
    secret: encrypted ? { fingerprint, name, version } : undefined,
    createdAt,
  }
}

function nonEmpty(text: string): string {
  if (text === '') throw new Malformed()
  return text
}
