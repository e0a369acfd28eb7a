import { connect } from 'node:net'

/** So many requests are under way at one time, each on a connection of its own. */
export const CONNECTIONS = 16

export interface Load {
  readonly port: number
  /** Whole requests as they go over the wire, in latin1, in turn over all connections. */
  readonly requests: readonly string[]
  /** How often the whole list is sent. */
  readonly times: number
}

export interface Loaded {
  readonly ms: number
  /** Answers by status; of those in an envelope `200/<what it says>`. */
  readonly statuses: Readonly<Record<string, number>>
}

/**
 * Sends requests as fast as they are answered, over connections that are kept. Of an answer it reads the status and the
 * length and nothing else, so that little of the machine goes to the one who measures.
 */
export async function load({ port, requests, times }: Load): Promise<Loaded> {
  const statuses: Record<string, number> = {}
  const total = requests.length * times
  let sent = 0
  const next = () => (sent < total ? requests[sent++ % requests.length] : undefined)
  const began = performance.now()
  const lanes = Array.from({ length: Math.min(CONNECTIONS, total) }, () =>
    lane(port, next, (status) => (statuses[status] = (statuses[status] ?? 0) + 1)),
  )
  await Promise.all(lanes)
  return { ms: performance.now() - began, statuses }
}

/** One connection: a request, its answer, the next request. */
function lane(
  port: number,
  next: () => string | undefined,
  answered: (status: string) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    let got = ''
    const send = () => {
      const request = next()
      if (request === undefined) socket.end(() => resolve())
      else socket.write(request, 'latin1')
    }
    socket.setEncoding('latin1')
    socket.on('connect', send)
    socket.on('data', (text: string) => {
      got += text
      const end = got.indexOf('\r\n\r\n')
      if (end === -1) return
      const head = got.slice(0, end)
      const status = head.slice(9, 12)
      // 204 has no body, and says no length.
      const length = status === '204' ? '0' : /\r\ncontent-length: (\d+)/i.exec(head)?.[1]
      if (length === undefined) socket.destroy(new Error(`an answer without a length: ${head}`))
      if (got.length < end + 4 + Number(length)) return
      // Where HTTP knows nothing of what went wrong.
      answered(status + insideOf(got, end + 4))
      got = ''
      send()
    })
    socket.on('error', reject)
    socket.on('close', () => reject(new Error('the server closed the connection')))
  })
}

/** What an envelope says: the status in one of share codes, the error in one of JSON-RPC. */
function insideOf(got: string, at: number): string {
  if (got.startsWith('LBSR', at)) return `/${got.charCodeAt(at + 7)}`
  const error = /^\{"jsonrpc":"2\.0","error":\{"code":(-\d+)/.exec(got.slice(at, at + 60))
  return error === null ? '' : `/${error[1]!}`
}

/** A request as it goes over the wire. */
export function requestText(
  method: string,
  path: string,
  body?: Uint8Array,
  type?: string,
): string {
  const lines = [`${method} ${path} HTTP/1.1`, 'Host: 127.0.0.1']
  if (type !== undefined) lines.push(`Content-Type: ${type}`)
  if (body !== undefined) lines.push(`Content-Length: ${body.length}`)
  return `${lines.join('\r\n')}\r\n\r\n${body === undefined ? '' : Buffer.from(body).toString('latin1')}`
}
