import type { IncomingMessage, Server } from 'node:http'
import type { Server as SecureServer } from 'node:https'
import type { Duplex } from 'node:stream'
import { Server as TlsServer } from 'node:tls'

/** Headers about this connection only; the offer to change its protocol is among them. */
const ofTheConnection = new Set([
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'upgrade',
])

/**
 * Answers a request as if it had not offered to change the protocol, as HTTP wants it when nobody here speaks the other
 * one (RFC 9110, section 7.8). Java and curl offer `h2c` with every request.
 *
 * Node gives each such request to the upgrade listener, and has not read its body. So the server gets it again from
 * the start, without the offer, on a connection that closes afterwards.
 */
export function ignoreUpgrade(
  server: Server | SecureServer,
  request: IncomingMessage,
  socket: Duplex,
  head: Buffer,
): void {
  const lines = [`${request.method ?? ''} ${request.url ?? ''} HTTP/${request.httpVersion}`]
  for (let i = 0; i + 1 < request.rawHeaders.length; i += 2) {
    const [name, value] = [request.rawHeaders[i]!, request.rawHeaders[i + 1]!]
    if (!ofTheConnection.has(name.toLowerCase())) lines.push(`${name}: ${value}`)
  }
  lines.push('Connection: close', '', '')
  const again = Buffer.concat([Buffer.from(lines.join('\r\n'), 'latin1'), head])

  socket.on('error', () => undefined)
  // Not at once: the parser that has just read the request may still be at work, and would be given out again.
  setImmediate(() => {
    if (socket.destroyed) return
    socket.unshift(again)
    server.emit(server instanceof TlsServer ? 'secureConnection' : 'connection', socket)
  })
}
