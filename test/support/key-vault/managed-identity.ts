import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'

const LIFETIME_S = 3600

/** The endpoint where a machine in App Service gets tokens for its managed identity. */
export class ManagedIdentity {
  readonly header = randomBytes(16).toString('hex')
  refusing = false
  readonly #tokens = new Set<string>()
  readonly #fixed = new Map<string, { token: string; lifetimeS: number }>()

  constructor(private readonly requests: string[]) {}

  knows(token: string): boolean {
    return this.#tokens.has(token)
  }

  /** From now on the token for this resource is this one. */
  fix(resource: string, token: string, lifetimeS = LIFETIME_S): void {
    this.#fixed.set(resource, { token, lifetimeS })
  }

  readonly handle = (request: IncomingMessage, response: ServerResponse): void => {
    const url = new URL(request.url ?? '/', 'http://identity')
    const { searchParams: query } = url
    this.requests.push(`identity ${query.get('client_id') ?? 'system'}`)
    if (this.refusing) {
      request.socket.destroy()
      return
    }
    const answer = (status: number, body: object) => {
      response.writeHead(status, { 'content-type': 'application/json' })
      response.end(JSON.stringify(body))
    }
    if (url.pathname !== '/msi/token') answer(404, {})
    else if (request.headers['x-identity-header'] !== this.header)
      answer(401, { error: 'unauthorized_client' })
    else {
      const fixed = this.#fixed.get(query.get('resource') ?? '')
      const token = fixed?.token ?? randomBytes(24).toString('base64url')
      this.#tokens.add(token)
      answer(200, {
        access_token: token,
        expires_on: String(Math.floor(Date.now() / 1000) + (fixed?.lifetimeS ?? LIFETIME_S)),
        resource: query.get('resource'),
        token_type: 'Bearer',
        client_id: query.get('client_id') ?? randomBytes(8).toString('hex'),
      })
    }
  }
}
