import type { IncomingMessage } from 'node:http'
import { HttpProblem } from './errors.js'
import { parseStrictJson } from './strict-json.js'

/** The largest body of any route, in bytes. */
export const MAX_BODY_BYTES = 64 * 1024

/** How much of a body that is too large is still read, so that its sender gets to see the answer. */
const MAX_DISCARDED_BYTES = 1024 * 1024

/**
 * Reads the body of a request as strict JSON.
 * @returns undefined when there is none
 * @throws HttpProblem `unsupported_media_type`, `body_too_large`, `bad_request_params`
 */
export async function readJsonBody(req: IncomingMessage): Promise<unknown> {
  if (!hasBody(req)) return undefined
  checkMediaType(req)
  const bytes = await readBytes(req)
  return bytes.length === 0 ? undefined : parseStrictJson(bytes)
}

/** @throws HttpProblem when a request brings a body to a route that takes none */
export function refuseBody(req: IncomingMessage): void {
  if (hasBody(req))
    throw new HttpProblem('bad_request_params', 'this route takes no body', {
      closeConnection: true,
    })
}

function hasBody(req: IncomingMessage): boolean {
  return (
    req.headers['transfer-encoding'] !== undefined || Number(req.headers['content-length'] ?? 0) > 0
  )
}

function checkMediaType(req: IncomingMessage): void {
  const encoding = req.headers['content-encoding']
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity')
    throw unsupported('send the body uncompressed, without Content-Encoding')
  const [type = '', ...parameters] = (req.headers['content-type'] ?? '').toLowerCase().split(';')
  if (type.trim() !== 'application/json') throw unsupported('send the body as application/json')
  const utf8 = (parameter: string) => /^charset="?utf-?8"?$/.test(parameter.trim())
  if (!parameters.every((parameter) => parameter.trim() === '' || utf8(parameter)))
    throw unsupported('send the body as application/json in UTF-8')
}

function unsupported(message: string): HttpProblem {
  return new HttpProblem('unsupported_media_type', message, { closeConnection: true })
}

/**
 * Reads a body as it comes.
 * @param most bytes it may have
 * @throws HttpProblem `body_too_large`, `bad_request_params`
 */
export function readBytes(req: IncomingMessage, most = MAX_BODY_BYTES): Promise<Uint8Array> {
  const discarded = Math.max(MAX_DISCARDED_BYTES, 2 * most)
  if (Number(req.headers['content-length'] ?? 0) > discarded) return Promise.reject(tooLarge(most))
  const chunks: Buffer[] = []
  let received = 0
  return new Promise((resolve, reject) => {
    const endedEarly = () =>
      reject(
        new HttpProblem('bad_request_params', 'the body ended early', { closeConnection: true }),
      )
    req.on('data', (chunk: Buffer) => {
      received += chunk.length
      if (received > discarded) {
        req.pause()
        reject(tooLarge(most))
      } else if (received <= most) chunks.push(chunk)
    })
    req.on('end', () => {
      if (received > most) reject(tooLarge(most))
      else resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks))
    })
    req.on('error', endedEarly)
    // Also a request that was cut off before anybody read of it.
    req.on('close', () => {
      if (!req.readableEnded) endedEarly()
    })
    if (req.destroyed) endedEarly()
  })
}

function tooLarge(most: number): HttpProblem {
  return new HttpProblem('body_too_large', `a body has at most ${most} bytes`, {
    closeConnection: true,
  })
}
