import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { serveTasks } from '../child.js'

// What Node itself can do: reads the request, and answers with bytes that a system once answered with.

interface Recorded {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

let answer: Recorded = { status: 200, headers: {}, body: '' }

const server = createServer((req, res) => {
  req.on('end', () => {
    res.writeHead(answer.status, answer.headers)
    res.end(answer.body)
  })
  req.resume()
})

serveTasks({
  async listen() {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  },
  answer(recorded: Recorded) {
    answer = recorded
    return Promise.resolve()
  },
})
