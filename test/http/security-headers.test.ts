import express from 'express'
import helmet from 'helmet'
import { expect, it } from 'vitest'
import { closeServer, createServer, listen } from '../../src/http/server.js'
import { securityHeaders } from '../../src/http/security-headers.js'

it('the headers set once are those that helmet sets for a request', async () => {
  const app = express()
  app.disable('x-powered-by')
  app.use(
    helmet({
      contentSecurityPolicy: {
        useDefaults: false,
        directives: { 'default-src': ["'none'"], 'frame-ancestors': ["'none'"] },
      },
      strictTransportSecurity: false,
    }),
  )
  app.use((_, res) => void res.end())
  const server = createServer(app)
  const port = await listen(server, '127.0.0.1', 0)
  const { headers } = await fetch(`http://127.0.0.1:${port}/`)
  await closeServer(server, 100)
  const ofTheConnection = new Set(['connection', 'content-length', 'date', 'keep-alive'])
  const byHelmet = [...headers].filter(([name]) => !ofTheConnection.has(name))
  const once = securityHeaders().map(([name, value]) => [name.toLowerCase(), value])
  expect(once.sort()).toEqual(byHelmet.sort())
  expect(once).toContainEqual(['x-content-type-options', 'nosniff'])
})
