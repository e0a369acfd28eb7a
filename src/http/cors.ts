import type { RequestHandler } from 'express'

/** Lets pages of these origins, and of no others, read answers. No cookies are involved, so none are allowed. */
export function cors(origins: readonly string[]): RequestHandler {
  const allowed = new Set(origins)
  return (req, res, next) => {
    if (allowed.size > 0) res.vary('Origin')
    const origin = req.headers.origin
    if (origin === undefined || !allowed.has(origin)) {
      next()
      return
    }
    res.setHeader('Access-Control-Allow-Origin', origin)
    res.setHeader(
      'Access-Control-Expose-Headers',
      'X-Request-Id, Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset',
    )
    if (req.method !== 'OPTIONS' || req.headers['access-control-request-method'] === undefined) {
      next()
      return
    }
    res.setHeader('Access-Control-Allow-Methods', 'GET, POST, DELETE')
    res.setHeader(
      'Access-Control-Allow-Headers',
      'Authorization, Content-Type, X-Vertex-Nonce, X-Vertex-Identity',
    )
    res.setHeader('Access-Control-Max-Age', '600')
    res.status(204).end()
  }
}
