import { randomBytes } from 'node:crypto'
import type { Duplex } from 'node:stream'
import type { Problem } from './errors.js'

/**
 * What could not be read as a request is answered in the form of every other refusal, and the connection ends.
 * @param error of Node's HTTP parser or of its clock; a connection that failed for another reason is just dropped
 */
export function refuseConnection(error: Error & { code?: string }, socket: Duplex): void {
  const message = messageOf(error.code ?? '')
  // Behind unsent bytes of an answer, these would become part of it.
  if (message === undefined || !socket.writable || socket.writableLength > 0) {
    socket.destroy()
    return
  }
  const problem: Problem['body'] = { err_msg: message, err_type: 'bad_request_params' }
  const body = JSON.stringify(problem)
  const head = [
    'HTTP/1.1 400 Bad Request',
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Cache-Control: no-store',
    `X-Request-Id: ${randomBytes(16).toString('hex')}`,
    'Connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy())
}

function messageOf(code: string): string | undefined {
  if (code === 'HPE_HEADER_OVERFLOW') return 'the headers are too long'
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return 'the request came too slowly'
  return code.startsWith('HPE_') ? 'this is not a valid HTTP request' : undefined
}
