import { utf8ToBytes } from '@noble/hashes/utils.js'
import { Reader, ShareFault, Writer } from './bytes.js'

// What is shared: keys of a contact, or what replaces them. docs/spec/share-codes.md, section 4.

/** The keys that somebody publishes under an address. */
export interface ContactShare {
  readonly type: 'contact'
  /** An address, as a rule. */
  readonly identity: string
  readonly publicKey: Uint8Array
  readonly signingKey: Uint8Array
  readonly fingerprint: Uint8Array
  /** 16 to 64 random bytes. */
  readonly nonce: Uint8Array
  /** Milliseconds since 1970, in 64 bits. */
  readonly createdAt: bigint
  readonly expiresAt: bigint
}

/** New keys in the place of older ones, with or without the signature of the older key. */
export interface Replacement {
  readonly type: 'signed-replacement' | 'unsigned-replacement'
  readonly identity: string
  readonly oldFingerprint: Uint8Array
  readonly publicKey: Uint8Array
  readonly signingKey: Uint8Array
  readonly fingerprint: Uint8Array
  readonly nonce: Uint8Array
  /** Of the one that has one. */
  readonly signature?: Uint8Array | undefined
  readonly createdAt: bigint
  readonly expiresAt: bigint
}

export type SharePayload = ContactShare | Replacement

const types = { contact: 1, 'signed-replacement': 2, 'unsigned-replacement': 3 } as const
const MAGIC = 'LBSP'
const VERSION = 1
const HEADER_BYTES = 12
const MOST_IDENTITY = 254
const MOST_KEY = 4096

export function encodePayload(payload: SharePayload): Uint8Array {
  const body = new Writer().text(payload.identity)
  if (payload.type !== 'contact') body.bytes(payload.oldFingerprint)
  const { publicKey, signingKey, fingerprint, nonce, createdAt, expiresAt } = payload
  body.bytes(publicKey).bytes(signingKey).bytes(fingerprint).bytes(nonce)
  if (payload.type === 'signed-replacement') body.bytes(payload.signature ?? new Uint8Array())
  const bytes = body.u64(createdAt).u64(expiresAt).done()
  return new Writer()
    .raw(utf8ToBytes(MAGIC))
    .u16(VERSION)
    .u16(types[payload.type])
    .u32(bytes.length)
    .raw(bytes)
    .done()
}

/** 4.1 to 4.4; in the order of the original, which decides the fault of one that has several. @throws ShareFault */
export function decodePayload(bytes: Uint8Array): SharePayload {
  if (bytes.length < HEADER_BYTES) throw new ShareFault('TooShort')
  const reader = new Reader(bytes)
  reader.magic(MAGIC)
  if (reader.u16() !== VERSION) throw new ShareFault('UnsupportedVersion')
  const number = reader.u16()
  const type = Object.entries(types).find(([, value]) => value === number)?.[0]
  if (type === undefined) throw new ShareFault('UnknownType')
  if (reader.u32() !== bytes.length - HEADER_BYTES) throw new ShareFault('TrailingBytes')
  const payload = fieldsOf(reader, type as SharePayload['type'])
  if (!reader.isDone) throw new ShareFault('TrailingBytes')
  return payload
}

function fieldsOf(reader: Reader, type: SharePayload['type']): SharePayload {
  const identity = identityOf(reader)
  const oldFingerprint = type === 'contact' ? undefined : sized(reader, 16, 128)
  const [publicKey, signingKey] = [filled(reader), filled(reader)]
  const [fingerprint, nonce] = [sized(reader, 16, 128), sized(reader, 16, 64)]
  const signature = type === 'signed-replacement' ? filled(reader) : undefined
  const [createdAt, expiresAt] = [reader.u64(), reader.u64()]
  if (createdAt === 0n || expiresAt <= createdAt) throw new ShareFault('InvalidField')
  const fields = { identity, publicKey, signingKey, fingerprint, nonce, createdAt, expiresAt }
  return type === 'contact' || oldFingerprint === undefined
    ? { type: 'contact', ...fields }
    : { type, oldFingerprint, signature, ...fields }
}

function identityOf(reader: Reader): string {
  const identity = reader.text(MOST_IDENTITY, 'InvalidField')
  if (identity === '' || /[\0-\x20\x7f]/.test(identity)) throw new ShareFault('InvalidField')
  return identity
}

function filled(reader: Reader): Uint8Array {
  const bytes = reader.bytes(MOST_KEY)
  if (bytes.length === 0) throw new ShareFault('MissingField')
  return bytes
}

function sized(reader: Reader, least: number, most: number): Uint8Array {
  const bytes = reader.bytes(most)
  if (bytes.length < least) throw new ShareFault('InvalidField')
  return bytes
}
