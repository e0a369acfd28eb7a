import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, it } from 'vitest'
import { Rooms } from '../../src/relay/index.js'
import { RawClient, startRelay } from './support.js'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** Bytes in use after everything unreachable is gone. */
function held(): number {
  for (let i = 0; i < 3; i++) collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

it('an open room holds a few kilobytes besides its messages, joined or not', async () => {
  const count = 10_000
  const rooms = new Rooms({ rooms: count })
  const before = held()
  const names = Array.from({ length: count }, () => rooms.create(2).roomUuid)
  expect((held() - before) / count).toBeLessThan(4 * 1024)
  const links = names.flatMap((name) =>
    [1, 2].map((party) => rooms.join(name, new Uint8Array(33).fill(party), 60_000)),
  )
  expect((held() - before) / count).toBeLessThan(16 * 1024)
  expect(links).toHaveLength(2 * count)
  await rooms.close()
  expect(rooms.usage).toMatchObject({ rooms: 0, bufferedBytes: 0 })
})

it('an idle WebSocket is cheap, both its ends together', async () => {
  const relay = await startRelay()
  const { roomUuid } = relay.rooms.create(2)
  const warm = await RawClient.connect(relay.address)
  warm.join(1, roomUuid)
  await warm.next()
  const count = 200
  const before = held()
  const clients: RawClient[] = []
  for (let i = 0; i < count; i++) clients.push(await RawClient.connect(relay.address))
  expect((held() - before) / count).toBeLessThan(96 * 1024)
  for (const { ws } of [warm, ...clients]) ws.terminate()
  await relay.close()
})
