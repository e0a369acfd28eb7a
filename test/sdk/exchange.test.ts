import { getEventListeners } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { fetchExchange, MAX_ANSWER_BYTES, type Exchange } from '../../sdk/src/exchange.js'
import { httpExchange } from '../../sdk/src/node/http-exchange.js'

let server: Server
let url: string
let answer: RequestListener
let connections: Socket[]

beforeEach(async () => {
  connections = []
  server = createServer((request, response) => {
    answer(request, response)
  })
  server.on('connection', (socket) => connections.push(socket))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterEach(async () => {
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

const exchanges: [string, Exchange][] = [
  ["Node's HTTP client", httpExchange],
  ['fetch', fetchExchange((input, init) => fetch(input, init))],
]

describe.each(exchanges)('HTTP by %s', (_, exchange) => {
  const ask = (more: { body?: string; signal?: AbortSignal } = {}) =>
    exchange({ method: 'POST', url: `${url}/path?q=1`, headers: { 'x-asked': 'yes' }, ...more })

  it('sends a request as it is, and reads the answer to its end, whatever its status', async () => {
    let seen: unknown
    answer = (request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        const { method, url, headers } = request
        const { 'x-asked': asked, 'content-length': length } = headers
        seen = { method, url, asked, length, body: Buffer.concat(chunks).toString() }
        response.writeHead(429, { 'Retry-After': '3', 'Content-Type': 'application/json' })
        response.write('{"a":"')
        response.end('ü"}')
      })
    }
    const { status, headers, text } = await ask({ body: '{"ö":1}' })
    expect(seen).toEqual({
      method: 'POST',
      url: '/path?q=1',
      asked: 'yes',
      length: '8',
      body: '{"ö":1}',
    })
    expect({ status, text }).toEqual({ status: 429, text: '{"a":"ü"}' })
    expect(headers).toMatchObject({ 'retry-after': '3', 'content-type': 'application/json' })
  })

  it('uses connections again', async () => {
    answer = (_, response) => response.end('{}')
    for (let i = 0; i < 6; i++) await ask()
    expect(connections.length).toBeLessThan(4)
  })

  it('follows no redirect', async () => {
    let asked = 0
    answer = (_, response) => {
      asked++
      response.writeHead(307, { Location: url }).end()
    }
    await expect(ask()).rejects.toThrow()
    expect(asked).toBe(1)
  })

  it('refuses an answer that is too long', async () => {
    answer = (_, response) => response.end('x'.repeat(MAX_ANSWER_BYTES + 1))
    await expect(ask()).rejects.toMatchObject({ errType: 'bad_response' })
  })

  it('fails when the answer is cut off, and when there is none', async () => {
    answer = (_, response) => {
      response.writeHead(200, { 'Content-Length': '10' })
      response.write('half')
      setTimeout(() => response.destroy(), 20)
    }
    await expect(ask()).rejects.toThrow()
    answer = (request) => request.socket.destroy()
    await expect(ask()).rejects.toThrow()
  })

  it('ends with the signal', async () => {
    let gone: () => void
    const left = new Promise<void>((resolve) => (gone = resolve))
    const given = new AbortController()
    answer = (request) => {
      request.socket.on('close', () => gone())
      given.abort(new Error('enough'))
    }
    await expect(ask({ signal: given.signal })).rejects.toThrow()
    await left
    await expect(ask({ signal: given.signal })).rejects.toThrow()
  })

  it('ends with the signal in the middle of an answer', async () => {
    const given = new AbortController()
    answer = (_request, response) => {
      response.write('{')
      setTimeout(() => given.abort(new Error('enough')), 20)
    }
    await expect(ask({ signal: given.signal })).rejects.toThrow()
  })
})

it("Node's HTTP client leaves nothing behind on a signal that outlives it", async () => {
  const { signal } = new AbortController()
  const ask = () => httpExchange({ method: 'GET', url, headers: {}, signal })
  answer = (_request, response) => response.end('{}')
  for (let i = 0; i < 3; i++) await ask()
  answer = (request) => request.socket.destroy()
  await expect(ask()).rejects.toThrow()
  await expect.poll(() => getEventListeners(signal, 'abort')).toEqual([])
})
