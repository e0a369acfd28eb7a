import { Agent, get, IncomingMessage, ServerResponse } from 'node:http'
import { connect } from 'node:net'
import express from 'express'
import { expect, it } from 'vitest'
import { closeServer, createServer, listen } from '../../src/http/server.js'

it('hands Express messages that it need not change, and that are still whole', async () => {
  const app = express()
  const router = express.Router()
  router.get('/:id', (req, res) => {
    const found = [
      Object.getPrototypeOf(req) === app.request,
      Object.getPrototypeOf(res) === app.response,
      req instanceof IncomingMessage,
      res instanceof ServerResponse,
      req.app === app,
      req.res === res && res.req === req,
      req.accepts('json') === 'json',
      req.get('x-a') === 'b',
      req.ip === '127.0.0.1',
      req.params.id === '7',
    ]
    res.status(201).location('/there').json(found)
  })
  app.use('/r', router)
  const server = createServer(app)
  const port = await listen(server, '127.0.0.1', 0)
  const response = await fetch(`http://127.0.0.1:${port}/r/7`, { headers: { 'X-A': 'b' } })
  expect([response.status, response.headers.get('location')]).toEqual([201, '/there'])
  expect(await response.json()).toEqual(Array(10).fill(true))
  await closeServer(server, 100)
})

it('closes as soon as the last answer is out, whatever connections are kept alive', async () => {
  const app = express()
  app.get('/slow', (_, res) => void setTimeout(() => res.json({}), 300))
  const server = createServer(app)
  const port = await listen(server, '127.0.0.1', 0)
  const agent = new Agent({ keepAlive: true })
  const ask = () =>
    new Promise<number | undefined>((resolve, reject) => {
      get({ port, path: '/slow', agent }, (response) => {
        response.resume()
        response.on('end', () => resolve(response.statusCode))
      }).on('error', reject)
    })
  await ask()
  const last = ask()
  await new Promise((resolve) => setTimeout(resolve, 50))
  const began = performance.now()
  await closeServer(server, 20_000)
  expect(await last).toBe(200)
  expect(performance.now() - began).toBeLessThan(3000)
  agent.destroy()
})

it('cuts off what does not end in time', async () => {
  const app = express()
  app.get('/never', () => undefined)
  const server = createServer(app)
  const port = await listen(server, '127.0.0.1', 0)
  const never = fetch(`http://127.0.0.1:${port}/never`)
  const failed = expect(never).rejects.toThrow()
  await new Promise((resolve) => setTimeout(resolve, 50))
  await closeServer(server, 100)
  await failed
})

it('tells a sender that is too slow in the form of every other answer', async () => {
  const server = createServer(express())
  server.headersTimeout = 40
  server.requestTimeout = 50
  const port = await listen(server, '127.0.0.1', 0)
  const socket = connect(port, '127.0.0.1')
  socket.write('GET /livez HTTP/1.1\r\nHost:')
  let text = ''
  for await (const chunk of socket as AsyncIterable<Buffer>) text += chunk.toString()
  expect(text).toMatch(/^HTTP\/1\.1 400 [^]*too slow[^]*"err_type":"bad_request_params"/)
  await closeServer(server, 100)
})
