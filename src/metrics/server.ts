import http from 'node:http'
import type { Metrics } from './metrics.js'

/** Where the metrics are asked for, apart from everything else: no route of the API answers here, and none there. */
export function metricsServer(metrics: Pick<Metrics, 'text' | 'contentType'>): http.Server {
  const server = http.createServer(
    { requestTimeout: 10_000, headersTimeout: 5_000 },
    (req, res) => {
      res.setHeader('Cache-Control', 'no-store')
      if (req.url !== '/metrics') {
        res.writeHead(404).end()
        return
      }
      if (req.method !== 'GET') {
        res.writeHead(405, { Allow: 'GET' }).end()
        return
      }
      metrics.text().then(
        (text) => res.writeHead(200, { 'Content-Type': metrics.contentType }).end(text),
        () => res.writeHead(500).end(),
      )
    },
  )
  server.maxConnections = 64
  return server
}
