import { randomBytes } from 'node:crypto'
import type { Express, Request } from 'express'
import type { Logger } from 'pino'
import { HttpProblem } from './errors.js'
import { logRequest } from './log.js'
import { securityHeaders } from './security-headers.js'

/** What may be counted of a request. */
export interface MeasuredRequest {
  readonly method: string
  /** The pattern of the route, never the path. */
  readonly route: string
  readonly status: number
  readonly seconds: number
}

/** What one request leaves behind for its log line. */
export interface Trace {
  readonly requestId: string
  readonly startedAt: number
  route: string
  errType?: string
  userId?: string
}

export interface TraceOptions {
  readonly logger: Logger
  /** Whether the server is on its way out. */
  readonly draining: () => boolean
  /** Told of each request at its end. */
  readonly measure?: ((request: MeasuredRequest) => void) | undefined
}

/**
 * How every app here treats a request before it looks at its path: settings of Express, a name for the request, headers
 * that every answer has, a line in the log at its end.
 * @returns the trace of a request
 */
export function traceRequests(app: Express, options: TraceOptions): (req: Request) => Trace {
  app.disable('x-powered-by')
  app.disable('etag')
  app.enable('case sensitive routing')
  app.enable('strict routing')
  app.set('query parser', false)

  const always = securityHeaders()
  const traces = new WeakMap<Request, Trace>()
  app.use((req, res, next) => {
    const trace: Trace = {
      requestId: randomBytes(16).toString('hex'),
      startedAt: performance.now(),
      route: 'none',
    }
    traces.set(req, trace)
    for (const [name, value] of always) res.setHeader(name, value)
    res.setHeader('X-Request-Id', trace.requestId)
    res.setHeader('Cache-Control', 'no-store')
    if (options.draining()) res.setHeader('Connection', 'close')
    res.once('close', () => {
      const ms = performance.now() - trace.startedAt
      const { method } = req
      const status = res.writableFinished ? res.statusCode : 499
      options.measure?.({ method, route: trace.route, status, seconds: ms / 1000 })
      const quiet = trace.route === '/livez' || trace.route === '/readyz'
      if (!options.logger.isLevelEnabled(quiet ? 'debug' : 'info')) return
      const record = {
        request_id: trace.requestId,
        method,
        route: trace.route,
        status,
        duration_ms: Math.round(ms * 10) / 10,
        source: req.ip ?? 'unknown',
        err_type: trace.errType,
        user_id: trace.userId,
      }
      logRequest(options.logger, record, quiet)
    })
    next()
  })
  app.use((req, _, next) => {
    const { host, expect } = req.headers
    if (host === undefined && req.httpVersion === '1.1')
      throw refused('the request has no Host header')
    if (expect !== undefined && !/^100-continue$/i.test(expect))
      throw refused('of all expectations only 100-continue is met')
    next()
  })
  return (req) => {
    const trace = traces.get(req)
    if (trace === undefined) throw new Error('a request without a trace')
    return trace
  }
}

const refused = (message: string) =>
  new HttpProblem('bad_request_params', message, { closeConnection: true })
