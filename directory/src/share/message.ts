import { utf8ToBytes } from '@noble/hashes/utils.js'
import { Reader, ShareFault, Writer } from './bytes.js'

// Requests and answers of the share-code protocol. docs/spec/share-codes.md, sections 2 and 3.

/** What is asked for; the numbers are those on the wire. */
export const operations = { share: 1, fetchShare: 2, deleteShare: 3, replicate: 4 } as const
export type Operation = (typeof operations)[keyof typeof operations]

/** What an answer says first. */
export const statuses = {
  success: 0,
  malformedRequest: 1,
  unsupportedVersion: 2,
  unknownOperation: 3,
  payloadTooLarge: 4,
  shareNotFound: 5,
  shareExpired: 6,
  shareExhausted: 7,
  deleteTokenInvalid: 8,
  rateLimited: 9,
  storeUnavailable: 10,
  internalError: 11,
  replicationUnauthorized: 12,
  emailUnverified: 13,
} as const
export type Status = (typeof statuses)[keyof typeof statuses]

const VERSION = 1
const HEADER_BYTES = 14
const MAGIC = 'LBSR'

export interface Request {
  readonly operation: Operation
  /** Behind the header, its own version first. */
  readonly body: Uint8Array
}

export function encodeRequest({ operation, body }: Request): Uint8Array {
  return envelope(operation, 0, body).done()
}

/** 2.1 @throws ShareFault */
export function decodeRequest(bytes: Uint8Array): Request {
  const [reader, operation] = opened(bytes, 'first')
  const length = reader.u32()
  const body = reader.rest()
  if (body.length !== length) throw new ShareFault('LengthMismatch')
  return { operation, body }
}

export interface Response {
  readonly status: number
  readonly operation: Operation
  readonly body: Uint8Array
  /** A topology, or nothing. */
  readonly tail: Uint8Array
}

export function encodeResponse(
  status: Status,
  operation: Operation,
  body: Uint8Array,
  tail: Uint8Array = new Uint8Array(),
): Uint8Array {
  return envelope(status, operation, body).raw(tail).done()
}

/** 2.2 @throws ShareFault */
export function decodeResponse(bytes: Uint8Array): Response {
  const [reader, operation, status] = opened(bytes, 'second')
  const length = reader.u32()
  if (length > bytes.length - HEADER_BYTES) throw new ShareFault('LengthMismatch')
  const body = reader.raw(length)
  return { status, operation, body, tail: reader.rest() }
}

function envelope(first: number, second: number, body: Uint8Array): Writer {
  return new Writer()
    .raw(utf8ToBytes(MAGIC))
    .u16(VERSION)
    .u16(first)
    .u16(second)
    .u32(body.length)
    .raw(body)
}

/** The two numbers of a header; of a request the first is the operation, of an answer the second. */
function opened(bytes: Uint8Array, place: 'first' | 'second') {
  if (bytes.length < HEADER_BYTES) throw new ShareFault('TooShort')
  const reader = new Reader(bytes)
  reader.magic(MAGIC)
  if (reader.u16() !== VERSION) throw new ShareFault('UnsupportedVersion')
  const [first, second] = [reader.u16(), reader.u16()]
  const operation = place === 'first' ? first : second
  if (!isOperation(operation)) throw new ShareFault('UnknownOperation')
  return [reader, operation, place === 'first' ? second : first] as const
}

const isOperation = (value: number): value is Operation =>
  Object.values<number>(operations).includes(value)

/** What follows the version of a body. 2.3 @throws ShareFault */
export function openBody(body: Uint8Array): Reader {
  const reader = new Reader(body)
  if (reader.u16() !== VERSION) throw new ShareFault('UnsupportedMessageVersion')
  return reader
}

export const newBody = (): Writer => new Writer().u16(VERSION)

/** What went wrong, in words. 2.4 */
export interface ErrorBody {
  readonly code: number
  readonly message: string
}

export const encodeError = (
  status: Status,
  operation: Operation,
  message: string,
  tail?: Uint8Array,
): Uint8Array => encodeResponse(status, operation, newBody().u16(status).text(message).done(), tail)

/** @throws ShareFault */
export function decodeError(body: Uint8Array): ErrorBody {
  const reader = openBody(body)
  return { code: reader.u16(), message: reader.text() }
}

/** 3.1 */
export interface ShareRequest {
  /** 0 for what the server has as its own. */
  readonly ttlSeconds: number
  readonly maxFetches: number
  readonly payload: Uint8Array
  /** To which address a link for its verification goes. */
  readonly email?: string | undefined
}

export function encodeShareRequest(asked: ShareRequest): Uint8Array {
  const { ttlSeconds, maxFetches, payload, email } = asked
  const body = newBody().u32(ttlSeconds).u16(maxFetches).bytes(payload)
  if (email !== undefined) body.text(email)
  return encodeRequest({ operation: operations.share, body: body.done() })
}

/** @throws ShareFault */
export function decodeShareRequest(body: Uint8Array): ShareRequest {
  const reader = openBody(body)
  const [ttlSeconds, maxFetches, payload] = [reader.u32(), reader.u16(), reader.bytes()]
  return { ttlSeconds, maxFetches, payload, email: reader.isDone ? undefined : reader.text() }
}

/** 3.2 */
export interface Shared {
  readonly code: string
  readonly deleteToken: Uint8Array
  /** Milliseconds since 1970. */
  readonly expiresAt: number
  readonly maxFetches: number
  readonly verificationUrl?: string | undefined
}

export function encodeShared(shared: Shared): Uint8Array {
  const { code, deleteToken, expiresAt, maxFetches, verificationUrl } = shared
  const body = newBody().text(code).bytes(deleteToken).u64(expiresAt).u16(maxFetches)
  if (verificationUrl !== undefined) body.text(verificationUrl)
  return body.done()
}

/** @throws ShareFault */
export function decodeShared(body: Uint8Array): Shared {
  const reader = openBody(body)
  const [code, deleteToken, expiresAt] = [reader.text(), reader.bytes(), reader.wide()]
  const maxFetches = reader.u16()
  const verificationUrl = reader.isDone ? undefined : reader.text()
  return { code, deleteToken, expiresAt, maxFetches, verificationUrl }
}

/** 3.3 */
export const encodeFetchRequest = (code: string): Uint8Array =>
  encodeRequest({ operation: operations.fetchShare, body: newBody().text(code).done() })

/** @throws ShareFault */
export const decodeFetchRequest = (body: Uint8Array): string => openBody(body).text()

/** 3.4 */
export interface Fetched {
  readonly payload: Uint8Array
  readonly expiresAt: number
  readonly remaining: number
  /** Of a share that was published with an address. */
  readonly verification?: Verification | undefined
}

export interface Verification {
  readonly email: string
  readonly verified: boolean
  /** 0 for one that is not. */
  readonly verifiedAt: number
  /** Empty for one that is not. */
  readonly attestation: Uint8Array
}

export function encodeFetched(fetched: Fetched): Uint8Array {
  const { payload, expiresAt, remaining, verification } = fetched
  const body = newBody().bytes(payload).u64(expiresAt).u16(remaining)
  if (verification !== undefined) {
    const { email, verified, verifiedAt, attestation } = verification
    body.text(email).u8(Number(verified)).u64(verifiedAt).bytes(attestation)
  }
  return body.done()
}

/** @throws ShareFault */
export function decodeFetched(body: Uint8Array): Fetched {
  const reader = openBody(body)
  const [payload, expiresAt, remaining] = [reader.bytes(), reader.wide(), reader.u16()]
  if (reader.isDone) return { payload, expiresAt, remaining, verification: undefined }
  const [email, verified] = [reader.text(), reader.u8() === 1]
  const [verifiedAt, attestation] = [reader.wide(), reader.bytes()]
  return {
    payload,
    expiresAt,
    remaining,
    verification: { email, verified, verifiedAt, attestation },
  }
}

/** 3.5 */
export interface DeleteRequest {
  readonly code: string
  readonly deleteToken: Uint8Array
}

export function encodeDeleteRequest({ code, deleteToken }: DeleteRequest): Uint8Array {
  const body = newBody().text(code).bytes(deleteToken).done()
  return encodeRequest({ operation: operations.deleteShare, body })
}

/** @throws ShareFault */
export function decodeDeleteRequest(body: Uint8Array): DeleteRequest {
  const reader = openBody(body)
  return { code: reader.text(), deleteToken: reader.bytes() }
}

/** 3.6 */
export const encodeDeleted = (deleted: boolean): Uint8Array => newBody().u8(Number(deleted)).done()

/** @throws ShareFault */
export const decodeDeleted = (body: Uint8Array): boolean => openBody(body).u8() === 1
