import http from 'node:http'
import https from 'node:https'
import { asError } from '../deadline.js'
import { MAX_ANSWER_BYTES, tooLong, type Answer, type Ask } from '../exchange.js'

/** A server that says nothing for so long is not waited for any longer, and an idle connection is closed. */
const SILENT_MS = 300_000

// Idle connections are kept for the next request, and keep no process from ending.
const options = { keepAlive: true, timeout: SILENT_MS }
const plain = { request: http.request, agent: new http.Agent(options) }
const secure = { request: https.request, agent: new https.Agent(options) }

/** Exchanges by Node's own HTTP client, which takes a third of the CPU time of its `fetch`. */
export function httpExchange({ method, url, headers, body, signal }: Ask): Promise<Answer> {
  const { request, agent } = url.startsWith('https:') ? secure : plain
  return new Promise((resolve, reject) => {
    const sent = request(url, {
      method,
      agent,
      headers:
        body === undefined ? headers : { ...headers, 'content-length': Buffer.byteLength(body) },
    })
    // Given the signal, Node watches the request with eight listeners of its own.
    const stop = () => sent.destroy(asError(signal?.reason))
    if (signal?.aborted === true) stop()
    else signal?.addEventListener('abort', stop, { once: true })
    sent.on('close', () => signal?.removeEventListener('abort', stop))
    sent.on('error', reject)
    sent.on('timeout', () => sent.destroy(new Error('the server says nothing')))
    sent.on('response', (response) => {
      const status = response.statusCode ?? 0
      const fail = (error: Error) => {
        sent.destroy()
        reject(error)
      }
      if (status < 200 || status > 599 || (status >= 300 && status < 400)) {
        fail(new Error(`the answer is ${status}`))
        return
      }
      const chunks: Buffer[] = []
      let size = 0
      response.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size > MAX_ANSWER_BYTES) fail(tooLong(status))
        else chunks.push(chunk)
      })
      response.on('error', reject)
      response.on('end', () => {
        const [only] = chunks
        const bytes = chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks)
        resolve({
          status,
          // Asked for by few.
          get headers() {
            return named(response.headers)
          },
          bytes,
          text: bytes.toString(),
        })
      })
    })
    sent.end(body)
  })
}

const named = (headers: http.IncomingHttpHeaders): Record<string, string> =>
  Object.fromEntries(
    Object.entries(headers).filter(
      (header): header is [string, string] => typeof header[1] === 'string',
    ),
  )
