import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect, it } from 'vitest'
import { joinRemote } from '../../src/relay/index.js'
import { openRoom, startVertex, type TestVertex } from './vertex.js'

let vertex: TestVertex
afterEach(() => vertex.stop())

it('lets outside parties finish what they do in a room before it stops', async () => {
  vertex = await startVertex()
  const { key } = await vertex.user()
  const room = await openRoom({ vertex, key })
  const join = (label: number) =>
    joinRemote(`127.0.0.1:${vertex.port}`, room, Uint8Array.of(label), 5000)
  const [a, b] = await Promise.all([join(1), join(2)])
  for (const link of [a, b]) expect((await link.receive()).type).toBe('peer')
  let stopped = false
  const stopping = vertex.stop().then(() => (stopped = true))
  await sleep(200)
  a.send(b.slot, Uint8Array.of(7))
  const event = await b.receive()
  expect(event.type === 'message' && [...event.bytes]).toEqual([7])
  expect(stopped).toBe(false)
  a.leave()
  b.leave()
  const began = performance.now()
  await stopping
  expect(performance.now() - began).toBeLessThan(2000)
})

it('stops at once when nobody is there who could use an open room', async () => {
  vertex = await startVertex()
  const { key } = await vertex.user()
  await openRoom({ vertex, key })
  const began = performance.now()
  await vertex.stop()
  expect(performance.now() - began).toBeLessThan(1000)
})
