import { apiKeyIdOf } from './api-key.js'
import { asError } from './deadline.js'
import { RequestError, UnavailableError, VertexError } from './errors.js'
import type { Answer, Exchange } from './exchange.js'
import { errorOf } from './wire-error.js'

/** Where a Vertex is, and with which key it is asked. */
export interface Endpoint {
  readonly url: string
  readonly apiKey: string
  readonly exchange: Exchange
  readonly allowHttpOnLoopback: boolean
}

export interface HttpRequest {
  readonly query?: Readonly<Record<string, string>> | undefined
  readonly body?: unknown
  /** In the place of a body of JSON. */
  readonly bytes?: Uint8Array | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly signal?: AbortSignal | undefined
  /** Instead of the endpoint's API key, such as the admin token. */
  readonly authorization?: string | undefined
}

/** The only place of the SDK that sends HTTP requests. Speaks plain http only to this machine. */
export class Http {
  /** The Vertex's address without a slash at its end; names it in records and events. */
  readonly url: string
  /** `host:port`, as other Vertices are told to find the relay. */
  readonly relayAddress: string
  /** The address of the relay's WebSocket. */
  readonly relayUrl: string
  /** The id in the API key; undefined for a key of another form. */
  readonly apiKeyId: string | undefined
  readonly #apiKey: string
  readonly #exchange: Exchange

  /** @throws RequestError for an address that is not https, or a key that cannot stand in a header */
  constructor(endpoint: Endpoint) {
    const url = parseUrl(endpoint.url, endpoint.allowHttpOnLoopback)
    if (!/^[!-~]+$/.test(endpoint.apiKey))
      throw new RequestError('bad_argument', 'the API key has characters that no API key has')
    this.url = url.href.replace(/\/+$/, '')
    this.relayAddress = `${url.hostname}:${url.port !== '' ? url.port : url.protocol === 'https:' ? '443' : '80'}`
    this.relayUrl = `${this.url.replace(/^http/, 'ws')}/relay`
    this.apiKeyId = apiKeyIdOf(endpoint.apiKey)
    this.#apiKey = endpoint.apiKey
    this.#exchange = endpoint.exchange
  }

  /** Sends and gives the answer, whatever its status. @throws UnavailableError when there is none */
  async send(method: string, path: string, request: HttpRequest = {}): Promise<Answer> {
    const query =
      request.query === undefined ? '' : `?${new URLSearchParams(request.query).toString()}`
    const headers: Record<string, string> = {
      accept: 'application/json',
      authorization: request.authorization ?? this.#apiKey,
      ...request.headers,
    }
    let body: string | Uint8Array<ArrayBuffer> | undefined
    if (request.bytes !== undefined) {
      headers['content-type'] = 'application/octet-stream'
      body = new Uint8Array(request.bytes)
    } else if (request.body !== undefined) {
      headers['content-type'] = 'application/json'
      body = JSON.stringify(request.body)
    }
    const { signal } = request
    try {
      const exchange = this.#exchange
      return await exchange({ method, url: `${this.url}${path}${query}`, headers, body, signal })
    } catch (error) {
      throw this.#unreachable(error, signal)
    }
  }

  /** Sends and gives the parsed body of a 2xx answer. @throws VertexError */
  async json(method: string, path: string, request: HttpRequest = {}): Promise<unknown> {
    const answer = await this.send(method, path, request)
    const { status, text } = answer
    if (status >= 300) throw errorOf(answer)
    if (text === '') return undefined
    try {
      return JSON.parse(text) as unknown
    } catch {
      throw new VertexError('bad_response', `${this.url} answered something that is not JSON`, {
        status,
      })
    }
  }

  #unreachable(error: unknown, signal: AbortSignal | undefined): Error {
    if (signal?.aborted === true) return asError(signal.reason)
    if (error instanceof VertexError) return error
    return new UnavailableError('connection_failed', `${this.url} cannot be reached`, {
      cause: error,
    })
  }
}

function parseUrl(text: string, allowHttpOnLoopback: boolean): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || (url.protocol !== 'https:' && url.protocol !== 'http:'))
    throw new RequestError('bad_argument', 'the url of a Vertex begins with https://')
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '')
    throw new RequestError(
      'bad_argument',
      'the url of a Vertex has no credentials, query or fragment',
    )
  if (url.protocol === 'http:') {
    const loopback = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/.test(url.hostname)
    if (!loopback || !allowHttpOnLoopback)
      throw new RequestError(
        'bad_argument',
        loopback
          ? 'plain http to this machine needs allowHttpOnLoopback: true'
          : 'plain http is refused: use https',
      )
  }
  return url
}
