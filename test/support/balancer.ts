import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'

/** What stands before several replicas: each request and each WebSocket goes to the next one that can be reached. */
export interface Balancer {
  readonly url: string
  /** Requests by replica, 0 and on. */
  readonly counts: readonly number[]
  /** Answers that a replica gave: method, path, status, body. */
  onAnswer: (answer: { path: string; status: number; body: string; at: number }) => void
  close(): Promise<void>
}

/** Where no replica can be reached, or one breaks off, it says 503 as balancers do. */
export async function startBalancer(ports: readonly number[]): Promise<Balancer> {
  const counts = ports.map(() => 0)
  let turn = 0
  const order = () => {
    const first = turn++ % ports.length
    return ports.map((_, n) => (first + n) % ports.length)
  }
  const open = (asked: IncomingMessage, at: number) =>
    request({
      host: '127.0.0.1',
      port: ports[at],
      method: asked.method,
      path: asked.url,
      headers: asked.headers,
      agent: false,
    })

  const server = createServer((asked, answer) => {
    const chunks: Buffer[] = []
    asked.on('data', (chunk: Buffer) => chunks.push(chunk))
    asked.on('end', () => {
      const attempt = ([at, ...others]: number[]) => {
        if (at === undefined || answer.destroyed) {
          unavailable(answer)
          return
        }
        const passed = open(asked, at)
        let connected = false
        passed.on('socket', (socket) => socket.once('connect', () => (connected = true)))
        passed.on('response', (response) => {
          counts[at]! += 1
          const parts: Buffer[] = []
          response.on('data', (part: Buffer) => parts.push(part))
          response.on('error', () => {
            unavailable(answer)
          })
          response.on('end', () => {
            const body = Buffer.concat(parts)
            const status = response.statusCode ?? 0
            balancer.onAnswer({ path: asked.url ?? '', status, body: body.toString(), at })
            const { headers } = response
            delete headers.connection
            delete headers['transfer-encoding']
            answer.writeHead(status, headers)
            answer.end(body)
          })
        })
        passed.on('error', () => {
          if (connected) unavailable(answer)
          else attempt(others)
        })
        answer.on('close', () => passed.destroy())
        passed.end(Buffer.concat(chunks))
      }
      attempt(order())
    })
  })
  server.on('upgrade', (asked: IncomingMessage, client: Duplex, head: Buffer) => {
    client.on('error', () => client.destroy())
    const attempt = ([at, ...others]: number[]) => {
      if (at === undefined) {
        client.destroy()
        return
      }
      const passed = open(asked, at)
      passed.on('error', () => {
        attempt(others)
      })
      passed.on('upgrade', (response, replica, first) => {
        counts[at]! += 1
        const headers = response.rawHeaders
        const lines = headers.flatMap((name, n) =>
          n % 2 === 0 ? `${name}: ${headers[n + 1]}` : [],
        )
        client.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join('\r\n')}\r\n\r\n`)
        client.write(first)
        replica.write(head)
        replica.on('error', () => client.destroy())
        replica.on('close', () => client.destroy())
        client.on('close', () => replica.destroy())
        replica.pipe(client).pipe(replica)
      })
      passed.on('response', () => client.destroy())
      passed.end()
    }
    attempt(order())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const balancer: Balancer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    counts,
    onAnswer: () => undefined,
    close: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return balancer
}

function unavailable(answer: ServerResponse): void {
  if (answer.headersSent || answer.destroyed) return
  answer.writeHead(503, { 'Content-Type': 'application/json', 'Retry-After': '1' })
  answer.end(JSON.stringify({ err_msg: 'no replica answered', err_type: 'too_busy' }))
}
