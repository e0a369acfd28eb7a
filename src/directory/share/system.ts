import {
  decodeDeleteRequest,
  decodeFetchRequest,
  decodePayload,
  decodeRequest,
  decodeShareRequest,
  encodeDeleted,
  encodeError,
  encodeFetched,
  encodeResponse,
  encodeShared,
  isMailable,
  locatorOf,
  normaliseEmail,
  operations,
  ShareFault,
  statuses,
  type Operation,
  type Request,
  type Status,
} from '@vertex/directory/share'
import { StorageUnavailable } from '../../vault/ports.js'
import type { Answer, Asked, System, SystemRoute } from '../system.js'
import { TokenBuckets } from './bucket.js'
import type { Cluster } from './cluster.js'
import type { Mails } from './mails.js'
import { verificationPage } from './page.js'
import type { ShareSettings } from './settings.js'
import { TooManyMails, type ShareStore } from './store.js'

/** What an envelope may have beside its payload. */
const OVERHEAD_BYTES = 128
/** Codes that were not there, of one source; then it is told nothing for a while. 9.3 */
const MISSES = { perMinute: 2, burst: 40 } as const

export interface ShareSystemOptions {
  readonly shares: ShareStore
  /** Undefined where no mail can be sent. */
  readonly mails: Mails | undefined
  readonly cluster: Cluster
  readonly settings: ShareSettings
  /** Of what servers say to each other. */
  readonly more?: readonly SystemRoute[]
  /** Counts requests of others too, where there are any. */
  readonly requests?: TokenBuckets
  /** For limits: milliseconds of a clock that is never put back. */
  readonly ticks?: () => number
}

/** Share codes, docs/directory/share-codes.md. */
export function shareSystem(options: ShareSystemOptions): System {
  const { settings, more = [] } = options
  const desk = new Desk(options)
  return {
    name: 'share',
    paths: ['/v1/share', '/v1/replicate', '/v1/topology', '/v1/status', '/v1/verify'],
    anyOrigin: false,
    maxBodyBytes: settings.maxPayloadBytes + OVERHEAD_BYTES,
    refusal,
    routes: [
      {
        method: 'post',
        path: '/v1/share',
        takesBody: true,
        handle: (asked) => desk.answer(asked),
      },
      {
        method: 'get',
        path: '/v1/verify',
        takesBody: false,
        handle: (asked) => desk.verify(asked),
      },
      ...more,
    ],
  }
}

/** Something is not to be had; who asked is told in these words. */
class Refused extends Error {
  constructor(
    readonly status: Status,
    message: string,
  ) {
    super(message)
  }
}

class Desk {
  readonly #requests: TokenBuckets
  readonly #misses: TokenBuckets

  constructor(private readonly options: ShareSystemOptions) {
    const { settings, ticks } = options
    this.#requests =
      options.requests ?? new TokenBuckets(settings.ratePerMinute, settings.rateBurst, ticks)
    const perMinute = settings.ratePerMinute === 0 ? 0 : MISSES.perMinute
    this.#misses = new TokenBuckets(perMinute, MISSES.burst, ticks)
  }

  /** 2 */
  async answer({ body, source: who }: Asked): Promise<Answer> {
    if (!this.#requests.take(who))
      return refused(operations.share, statuses.rateLimited, 'rate limited')
    let request: Request
    try {
      request = decodeRequest(body)
    } catch (thrown) {
      if (!(thrown instanceof ShareFault)) throw thrown
      return refused(operations.share, statuses.malformedRequest, thrown.kind)
    }
    const { operation } = request
    if (operation === operations.replicate) {
      const message = 'share endpoint does not accept replication operations'
      return refused(operation, statuses.unknownOperation, message)
    }
    let tail: Uint8Array | undefined
    try {
      tail = await this.options.cluster.topology()
      const answer = await this.#work(operation, request.body, who)
      return binary(encodeResponse(statuses.success, operation, answer, tail))
    } catch (thrown) {
      const { status, message } = problemOf(thrown)
      const answer = refused(operation, status, message, tail)
      return thrown instanceof StorageUnavailable ? { ...answer, headers: soon } : answer
    }
  }

  #work(
    operation: Exclude<Operation, typeof operations.replicate>,
    body: Uint8Array,
    who: string,
  ): Promise<Uint8Array> {
    switch (operation) {
      case operations.share:
        return this.#share(body, who)
      case operations.fetchShare:
        return this.#give(body, who)
      case operations.deleteShare:
        return this.#delete(body, who)
    }
  }

  /** 7.1 */
  async #share(body: Uint8Array, source: string): Promise<Uint8Array> {
    const { shares, mails, cluster, settings } = this.options
    const asked = decodeShareRequest(body)
    const email = asked.email === undefined ? undefined : addressOf(asked.email)
    if (asked.payload.length > settings.maxPayloadBytes)
      throw new Refused(statuses.payloadTooLarge, 'payload too large')
    assertPayload(asked.payload)
    if (email !== undefined && mails === undefined && !settings.developer)
      throw new Refused(
        statuses.storeUnavailable,
        'this server sends no e-mail: publish without an address, or have its operator configure mail',
      )
    const maxFetches = Math.min(Math.max(1, asked.maxFetches), settings.maxFetches)
    const ttlMs =
      asked.ttlSeconds === 0
        ? settings.defaultTtlMs
        : Math.min(asked.ttlSeconds * 1000, settings.maxTtlMs)
    const linkOf = (code: string, token: string) =>
      `${verifyUrl(settings)}?code=${code}&token=${token}`
    const { code, deleteToken, expiresAt, link } = await shares.create({
      locator: await cluster.locator(),
      payload: asked.payload,
      ttlMs,
      maxFetches,
      verification: email === undefined ? undefined : { email, source, linkOf },
    })
    if (email !== undefined) mails?.soon()
    const verificationUrl = settings.developer ? link : undefined
    return encodeShared({ code, deleteToken, expiresAt, maxFetches, verificationUrl })
  }

  /** 7.2 */
  async #give(body: Uint8Array, who: string): Promise<Uint8Array> {
    const { shares, cluster } = this.options
    const code = decodeFetchRequest(body)
    if (!this.#misses.has(who)) throw new Refused(statuses.rateLimited, 'too many unknown codes')
    const taken =
      locatorOf(code) !== undefined && cluster.serves(code) ? await shares.take(code) : undefined
    if (taken === undefined) {
      this.#misses.take(who)
      throw new Refused(statuses.shareNotFound, 'share not found')
    }
    const { payload, expiresAt, remaining, verification } = taken
    return encodeFetched({
      payload,
      expiresAt,
      remaining,
      verification: verification && { ...verification, verified: verification.verifiedAt !== 0 },
    })
  }

  /** 7.3 */
  async #delete(body: Uint8Array, who: string): Promise<Uint8Array> {
    const { shares, cluster } = this.options
    const { code, deleteToken } = decodeDeleteRequest(body)
    if (!this.#misses.has(who)) throw new Refused(statuses.rateLimited, 'too many unknown codes')
    const known = locatorOf(code) !== undefined && cluster.serves(code)
    const outcome = known ? await shares.delete(code, deleteToken) : 'missing'
    switch (outcome) {
      case 'done':
        return encodeDeleted(true)
      case 'missing':
        this.#misses.take(who)
        return encodeDeleted(false)
      case 'wrong_token':
        throw new Refused(statuses.deleteTokenInvalid, 'delete token invalid')
      case 'locked':
        throw new Refused(statuses.rateLimited, 'too many wrong tokens for this code')
    }
  }

  /** 8.3 */
  async verify({ query, method, source: who }: Asked): Promise<Answer> {
    // Who only looks whether there is something has not followed the link.
    if (method !== 'GET') return notFound
    const { shares, cluster } = this.options
    const given = new URLSearchParams(query)
    const [codes, tokens] = [given.getAll('code'), given.getAll('token')]
    const [code, token] = [codes[0], tokens[0]]
    const isWhole = codes.length === 1 && tokens.length === 1 && /^[0-9a-f]{64}$/.test(token ?? '')
    if (code === undefined || token === undefined || !isWhole)
      return page(400, 'The link is not whole: open it as it stands in the mail.')
    if (!this.#misses.has(who)) return page(400, 'Too many links were wrong: try again later.')
    const known = locatorOf(code) !== undefined && cluster.serves(code)
    const { outcome, email } = known
      ? await shares.verify(code, token)
      : ({ outcome: 'missing', email: undefined } as const)
    if (outcome === 'done') return page(200, email)
    this.#misses.take(who)
    return page(400, 'The link is unknown, was used up with its share, or has expired.')
  }
}

/** @throws Refused; what makes one mail of two, or a flag of an address, is no address here. 6.2 */
function addressOf(given: string): string {
  const email = normaliseEmail(given)
  if (email !== undefined && isMailable(email)) return email
  throw new Refused(statuses.malformedRequest, 'payload invalid: verification email is invalid')
}

/** @throws Refused */
function assertPayload(payload: Uint8Array): void {
  try {
    decodePayload(payload)
  } catch (thrown) {
    if (!(thrown instanceof ShareFault)) throw thrown
    throw new Refused(statuses.malformedRequest, `payload invalid: ${thrown.kind}`)
  }
}

const verifyUrl = ({ publicUrl }: ShareSettings) =>
  `${publicUrl.replace(/\/+$/, '').replace(/\/v1\/share$/, '')}/v1/verify`

/** @throws what nobody expected */
function problemOf(thrown: unknown): { readonly status: Status; readonly message: string } {
  if (thrown instanceof Refused) return thrown
  if (thrown instanceof ShareFault)
    return { status: statuses.malformedRequest, message: thrown.kind }
  if (thrown instanceof TooManyMails)
    return { status: statuses.rateLimited, message: 'too many verification mails' }
  if (thrown instanceof StorageUnavailable)
    return { status: statuses.storeUnavailable, message: 'the database is not available now' }
  throw thrown
}

const binary = (body: Uint8Array): Answer => ({
  status: 200,
  type: 'application/octet-stream',
  body,
})

/** For the log. */
const codes = Object.fromEntries(
  Object.entries(statuses).map(([name, status]) => [
    status,
    name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
  ]),
)

function refused(operation: Operation, status: Status, message: string, tail?: Uint8Array): Answer {
  return { ...binary(encodeError(status, operation, message, tail)), code: codes[status]! }
}

const plain = (status: number, message: string, code: string): Answer => ({
  status,
  type: 'text/plain; charset=utf-8',
  body: message,
  code,
})

/** When a database that does not answer is asked again. */
const soon = { 'Retry-After': '2' }

const notFound = plain(404, 'not found', 'not_found')

/** @param said the address, or why there is none */
const page = (status: 200 | 400, said: string | undefined): Answer => ({
  status,
  type: 'text/html; charset=utf-8',
  body: verificationPage(status === 200, said ?? ''),
  // As the original ends it.
  headers: { Connection: 'close' },
  ...(status === 400 ? { code: 'not_verified' } : {}),
})

const POSTED = new Set(['/v1/share', '/v1/replicate', '/v1/topology/register'])
const envelopes: Readonly<Record<number, readonly [Status, string]>> = {
  413: [statuses.payloadTooLarge, 'too large'],
  429: [statuses.rateLimited, 'rate limited'],
  500: [statuses.internalError, 'internal error'],
  503: [statuses.storeUnavailable, 'the server is not available now'],
}

/** Where an envelope is what is expected, what is wrong is in one, and HTTP knows nothing of it. 2.5 */
function refusal(status: number, message: string, path: string): Answer {
  if (status === 404 || status === 405) return notFound
  if (!POSTED.has(path)) return plain(status, message, status === 429 ? 'rate_limited' : 'refused')
  const [inside, words] = envelopes[status] ?? [statuses.malformedRequest, message]
  return refused(operations.share, inside, words)
}
