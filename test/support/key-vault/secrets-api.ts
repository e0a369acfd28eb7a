import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'

/** Small, so that three versions already need a second page. */
const PAGE = 2
const TENANT = '11111111-2222-3333-4444-555555555555'

export interface Version {
  readonly id: string
  readonly value: string
  /** Whole seconds since 1970, as Key Vault counts. */
  readonly created: number
  enabled: boolean
}

/** The reading half of the Key Vault secrets API, version 7.x and 2025: the challenge, the list, the value. */
export class SecretsApi {
  throttled: { times: number; retryAfter: string | undefined } = { times: 0, retryAfter: undefined }
  delayMs = 0
  failure: number | undefined
  readonly #secrets = new Map<string, Version[]>()

  constructor(
    private readonly requests: string[],
    private readonly accepts: (token: string) => boolean,
  ) {}

  set(vault: string, name: string, value: string, created = Math.floor(Date.now() / 1000)): string {
    const versions = this.#secrets.get(`${vault}/${name}`) ?? []
    const id = randomBytes(16).toString('hex')
    versions.push({ id, value, created, enabled: true })
    this.#secrets.set(`${vault}/${name}`, versions)
    return id
  }

  version(vault: string, name: string, id: string): Version {
    const version = this.#secrets.get(`${vault}/${name}`)?.find((one) => one.id === id)
    if (version === undefined) throw new Error('there is no such version')
    return version
  }

  readonly handle = (request: IncomingMessage, response: ServerResponse): void => {
    setTimeout(() => this.#answer(request, response), this.delayMs)
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const host = request.headers.host ?? ''
    const url = new URL(request.url ?? '/', `https://${host}`)
    const [vault = '', ...domain] = host.split('.')
    this.requests.push(`${request.method ?? ''} ${vault}${url.pathname}`)
    const send = (status: number, body: object, headers: Record<string, string> = {}) => {
      response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', ...headers })
      response.end(JSON.stringify(body))
    }
    const refuse = (status: number, code: string, message: string, headers = {}) =>
      send(status, { error: { code, message } }, headers)

    const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1]
    if (token === undefined || !this.accepts(token)) {
      const challenge = `Bearer authorization="https://login.microsoftonline.com/${TENANT}", resource="https://${domain.join('.')}"`
      refuse(401, 'Unauthorized', 'AKV10000: Request is missing a Bearer or PoP token.', {
        'www-authenticate': challenge,
      })
      return
    }
    if (this.failure !== undefined) {
      refuse(this.failure, 'Forbidden', 'The request was not let through.')
      return
    }
    if (this.throttled.times > 0) {
      this.throttled.times--
      const { retryAfter } = this.throttled
      refuse(
        429,
        'Throttled',
        'Too many requests.',
        retryAfter === undefined ? {} : { 'retry-after': retryAfter },
      )
      return
    }
    const [collection, name = '', id] = url.pathname.split('/').filter((part) => part !== '')
    if (url.searchParams.get('api-version') === null)
      refuse(400, 'BadParameter', 'api-version is missing')
    else if (request.method !== 'GET' || collection !== 'secrets')
      refuse(405, 'MethodNotAllowed', 'only secrets are read here')
    else if (id === 'versions') send(200, this.#page(url, vault, name))
    else {
      const versions = this.#secrets.get(`${vault}/${name}`)
      const version = id === undefined ? versions?.at(-1) : versions?.find((one) => one.id === id)
      if (version === undefined)
        refuse(404, 'SecretNotFound', `A secret with (name/id) ${name} was not found.`)
      else if (!version.enabled)
        refuse(403, 'Forbidden', 'Operation get is not allowed on a disabled secret.')
      else send(200, { value: version.value, ...described(url, name, version) })
    }
  }

  /** Versions in no useful order, a few at a time. A secret that does not exist has none. */
  #page(url: URL, vault: string, name: string): object {
    const all = [...(this.#secrets.get(`${vault}/${name}`) ?? [])]
    all.sort((a, b) => (a.id < b.id ? -1 : 1))
    const from = Number(url.searchParams.get('$skiptoken') ?? 0)
    const next = new URL(url)
    next.searchParams.set('$skiptoken', String(from + PAGE))
    return {
      value: all.slice(from, from + PAGE).map((version) => described(url, name, version)),
      nextLink: from + PAGE < all.length ? next.href : null,
    }
  }
}

function described(url: URL, name: string, { id, enabled, created }: Version): object {
  return {
    id: `${url.origin}/secrets/${name}/${id}`,
    attributes: { enabled, created, updated: created, recoveryLevel: 'Recoverable+Purgeable' },
  }
}
