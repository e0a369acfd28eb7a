import http from 'node:http'
import https from 'node:https'
import type { Express } from 'express'
import { refuseConnection } from './refuse.js'

/** A certificate and its key, PEM. */
export interface TlsFiles {
  readonly cert: Buffer
  readonly key: Buffer
}

/**
 * A server for the app, not listening yet.
 *
 * Express makes every request and response its own by changing their prototypes, which costs old engines dear at
 * every later access. The server is told to build its messages with those prototypes in the first place, so that
 * Express finds nothing to change.
 */
export function createServer(app: Express, tls?: TlsFiles): http.Server {
  class AppRequest extends http.IncomingMessage {}
  class AppResponse extends http.ServerResponse<AppRequest> {}
  app.request = adopt(AppRequest.prototype, app.request)
  app.response = adopt(AppResponse.prototype, app.response)

  const options = {
    IncomingMessage: AppRequest,
    ServerResponse: AppResponse,
    // Slow senders are cut off; the answer itself may take as long as a protocol run.
    headersTimeout: 15_000,
    requestTimeout: 30_000,
    keepAliveTimeout: 61_000,
    connectionsCheckingInterval: 1_000,
    maxHeaderSize: 16 * 1024,
    // Refused by the app, in words.
    requireHostHeader: false,
  }
  const answer: http.RequestListener<typeof AppRequest, typeof AppResponse> = (req, res) => {
    req.url = targetOf(req.url ?? '')
    app(req, res)
  }
  const server =
    tls === undefined
      ? http.createServer(options, answer)
      : https.createServer({ ...options, ...tls, minVersion: 'TLSv1.3' }, answer)
  server.maxConnections = 4096
  server.on('checkExpectation', answer)
  server.on('clientError', refuseConnection)
  return server
}

/** No path of any route. */
const NOWHERE = '//'

/**
 * The path that a request names, RFC 9112, section 3.2. Express answers by itself what it can find no path in, in a form
 * that nobody else's answers have.
 */
function targetOf(target: string): string {
  if (target.startsWith('/')) return target
  if (!/^https?:/i.test(target) || !URL.canParse(target)) return NOWHERE
  const { pathname, search } = new URL(target)
  return pathname + search
}

/** Gives `target` everything that `source` adds to Node's own prototypes, and answers it in the role of `source`. */
function adopt<T extends object>(target: object, source: T): T {
  const native: unknown[] = [
    http.IncomingMessage.prototype,
    http.ServerResponse.prototype,
    Object.prototype,
  ]
  const layers: object[] = []
  let layer: object | null = source
  while (layer !== null && !native.includes(layer)) {
    layers.unshift(layer)
    layer = Object.getPrototypeOf(layer) as object | null
  }
  for (const each of layers) {
    const members: PropertyDescriptorMap = Object.getOwnPropertyDescriptors<object>(each)
    Reflect.deleteProperty(members, 'constructor')
    Object.defineProperties(target, members)
  }
  return target as T
}

/** @returns the port, of interest when it was 0 */
export function listen(server: http.Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      const address = server.address()
      resolve(typeof address === 'object' && address !== null ? address.port : port)
    })
  })
}

/**
 * Takes no new connection and waits for the requests under way. `close` alone would wait for idle keep-alive
 * connections too, so those are closed again and again until none is left.
 * @param withinMs after this time the rest is cut off
 */
export async function closeServer(server: http.Server, withinMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  server.closeIdleConnections()
  const sweep = setInterval(() => server.closeIdleConnections(), 100)
  const cut = setTimeout(() => server.closeAllConnections(), withinMs)
  await closed
  clearInterval(sweep)
  clearTimeout(cut)
}
