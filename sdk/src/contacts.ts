import { randomBytes } from '@noble/hashes/utils.js'
import { parsePrimary, primaryOfSigner, type Signer } from '@vertex/directory/sigchain'
import {
  decodeDeleted,
  decodeError,
  decodeFetched,
  decodePayload,
  decodeResponse,
  decodeShared,
  encodeDeleteRequest,
  encodeFetchRequest,
  encodePayload,
  encodeShareRequest,
  fingerprintOf,
  isCode,
  isMailable,
  normaliseEmail,
  readFingerprint,
  ShareFault,
  showFingerprint,
  statuses,
  type Fetched,
  type SharePayload,
} from '@vertex/directory/share'
import { bytesToHex, hexToBytes } from '@vertex/mpc'
import { withDeadline } from './deadline.js'
import { IdentityError, RequestError, UnavailableError, VertexError } from './errors.js'
import type { Http } from './http.js'

/** What is published under an address, and for how long. */
export interface PublishContactOptions {
  /** Whose the address is: an Ed25519 identity. The secret stays here. */
  readonly identity: Signer
  /** The X25519 public key to which others may seal something, hex: what `recipient:` says on the sigchain. */
  readonly recipientKey: string
  /** How often it may be fetched; once if absent. Each receiver needs one. */
  readonly fetches?: number
  /** Milliseconds; what the server allows if absent, 15 minutes as a rule. */
  readonly lifeMs?: number
  readonly signal?: AbortSignal
}

/** Keys that wait to be fetched. */
export interface PublishedContact {
  /** For the receiver: 14 characters. Who has it can fetch, once. */
  readonly code: string
  /**
   * Never to be sent, neither with the code nor by itself: it is read aloud to a receiver who calls and whose voice, or
   * face, is known.
   */
  readonly fingerprint: string
  readonly expiresAt: Date
  /** Takes it back. @returns false where there was nothing left */
  delete(): Promise<boolean>
}

export interface AddContactOptions {
  /** Whose keys they must be; anybody's if absent. */
  readonly email?: string
  readonly signal?: AbortSignal
}

/** Somebody whose address was verified by the server, and whose keys by the fingerprint. */
export interface Contact {
  readonly email: string
  readonly publicKey: Uint8Array
  readonly signingKey: Uint8Array
  /** The primary of the signing key, where it is one of 32 bytes: `ed25519:…` */
  readonly primary: string | undefined
  readonly fingerprint: string
  /** When somebody who reads the mail of the address has opened the link. */
  readonly verifiedAt: Date
}

/** Meeting somebody for the first time: docs/spec/share-codes.md, section 11. */
export class Contacts {
  readonly #http: Http
  readonly #deadlineMs: number

  constructor(http: Http, deadlineMs: number) {
    this.#http = http
    this.#deadlineMs = deadlineMs
  }

  async publish(email: string, options: PublishContactOptions): Promise<PublishedContact> {
    const { fetches = 1, lifeMs = 0, signal: outer } = options
    const { identity, publicKey, signingKey } = keysOf(email, options)
    if (!Number.isSafeInteger(fetches) || fetches < 1 || fetches > 8)
      throw new RequestError('bad_argument', 'fetches is a whole number from 1 to 8')
    const ttlSeconds = Math.ceil(lifeMs / 1000)
    if (!(lifeMs >= 0 && ttlSeconds < 2 ** 32))
      throw new RequestError('bad_argument', 'lifeMs is a number of milliseconds')
    const fingerprint = fingerprintOf({ email: identity, publicKey, signingKey })
    const now = Date.now()
    const payload = encodePayload({
      type: 'contact',
      identity,
      publicKey,
      signingKey,
      fingerprint,
      nonce: randomBytes(32),
      createdAt: BigInt(now),
      expiresAt: BigInt(now) + BigInt(ttlSeconds === 0 ? LONGEST_MS : ttlSeconds * 1000),
    })
    const asked = encodeShareRequest({ ttlSeconds, maxFetches: fetches, payload, email: identity })
    const { code, deleteToken, expiresAt } = await this.#ask(asked, decodeShared, outer)
    if (!isCode(code)) throw noAnswer()
    return {
      code,
      fingerprint: showFingerprint(fingerprint),
      expiresAt: new Date(expiresAt),
      delete: () => this.#ask(encodeDeleteRequest({ code, deleteToken }), decodeDeleted),
    }
  }

  async add(code: string, heard: string, options: AddContactOptions = {}): Promise<Contact> {
    // Before the only fetch is used up.
    const fingerprint = readFingerprint(heard)
    if (fingerprint === undefined)
      throw new RequestError(
        'bad_argument',
        'the fingerprint has 32 hex digits: have it read to you by whom the keys belong to',
      )
    const trimmed = code.trim().toLowerCase()
    if (!isCode(trimmed))
      throw new RequestError('bad_argument', 'a share code has 14 characters, 12 digits at the end')
    const expected = options.email === undefined ? undefined : addressOf(options.email)
    const fetched = await this.#ask(encodeFetchRequest(trimmed), decodeFetched, options.signal)
    return contactOf(fetched, fingerprint, expected)
  }

  async #ask<T>(
    request: Uint8Array,
    read: (body: Uint8Array) => T,
    signal?: AbortSignal,
  ): Promise<T> {
    return withDeadline(this.#deadlineMs, signal, async (deadline) => {
      const answer = await this.#http.send('POST', '/v1/share', {
        bytes: request,
        signal: deadline.signal,
      })
      if (answer.status === 404)
        throw new VertexError('bad_response', 'this Vertex has no share codes', { status: 404 })
      try {
        const { status, body } = decodeResponse(answer.bytes)
        if (status === statuses.success) return read(body)
        throw problemOf(status, decodeError(body).message, answer.headers['retry-after'])
      } catch (error) {
        if (error instanceof ShareFault) throw noAnswer(error)
        throw error
      }
    })
  }
}

/** For how long a payload says that it is good where the publisher has said nothing: the server's own end counts. */
const LONGEST_MS = 366 * 86_400_000

/** 11.3; in its order. @throws VertexError, IdentityError */
function contactOf(
  { payload: bytes, verification }: Fetched,
  heard: Uint8Array,
  expected: string | undefined,
): Contact {
  const payload = read(bytes)
  if (payload.type !== 'contact')
    throw new VertexError('bad_response', 'the share is no contact: it replaces keys of one')
  if (verification?.verified !== true)
    throw new IdentityError(
      'contact_unverified',
      'the address was not verified: its owner has to open the link in the mail, and to publish again',
    )
  const email = normaliseEmail(payload.identity)
  const isNamed = email !== undefined && email === normaliseEmail(verification.email)
  if (!isNamed || (expected !== undefined && expected !== email))
    throw new IdentityError('contact_mismatch', 'the keys are of another address')
  if (payload.expiresAt <= BigInt(Date.now()))
    throw new IdentityError('contact_mismatch', 'the keys are not good any more')
  const { publicKey, signingKey } = payload
  const fingerprint = fingerprintOf({ email, publicKey, signingKey })
  if (!isSame(fingerprint, payload.fingerprint) || !isSame(fingerprint, heard))
    throw new IdentityError(
      'contact_mismatch',
      'the fingerprint is another one: it was misheard, or somebody has put other keys in the place of these. Ask for another code',
    )
  return {
    email,
    publicKey,
    signingKey,
    primary: signingKey.length === 32 ? primaryOf(signingKey) : undefined,
    fingerprint: showFingerprint(fingerprint),
    verifiedAt: new Date(verification.verifiedAt),
  }
}

function keysOf(email: string, { identity: signer, recipientKey }: PublishContactOptions) {
  const identity = addressOf(email)
  const primary = primaryOfSigner(signer)
  if (primary.scheme !== 'ed25519')
    throw new RequestError('bad_argument', 'the identity of a contact is an ed25519 one')
  if (!/^[0-9a-f]{64}$/.test(recipientKey))
    throw new RequestError('bad_argument', 'recipientKey has 64 hex digits, in lower case')
  return { identity, publicKey: hexToBytes(recipientKey), signingKey: hexToBytes(primary.id) }
}

function addressOf(given: string): string {
  const email = normaliseEmail(given)
  if (email !== undefined && isMailable(email)) return email
  throw new RequestError('bad_argument', 'this is no address that mail is sent to')
}

/** Undefined for what is no key. */
function primaryOf(signingKey: Uint8Array): string | undefined {
  try {
    return parsePrimary(`ed25519:${bytesToHex(signingKey)}`).text
  } catch {
    return undefined
  }
}

function read(bytes: Uint8Array): SharePayload {
  try {
    return decodePayload(bytes)
  } catch (error) {
    throw noAnswer(error)
  }
}

const isSame = (a: Uint8Array, b: Uint8Array) =>
  a.length === b.length && a.every((byte, i) => byte === b[i])

const noAnswer = (cause?: unknown) =>
  new VertexError('bad_response', 'this is no answer of a server of share codes', { cause })

function problemOf(status: number, message: string, wait: string | undefined): VertexError {
  const seconds = Number(wait)
  const retryAfter = Number.isFinite(seconds) ? seconds : undefined
  switch (status) {
    case statuses.shareNotFound:
    case statuses.shareExpired:
    case statuses.shareExhausted:
      return new VertexError(
        'code_not_found',
        'there is nothing under this code: it was mistyped, was used already, or is over',
      )
    case statuses.emailUnverified:
      return new IdentityError('contact_unverified', 'the address was not verified')
    case statuses.rateLimited:
      return new UnavailableError('rate_limited', message, { retryAfter })
    case statuses.storeUnavailable:
    case statuses.internalError:
      return new UnavailableError('storage_unavailable', message, { retryAfter })
    default:
      return new RequestError('bad_argument', `the server of share codes refused: ${message}`)
  }
}
