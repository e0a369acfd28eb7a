import express, { type Express, type NextFunction, type Request, type Response } from 'express'
import type { Logger } from 'pino'
import type { System } from '../directory/system.js'
import {
  rateLimited,
  type Caller,
  type IdentityContext,
  type Rates,
  type Vault,
} from '../vault/index.js'
import { Authenticator } from './auth.js'
import { readJsonBody, refuseBody } from './body.js'
import { loadContract } from './contract.js'
import { cors } from './cors.js'
import { docsRoutes } from './docs.js'
import type { Drain } from './drain.js'
import { HttpProblem, problemOf } from './errors.js'
import { healthRoutes } from './health.js'
import { logUnexpected } from './log.js'
import { parseQuery } from './query.js'
import { type Method, type Reply, type Route, vaultRoutes } from './routes.js'
import { identityHeaders, nothing } from './schemas.js'
import { mountSystems, type AdmitToSystems } from './systems.js'
import { type MeasuredRequest, traceRequests } from './trace.js'
import { validate } from './validate.js'

export interface AppOptions {
  readonly vault: Vault
  readonly rates: Rates
  readonly adminToken: string
  readonly corsOrigins: readonly string[]
  /** Addresses whose X-Forwarded-For is believed. */
  readonly trustedProxies: readonly string[]
  /** host:port of relays that a request may name. */
  readonly relayAllow: readonly string[]
  readonly logger: Logger
  readonly drain: Drain
  /** Whether this process is the one that answers for its database. */
  readonly answers: () => boolean
  readonly version: string
  /** Of the directory, each with its own routes. */
  readonly systems: readonly System[]
  /** Whether a system of the directory may be asked once more. */
  readonly admitToSystems: AdmitToSystems
  /** Told of each request at its end. */
  readonly measure?: ((request: MeasuredRequest) => void) | undefined
}

/** Every route of the server, in the order in which they are tried. */
export function routesOf(
  options: Pick<AppOptions, 'vault' | 'relayAllow' | 'drain' | 'answers' | 'version'>,
): Route[] {
  return [
    ...vaultRoutes(options.vault, options.relayAllow),
    ...healthRoutes(options.vault, options.drain, options.answers, options.version),
    ...docsRoutes(loadContract()),
  ]
}

/** The whole HTTP face of a vault. */
export function createApp(options: AppOptions): Express {
  const app = express()
  app.set('trust proxy', options.trustedProxies.length > 0 ? [...options.trustedProxies] : false)
  const traceOf = traceRequests(app, {
    logger: options.logger,
    draining: () => options.drain.draining,
    measure: options.measure,
  })
  // Before anything of the vault's, for they have their own answers, to other origins too.
  const answerForSystem = mountSystems(app, options, traceOf)
  app.use(cors(options.corsOrigins))

  const authenticator = new Authenticator(options.vault, options.adminToken)
  const routes = routesOf(options)
  for (const route of routes) {
    app[route.method](route.path, async (req: Request, res: Response, next: NextFunction) => {
      // Express answers HEAD with a GET route, and some of ours change something.
      if (req.method === 'HEAD' && route.access !== 'public') {
        next('route')
        return
      }
      const trace = traceOf(req)
      trace.route = route.path
      if (route.access !== 'public' && !options.answers())
        throw new HttpProblem('storage_unavailable', 'another process answers for this database')
      const reply = await serve(route, req, authenticator, trace.requestId, async (caller) => {
        trace.userId = caller.userId
        await countRequest(options.rates, caller, res)
      })
      send(res, reply)
    })
  }
  for (const path of new Set(routes.map((route) => route.path)))
    app.options(path, (_, res) => {
      res.setHeader('Allow', methodsOf(routes, path).join(', '))
      res.status(204).end()
    })

  app.use(() => {
    throw new HttpProblem('not_found', 'there is no such route')
  })

  // Express knows an error handler by its four parameters.
  app.use((error: unknown, req: Request, res: Response, next: NextFunction) => {
    if (answerForSystem(error, req, res)) return
    const trace = traceOf(req)
    const problem = problemOf(error, trace.requestId)
    trace.errType = problem.body.err_type
    if (problem.unexpected) logUnexpected(options.logger, trace.requestId, trace.route, error)
    if (res.headersSent) {
      next(error)
      return
    }
    if (problem.retryAfter !== undefined) res.setHeader('Retry-After', String(problem.retryAfter))
    if (error instanceof HttpProblem && error.options.closeConnection === true)
      res.setHeader('Connection', 'close')
    sendJson(res, problem.status, problem.body)
  })
  return app
}

/** How long a key counts as valid while its body comes. A revoked one must not work for 5 s more. */
const ACCEPTED_FOR_MS = 2000

/** Who is asking, then what, then the doing: nothing of an unknown caller's body is read. */
async function serve(
  route: Route,
  req: Request,
  authenticator: Authenticator,
  requestId: string,
  admit: (caller: Caller) => Promise<void>,
): Promise<Reply> {
  if (route.access === 'user') {
    const caller = await authenticator.user(req, requestId)
    await admit(caller)
    const acceptedAt = performance.now()
    const input = await inputOf(route, req, requestId)
    if (performance.now() - acceptedAt > ACCEPTED_FOR_MS) await authenticator.user(req, requestId)
    return route.handle(input, { ...caller, requestId })
  }
  if (route.access === 'user-or-admin') {
    const caller = await authenticator.userOrAdmin(req, requestId)
    if (caller !== undefined) await admit(caller)
    return route.handle(await inputOf(route, req, requestId), caller)
  }
  if (route.access === 'admin') await authenticator.admin(req, requestId)
  return route.handle(await inputOf(route, req, requestId))
}

/** Of each user's own requests, whatever they are for. @throws VaultError `rate_limited` */
async function countRequest(rates: Rates, { userId }: Caller, res: Response): Promise<void> {
  const count = await rates.count('requests', userId)
  res.setHeader('RateLimit-Limit', count.most)
  res.setHeader('RateLimit-Remaining', count.left)
  res.setHeader('RateLimit-Reset', Math.ceil(count.ms / 1000))
  if (!count.allowed) throw rateLimited('requests', count)
}

async function inputOf(route: Route, req: Request, requestId: string) {
  const params = route.params === nothing ? {} : validate(route.params, { ...req.params })
  const query =
    req.url.includes('?') || route.query !== nothing
      ? validate(route.query, parseQuery(req.url))
      : {}
  const identity = identityOf(req)
  let body: unknown
  if (route.body === null) refuseBody(req)
  else {
    const given = await readJsonBody(req)
    if (given === undefined && !route.bodyOptional)
      throw new HttpProblem('bad_request_params', 'this route needs a JSON body')
    if (given !== undefined) body = validate(route.body, given)
  }
  // Checked by the schemas of this very route, from which its handler has its types.
  return { params, query, body, identity, requestId } as never
}

function identityOf(req: Request): IdentityContext {
  if (!('x-vertex-nonce' in req.headers || 'x-vertex-identity' in req.headers)) return {}
  const headers = validate(identityHeaders, {
    'X-Vertex-Nonce': req.headers['x-vertex-nonce'],
    'X-Vertex-Identity': req.headers['x-vertex-identity'],
  })
  return { nonce: headers['X-Vertex-Nonce'], identity: headers['X-Vertex-Identity'] }
}

function send(res: Response, reply: Reply): void {
  for (const [name, value] of Object.entries(reply.headers ?? {})) res.setHeader(name, value)
  if ('json' in reply) {
    sendJson(res, reply.status ?? 200, reply.json)
    return
  }
  res.setHeader('Content-Type', reply.type)
  res.end(reply.text)
}

function sendJson(res: Response, status: number, value: object): void {
  const body = JSON.stringify(value)
  res.statusCode = status
  res.setHeader('Content-Type', 'application/json; charset=utf-8')
  res.setHeader('Content-Length', Buffer.byteLength(body))
  res.end(body)
}

function methodsOf(routes: readonly Route[], path: string): string[] {
  const heads = (route: Route): (Uppercase<Method> | 'HEAD')[] =>
    route.method === 'get' && route.access === 'public'
      ? ['GET', 'HEAD']
      : [route.method.toUpperCase() as 'GET']
  return [...routes.filter((route) => route.path === path).flatMap(heads), 'OPTIONS']
}
