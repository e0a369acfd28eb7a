import { request } from 'node:http'
import { connect } from 'node:net'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { alice, next, primary, textOf } from '../../directory/test/sigchain/make.js'
import { createLogger } from '../../src/compose/index.js'
import type { Asked, System } from '../../src/directory/system.js'
import { createDirectoryApp } from '../../src/http/directory-app.js'
import { createServer, listen } from '../../src/http/server.js'
import { StorageUnavailable } from '../../src/vault/ports.js'
import { startVertex } from '../http/vertex.js'

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

const answer = (status: number, text: string, code?: string) => ({
  status,
  type: 'text/x-odd',
  body: text,
  ...(code === undefined ? {} : { code }),
})

/** A system with a form of errors like nobody else's. */
function odd(handle: (asked: Asked) => unknown, more: Partial<System> = {}): System {
  const route = (method: 'get' | 'post') => ({
    method,
    path: '/odd/:name',
    takesBody: method === 'post',
    handle: (asked: Asked) =>
      Promise.resolve()
        .then(() => handle(asked))
        .then((value) => answer(200, JSON.stringify(value))),
  })
  return {
    name: 'odd',
    paths: ['/odd'],
    routes: [route('get'), route('post')],
    anyOrigin: true,
    maxBodyBytes: 10,
    refusal: (status, message) => answer(status, `odd: ${message}`, `odd_${status}`),
    ...more,
  }
}

async function served(system: System) {
  const log: string[] = []
  const logger = createLogger('info', { write: (line) => log.push(line) })
  const server = createServer(createDirectoryApp(system, { logger, draining: () => false }))
  const port = await listen(server, '127.0.0.1', 0)
  closing.push(() => {
    server.close()
    server.closeAllConnections()
  })
  const ask = async (path: string, init?: RequestInit) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, init)
    return { status: response.status, headers: response.headers, text: await response.text() }
  }
  return { ask, log, port }
}

describe('a system of the directory', () => {
  it.each([
    ['*', 404],
    ['http://[', 404],
    ['//', 404],
    ['http://else.example/odd/a?b=c', 200],
  ])('answers a request for %s itself', async (target, status) => {
    const { port, log } = await served(odd(({ params, query }) => ({ params, query })))
    for (const method of ['GET', 'OPTIONS']) {
      const socket = connect(port, '127.0.0.1')
      socket.write(`${method} ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
      let text = ''
      for await (const chunk of socket as AsyncIterable<Buffer>) text += chunk.toString()
      if (method === 'OPTIONS' && status === 200) expect(text).toContain('204 No Content')
      else {
        expect(text).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
        expect(text).toContain('text/x-odd')
      }
    }
    expect(log).toHaveLength(2)
  })

  it('is given the request as it came', async () => {
    const { ask } = await served(
      odd(({ params, query, body }) => ({ params, query, body: Buffer.from(body).toString() })),
    )
    const got = await ask('/odd/a%20b?c=d&c=e', { method: 'POST', body: ' {"x" :1}' })
    expect(got.status).toBe(200)
    expect(got.headers.get('content-type')).toBe('text/x-odd')
    expect(JSON.parse(got.text)).toEqual({
      params: { name: 'a b' },
      query: 'c=d&c=e',
      body: ' {"x" :1}',
    })
  })

  it.each([
    ['an unknown path below its own', '/odd/a/b', {}, 404],
    ['an unknown path', '/else', {}, 404],
    ['another method', '/odd/a', { method: 'PUT' }, 405],
    ['a path that cannot be decoded', '/odd/%ff', {}, 400],
    ['a body that is too large', '/odd/a', { method: 'POST', body: 'x'.repeat(11) }, 413],
  ] as const)('answers %s in its own form, to any origin', async (_, path, init, status) => {
    const { ask, log } = await served(odd(() => 1))
    const got = await ask(path, init)
    expect(got.status).toBe(status)
    expect(got.text).toMatch(/^odd: /)
    expect(got.headers.get('access-control-allow-origin')).toBe('*')
    expect(JSON.parse(log.at(-1)!)).toMatchObject({ status, err_type: `odd_${status}` })
  })

  it('says in its own form that the database is away, and when to come back', async () => {
    const { ask } = await served(
      odd(() => {
        throw new StorageUnavailable()
      }),
    )
    const got = await ask('/odd/a')
    expect([got.status, got.headers.get('retry-after')]).toEqual([503, '2'])
  })

  it('tells nothing of an error that nobody expected, and the log has it', async () => {
    const { ask, log } = await served(
      odd(() => {
        throw new Error('inside')
      }),
    )
    const got = await ask('/odd/a')
    expect(got.status).toBe(500)
    expect(got.text).not.toContain('inside')
    expect(log.join('')).toContain('"message":"inside"')
  })

  it('lets pages of any origin send to it, and has no CORS where it has none', async () => {
    const asked = { method: 'OPTIONS', headers: { Origin: 'https://a.example' } }
    const { ask } = await served(odd(() => 1))
    const got = await ask('/odd/a', asked)
    expect(got.status).toBe(204)
    expect(got.headers.get('access-control-allow-origin')).toBe('*')
    expect(got.headers.get('access-control-allow-methods')).toBe('GET, HEAD, POST')
    const closed = await served(odd(() => 1, { anyOrigin: false }))
    const other = await closed.ask('/odd/a', asked)
    expect([other.status, other.headers.get('access-control-allow-origin')]).toEqual([204, null])
    expect(other.headers.get('allow')).toBe('GET, HEAD, POST, OPTIONS')
  })

  it('takes no more bodies at one time than there is memory for', async () => {
    const most = 40 * 1024 * 1024
    const { ask, port } = await served(odd(({ body }) => body.length, { maxBodyBytes: most }))
    // One that never said how long it will be, and does not come to its end.
    const slow = request({ host: '127.0.0.1', port, method: 'POST', path: '/odd/a' })
    slow.on('error', () => undefined)
    slow.write('x')
    const small = () => ask('/odd/a', { method: 'POST', body: 'x' })
    const large = () => ask('/odd/a', { method: 'POST', body: 'x'.repeat(most) })
    await vi.waitFor(async () => expect((await large()).status).toBe(503), 10_000)
    expect((await small()).status).toBe(200)
    slow.destroy()
    await vi.waitFor(async () => expect((await large()).status).toBe(200), 10_000)
  })

  it('logs the pattern of a route and nothing of the path or the body', async () => {
    const { ask, log } = await served(odd(() => 1))
    await ask('/odd/personal?personal=1', { method: 'POST', body: 'personal' })
    expect(log).toHaveLength(1)
    expect(log[0]).not.toContain('personal')
    expect(JSON.parse(log[0]!)).toMatchObject({ route: '/odd/:name', status: 200 })
  })
})

describe('an answer that nobody takes', () => {
  const large = 'x'.repeat(8 * 1024 * 1024)

  /** Asks on a connection of its own, and reads nothing until it is told to. */
  function asks(port: number, times: number) {
    const socket = connect(port, '127.0.0.1').pause()
    closing.push(() => socket.destroy())
    socket.on('error', () => undefined)
    socket.write('GET /odd/x HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(times))
    return socket
  }

  it('keeps the next one of its connection from being made', async () => {
    let made = 0
    const { port } = await served(odd(() => ({ made: ++made, large })))
    const socket = asks(port, 5)
    await vi.waitFor(() => expect(made).toBe(1))
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(made).toBe(1)
    socket.resume()
    await vi.waitFor(() => expect(made).toBe(5))
  })

  it('counts in the sum for all until its connection has gone', async () => {
    const { ask, port } = await served(odd(() => large))
    const sockets = Array.from({ length: 12 }, () => asks(port, 1))
    await vi.waitFor(async () => expect((await ask('/odd/x')).status).toBe(503), 10_000)
    for (const socket of sockets) socket.destroy()
    await vi.waitFor(async () => expect((await ask('/odd/x')).status).toBe(200), 10_000)
  })
})

describe('the directory of a server', () => {
  it('is there unless it is switched off', async () => {
    const on = await startVertex()
    closing.push(on.stop)
    expect(await (await fetch(`${on.url}/v1/healthz`)).text()).toBe('{"status":"ok"}')
    const off = await startVertex({ VERTEX_DIRECTORY: 'off' })
    closing.push(off.stop)
    expect((await fetch(`${off.url}/v1/healthz`)).status).toBe(404)
  })

  it('keeps chains on the listener of the vault, and its metrics know the routes', async () => {
    const vertex = await startVertex({ VERTEX_METRICS_PORT: '0' })
    closing.push(vertex.stop)
    const { bytes } = next(alice, undefined)
    const chain = `${vertex.url}/v1/sigchains/${primary(alice).text.replace(':', '/')}`
    const sent = { method: 'POST', body: bytes as Uint8Array<ArrayBuffer> }
    expect((await fetch(`${chain}/events`, sent)).status).toBe(201)
    expect(await (await fetch(`${chain}/head`)).text()).toBe(textOf(bytes))
    const metrics = await (await fetch(vertex.metricsUrl!)).text()
    expect(metrics).toContain('route="/v1/sigchains/:scheme/:id/events",status="201"')
    expect(vertex.log.join('')).not.toContain(primary(alice).id)
  })

  it('counts the requests of an address', async () => {
    const vertex = await startVertex({ VERTEX_RATE_DIRECTORY: '2' })
    closing.push(vertex.stop)
    const asked = () => fetch(`${vertex.url}/v1/healthz`)
    const write = { method: 'POST', body: '{}' }
    const written = () => fetch(`${vertex.url}/v1/sigchains/rsa/x/events`, write)
    const statuses = [(await asked()).status, (await written()).status]
    const refused = await asked()
    expect([...statuses, refused.status]).toEqual([200, 400, 429])
    expect(refused.headers.get('retry-after')).toMatch(/^[1-9]\d*$/)
    expect(await refused.json()).toMatchObject({ error: { code: 'rate_limited' } })
    const other = await startVertex({ VERTEX_RATE_DIRECTORY_WRITES: '1' })
    closing.push(other.stop)
    const writes = () => fetch(`${other.url}/v1/sigchains/rsa/x/events`, write)
    expect([(await writes()).status, (await writes()).status]).toEqual([400, 429])
    expect((await fetch(`${other.url}/v1/healthz`)).status).toBe(200)
    // A large one counts for as many as it could have been.
    const large = await startVertex({ VERTEX_RATE_DIRECTORY_WRITES: '3' })
    closing.push(large.stop)
    const packed = (bytes: number) =>
      fetch(`${large.url}/v0/keypackage`, { method: 'POST', body: 'x'.repeat(bytes) })
    const counted = [await packed(64 * 1024 + 1), await packed(64 * 1024 + 1), await packed(1)]
    expect(counted.map(({ status }) => status)).toEqual([415, 429, 415])
  })

  it('counts the addresses of one network of IPv6 as one', async () => {
    const vertex = await startVertex({
      VERTEX_RATE_DIRECTORY: '2',
      VERTEX_TRUSTED_PROXIES: '127.0.0.1',
    })
    closing.push(vertex.stop)
    const from = async (address: string) => {
      const headers = { 'X-Forwarded-For': address }
      return (await fetch(`${vertex.url}/v1/healthz`, { headers })).status
    }
    expect([await from('2001:db8:0:7::1'), await from('2001:db8:0:7:a:b:c:d')]).toEqual([200, 200])
    expect(await from('2001:db8:0:7:ffff::2')).toBe(429)
    expect(await from('2001:db8:0:8::1')).toBe(200)
    expect([await from('::ffff:192.0.2.1'), await from('192.0.2.1')]).toEqual([200, 200])
    expect([await from('192.0.2.1'), await from('192.0.2.2')]).toEqual([429, 200])
  })

  it('lets one address write a key package of the largest size in a minute, and no more', async () => {
    const vertex = await startVertex()
    closing.push(vertex.stop)
    const body = 'x'.repeat(2 * 1024 * 1024)
    const written = async () =>
      (await fetch(`${vertex.url}/v0/keypackage`, { method: 'POST', body })).status
    expect([await written(), await written()]).toEqual([415, 429])
  })
})
