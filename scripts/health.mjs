// The health check of the image, which has no shell: exit 0 when the server in this container says that it lives.
import { request as http } from 'node:http'
import { request as https } from 'node:https'

const { PORT: port = '8080', VERTEX_TLS_CERT_FILE: certificate } = process.env
const options = { host: '127.0.0.1', port, path: '/livez', timeout: 4000 }
const ask =
  certificate === undefined
    ? http(options)
    : // The certificate is for the name that clients use. It is this container's own server that is asked.
      https({ ...options, rejectUnauthorized: false })

ask.on('response', (answer) => process.exit(answer.statusCode === 200 ? 0 : 1))
ask.on('timeout', () => process.exit(1))
ask.on('error', () => process.exit(1))
ask.end()
