import { pipeline } from 'node:stream'
import type { Express, Request, Response } from 'express'
import type { Logger } from 'pino'
import {
  PROOF_HEADER,
  type Answer,
  type Asked,
  type System,
  type SystemRoute,
} from '../directory/system.js'
import { networkOf } from '../network.js'
import { StorageUnavailable } from '../vault/ports.js'
import { readBytes } from './body.js'
import { HttpProblem, problemOf } from './errors.js'
import { inTurn } from './in-turn.js'
import { logUnexpected } from './log.js'
import type { Trace } from './trace.js'

/**
 * Counts one more request of a source: of an IPv4 address, or of a network of IPv6.
 * @param writes how much it may leave behind, in parts of {@link PART} bytes; 0 for what only reads
 * @returns seconds to wait where it is too much; 0 where it may be answered
 */
export type AdmitToSystems = (source: string, writes: number) => number | Promise<number>

/** What one write counts for. A larger one counts for several, so that what can be left behind is bounded. */
const PART = 64 * 1024
/** So much of a body may come before it is known what it is for. */
const SMALL = 4 * 1024

export interface SystemsOptions {
  readonly systems: readonly System[]
  readonly admitToSystems: AdmitToSystems
  readonly logger: Logger
}

type TraceOf = (req: Request) => Trace

/** Seconds until a database that does not answer is asked again. */
const PATIENCE = 2

/**
 * Mounts the systems of the directory. Everything below the paths of a system is answered in that system's form.
 * @returns the part of the app's error handler that is about them: whether it has answered
 */
export function mountSystems(
  app: Express,
  { systems, admitToSystems, logger }: SystemsOptions,
  traceOf: TraceOf,
): (error: unknown, req: Request, res: Response) => boolean {
  const bodies = new Bodies()
  for (const system of systems) {
    for (const route of system.routes)
      app[route.method](route.path, async (req: Request, res: Response) => {
        const trace = traceOf(req)
        trace.route = route.path
        if (!(await inTurn(req, res))) return
        const most = route.takesBody ? sizeOf(req, system.maxBodyBytes) : 0
        const parts = route.takesBody ? Math.max(1, Math.ceil(most / PART)) : 0
        const later = route.countsWrites === true && most <= SMALL
        await admit(admitToSystems, req, later ? 0 : parts)
        const countWrite = () => (later ? admit(admitToSystems, req, parts) : Promise.resolve())
        const giveBack = bodies.take(most)
        try {
          const answer = await route.handle(await askedOf(system, route, req, countWrite))
          keepUntilTaken(bodies, req, res, answer)
          send(res, trace, system, answer, (error) =>
            logUnexpected(logger, trace.requestId, trace.route, error),
          )
        } finally {
          giveBack()
        }
      })
    for (const path of new Set(system.routes.map((route) => route.path))) {
      const others = (req: Request, res: Response) => {
        const trace = traceOf(req)
        trace.route = path
        answerOtherMethod(req, res, trace, system, path)
      }
      // A path that is shared keeps its other methods; only pages of other origins have to ask.
      if (isOf(system, path)) app.all(path, others)
      else if (system.anyOrigin) app.options(path, others)
    }
    for (const path of system.paths)
      app.use(path, () => {
        throw new HttpProblem('not_found', 'there is no such route')
      })
  }
  return (error, req, res) => {
    const system = systems.find((each) => isOf(each, req.path) || isRouteOf(each, req))
    if (system === undefined || res.headersSent) return false
    const trace = traceOf(req)
    if (error instanceof HttpProblem && error.options.closeConnection === true)
      res.setHeader('Connection', 'close')
    const { status, message, retryAfter, unexpected } = told(error, trace.requestId)
    if (unexpected) logUnexpected(logger, trace.requestId, trace.route, error)
    if (retryAfter !== undefined) res.setHeader('Retry-After', String(retryAfter))
    send(res, trace, system, system.refusal(status, message, req.path))
    return true
  }
}

/** So much memory all bodies may take, of requests and answers, that are under way at one time. */
const MOST_UNDER_WAY = 64 * 1024 * 1024

/**
 * Here nobody has shown a key before a body is read, and a body may be large: what keeps the memory of everybody else
 * free is a sum for all.
 */
class Bodies {
  #underWay = 0

  /** @returns what ends it @throws HttpProblem `too_busy` */
  take(bytes: number): () => void {
    if (this.#underWay + bytes > MOST_UNDER_WAY)
      throw new HttpProblem('too_busy', 'too much is being sent at this time', {
        closeConnection: true,
      })
    this.#underWay += bytes
    return () => (this.#underWay -= bytes)
  }
}

/** What an answer holds at most of itself that is made as it is taken. */
const PART_BY_PART = 512 * 1024
/** How long an answer may be left lying by whoever asked for it, without a byte being taken. Milliseconds. */
const UNREAD_MS = 30_000

/** Counts an answer until it was taken, or its connection has gone. @throws HttpProblem `too_busy` */
function keepUntilTaken(bodies: Bodies, req: Request, res: Response, { body }: Answer): void {
  if (req.socket.destroyed || res.closed) return
  const whole = typeof body === 'string' || body instanceof Uint8Array
  res.once('close', bodies.take(whole ? Buffer.byteLength(body) : PART_BY_PART))
  res.setTimeout(UNREAD_MS, () => req.socket.destroy())
}

/** What a body can have at most: what it says it has, or what is taken. */
const sizeOf = (req: Request, most: number) =>
  Math.min(Number(req.headers['content-length'] ?? most), most)

/** Whether all of a path is the system's. */
const isOf = ({ paths }: System, path: string) => paths.some((above) => isBelow(path, above))

/** Whether a request is for a route that lies on a shared path. */
const isRouteOf = ({ routes }: System, { path, method }: Request) =>
  routes.some((route) => route.path === path && route.method.toUpperCase() === method)

const isBelow = (path: string, above: string) => path === above || path.startsWith(`${above}/`)

/** @throws HttpProblem `rate_limited` */
async function admit(admitToSystems: AdmitToSystems, req: Request, writes: number): Promise<void> {
  const wait = await admitToSystems(networkOf(req.ip ?? 'unknown'), writes)
  if (wait > 0)
    throw new HttpProblem('rate_limited', `too many requests; wait ${wait} s`, { retryAfter: wait })
}

async function askedOf(
  system: System,
  { takesBody }: SystemRoute,
  req: Request,
  countWrite: Asked['countWrite'],
): Promise<Asked> {
  const start = req.url.indexOf('?')
  return {
    method: req.method,
    source: networkOf(req.ip ?? 'unknown'),
    params: req.params as Record<string, string>,
    query: start === -1 ? '' : req.url.slice(start + 1),
    headers: req.headers,
    body: takesBody ? await readBytes(req, system.maxBodyBytes) : new Uint8Array(),
    countWrite,
  }
}

function answerOtherMethod(
  req: Request,
  res: Response,
  trace: Trace,
  system: System,
  path: string,
): void {
  const methods = system.routes
    .filter((route) => route.path === path)
    .flatMap(({ method }) => (method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()]))
  res.setHeader('Allow', [...methods, 'OPTIONS'].join(', '))
  if (req.method !== 'OPTIONS') {
    send(res, trace, system, system.refusal(405, `${req.method} is not for this path`, path))
    return
  }
  if (system.anyOrigin) {
    allowAnyOrigin(res)
    res.setHeader('Access-Control-Allow-Methods', methods.join(', '))
    res.setHeader('Access-Control-Allow-Headers', '*')
    res.setHeader('Access-Control-Max-Age', '600')
  }
  res.status(204).end()
}

/** What is told of an error that no system throws on purpose. */
function told(error: unknown, requestId: string) {
  if (error instanceof StorageUnavailable)
    return {
      status: 503,
      message: 'the database is not available now',
      retryAfter: PATIENCE,
      unexpected: false,
    }
  const { status, body, retryAfter, unexpected } = problemOf(error, requestId)
  const message = unexpected ? `${body.err_msg}; request ${requestId}` : body.err_msg
  return { status, message, retryAfter, unexpected }
}

function send(
  res: Response,
  trace: Trace,
  system: System,
  answer: Answer,
  unexpected?: (error: unknown) => void,
): void {
  if (answer.code !== undefined) trace.errType = answer.code
  if (system.anyOrigin) allowAnyOrigin(res)
  for (const [name, value] of Object.entries(answer.headers ?? {})) res.setHeader(name, value)
  res.statusCode = answer.status
  if (answer.status === 204) {
    res.end()
    return
  }
  res.setHeader('Content-Type', answer.type)
  const { body } = answer
  if (typeof body === 'string' || body instanceof Uint8Array) {
    res.setHeader('Content-Length', Buffer.byteLength(body))
    res.end(body)
  } else if (res.req.method === 'HEAD') res.end()
  // Nobody can be told any more what went wrong; that the answer is not whole, they see.
  else
    pipeline(body, res, (error) => {
      // Whoever asked went away.
      if (error?.code === 'ERR_STREAM_PREMATURE_CLOSE') return
      if (error && !(error instanceof StorageUnavailable)) unexpected?.(error)
    })
}

function allowAnyOrigin(res: Response): void {
  res.setHeader('Access-Control-Allow-Origin', '*')
  res.setHeader('Access-Control-Expose-Headers', `X-Request-Id, Retry-After, ${PROOF_HEADER}`)
}
