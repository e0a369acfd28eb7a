import { request, type Server } from 'node:http'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import express from 'express'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { closeServer, createServer, listen } from '../../src/http/server.js'
import { Rooms } from '../../src/relay/index.js'
import { RawClient, upgradeRequest } from './support.js'

let rooms: Rooms
let server: Server
let port: number
beforeEach(async () => {
  const app = express()
  app.get('/here', (req, res) => {
    res.status(201).json({ from: req.ip, offer: req.headers.upgrade ?? null, a: req.get('x-a') })
  })
  app.post('/echo', express.json(), (req, res) => {
    res.json(req.body)
  })
  rooms = new Rooms()
  server = createServer(app)
  rooms.attach(server)
  port = await listen(server, '127.0.0.1', 0)
})
afterEach(async () => {
  await rooms.close()
  await closeServer(server, 100)
})

/** Sends bytes in pieces; all that comes back until the server closes. */
async function say(...pieces: string[]): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  for (const piece of pieces) {
    socket.write(piece, 'latin1')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return text(socket)
}

it('answers a request that offers another protocol as if it had not', async () => {
  const answer = await say(upgradeRequest('/here', 'h2c', 'HTTP2-Settings: AAMAAABk\r\nX-A: é\r\n'))
  expect(answer).toMatch(/^HTTP\/1\.1 201 Created\r\n/)
  expect(answer).toMatch(/^Connection: close\r$/m)
  expect(answer).not.toContain('HTTP/1.1 404')
  expect(JSON.parse(answer.split('\r\n\r\n')[1]!)).toEqual({
    from: '127.0.0.1',
    offer: null,
    a: 'é',
  })
})

it.each(['h2c', 'TLS/1.0', 'h2c, websocket', 'Websocket2'])('does so for %s', async (offer) => {
  expect(await say(upgradeRequest('/here', offer))).toMatch(/^HTTP\/1\.1 201 /)
})

it.each([
  ['in one piece', 'content-length: 15', '{"a":[1,2,"x"]}'],
  ['in chunks', 'transfer-encoding: chunked', '5\r\n{"a":\r\na\r\n[1,2,"x"]}\r\n0\r\n\r\n'],
])('reads the body of such a request, %s and whenever it comes', async (_, header, body) => {
  const head = `POST /echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nContent-Type: application/json\r\n${header}\r\n\r\n`
  for (const pieces of [[head + body], [head, body], [head, body.slice(0, 7), body.slice(7)]])
    expect(await say(...pieces)).toMatch(/^HTTP\/1\.1 200 OK[^]*\{"a":\[1,2,"x"\]\}/)
})

it('says in words that there is no WebSocket elsewhere, and goes on', async () => {
  const answer = await say(upgradeRequest('/here', 'WebSocket'))
  expect(answer).toMatch(/^HTTP\/1\.1 404 Not Found\r\n/)
  expect(JSON.parse(answer.split('\r\n\r\n')[1]!)).toMatchObject({ err_type: 'not_found' })
  const raw = await RawClient.connect(`127.0.0.1:${port}`)
  raw.ws.close()
})

it('takes no second request after the offer, and survives who goes away at once', async () => {
  const answer = await say(upgradeRequest('/here', 'h2c') + upgradeRequest('/here', 'h2c'))
  expect(answer.match(/HTTP\/1\.1 201/g)).toHaveLength(1)
  for (let i = 0; i < 50; i++) {
    const socket = connect(port, '127.0.0.1', () => {
      socket.write(upgradeRequest('/here', 'h2c'))
      if (i % 2 === 0) socket.resetAndDestroy()
      else socket.destroy()
    })
    socket.on('error', () => undefined)
    await new Promise((resolve) => socket.on('close', resolve))
  }
  expect(await say(upgradeRequest('/here', 'h2c'))).toMatch(/^HTTP\/1\.1 201 /)
})

it('still does so while the relay is closing, and refuses WebSockets then', async () => {
  await rooms.close()
  expect(await say(upgradeRequest('/here', 'h2c'))).toMatch(/^HTTP\/1\.1 201 /)
  expect(await say(upgradeRequest('/relay', 'websocket'))).toMatch(/^HTTP\/1\.1 503 /)
})

it('answers many at a time, beside others', async () => {
  const ask = (headers: Record<string, string>) =>
    new Promise<number | undefined>((resolve, reject) => {
      const asked = request({ port, path: '/here', headers }, (response) => {
        response.resume()
        resolve(response.statusCode)
      })
      asked.on('error', reject)
      asked.end()
    })
  const asked = Array.from({ length: 60 }, (_, i) =>
    ask(i % 3 === 0 ? {} : { connection: 'upgrade', upgrade: 'h2c' }),
  )
  expect(new Set(await Promise.all(asked))).toEqual(new Set([201]))
})
