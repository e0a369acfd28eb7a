import { concatBytes, utf8ToBytes } from '@noble/hashes/utils.js'
import { Malformed, Reader, shortText, u32, u64, u8 } from '../seal/bytes.js'
import { BundleRefused, damaged } from './refused.js'

/** What a bundle says of itself in the clear. docs/spec/bundle.md, 3.1 */
export interface BundleHeader {
  readonly vaultName: string
  /** The version of the backup secret that opens it. */
  readonly secret: {
    readonly fingerprint: Uint8Array
    readonly name: string
    readonly version: string
  }
  /** Milliseconds since 1970. */
  readonly createdAt: number
  /** Of the database it was made of, 32 hex digits. */
  readonly generation: string
  /** The last record of that database's audit log; seq 0 and zeros for an empty one. */
  readonly auditHead: { readonly seq: number; readonly hash: string }
}

const MAGIC = utf8ToBytes('VTXBUNDL')
const FORMAT = 1
const MAX_BODY = 1_024

/** Bytes before the body: what it is, format, length of the body. */
export const FRONT_BYTES = MAGIC.length + 1 + 4

/** The prelude of a bundle. */
export function encodeHeader(header: BundleHeader): Uint8Array {
  const { vaultName, secret, createdAt, generation, auditHead } = header
  const body = concatBytes(
    shortText(vaultName),
    exactly(secret.fingerprint, 32),
    shortText(secret.name),
    shortText(secret.version),
    u64(createdAt),
    exactly(Buffer.from(generation, 'hex'), 16),
    u64(auditHead.seq),
    exactly(Buffer.from(auditHead.hash, 'hex'), 32),
  )
  return concatBytes(MAGIC, u8(FORMAT), u32(body.length), body)
}

/** @returns the length of the body. @throws BundleRefused */
export function readFront(front: Uint8Array): number {
  const reader = new Reader(front)
  if (!Buffer.from(reader.take(MAGIC.length)).equals(MAGIC))
    throw new BundleRefused('not_a_bundle', 'this file is not a bundle of a Vertex')
  const format = reader.u8()
  if (format > FORMAT)
    throw new BundleRefused(
      'bundle_newer',
      `the bundle has format ${format}, and this version reads up to ${FORMAT}: use the version that made it`,
    )
  const length = reader.u32()
  if (format !== FORMAT || length > MAX_BODY) throw damaged('header')
  return length
}

/** @throws BundleRefused for anything but what {@link encodeHeader} makes */
export function readBody(body: Uint8Array): BundleHeader {
  try {
    const reader = new Reader(body)
    const hex = (length: number) => Buffer.from(reader.take(length)).toString('hex')
    const header: BundleHeader = {
      vaultName: reader.shortText(),
      secret: {
        fingerprint: reader.take(32),
        name: reader.shortText(),
        version: reader.shortText(),
      },
      createdAt: reader.u64(),
      generation: hex(16),
      auditHead: { seq: reader.u64(), hash: hex(32) },
    }
    reader.end()
    return header
  } catch (error) {
    if (error instanceof Malformed) throw damaged('header')
    throw error
  }
}

function exactly(bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.length !== length) throw new RangeError(`${length} bytes are needed here`)
  return bytes
}
