import type { Answer, System } from '../system.js'

/** Of a body, as the original's own documents have its proxy do. */
const MAX_BODY_BYTES = 64 * 1024

/** Signed histories of identities, docs/directory/sigchains.md. */
export function sigchainSystem(): System {
  return {
    name: 'sigchain',
    paths: ['/v1/healthz', '/v1/sigchains'],
    anyOrigin: true,
    maxBodyBytes: MAX_BODY_BYTES,
    refusal,
    routes: [
      {
        method: 'get',
        path: '/v1/healthz',
        takesBody: false,
        handle: () => Promise.resolve(json(200, { status: 'ok' })),
      },
    ],
  }
}

const codes: Readonly<Record<number, string>> = {
  400: 'bad_request',
  404: 'not_found',
  405: 'method_not_allowed',
  409: 'conflict',
  413: 'too_large',
  429: 'rate_limited',
  503: 'unavailable',
}

function refusal(status: number, message: string): Answer {
  const code = codes[status] ?? (status < 500 ? 'bad_request' : 'internal')
  return { ...json(status, { error: { code, message } }), code }
}

const json = (status: number, value: object): Answer => ({
  status,
  type: 'application/json',
  body: JSON.stringify(value),
})
