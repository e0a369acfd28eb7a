import { once } from 'node:events'
import { parseRoomUuid, RelayConnection, type FrameSocket } from '@vertex/mpc'
import { MemoryShareStore, Vertex } from '@vertex/sdk'
import { WebSocket } from 'ws'
import { rssOf } from './proc.js'
import type { Samples } from './samples.js'
import { startVertex, withFolder, type BenchVertex } from './vertex.js'

// Below what the relay lets a user open, and a WebSocket join.
const ROOMS_PER_USER = 900
const USERS = 4
const ROOMS_PER_SOCKET = 200

/** What an open room costs the server that nobody has said anything in yet: one party has joined, and waits. */
export async function measureRooms(
  samples: Samples,
  progress: (what: string) => void,
): Promise<void> {
  progress('memory of open rooms')
  await withFolder(async (folder) => {
    const vertex = await startVertex(folder, { VERTEX_ROOM_LIFETIME: '300' })
    const connections: RelayConnection[] = []
    try {
      await openRooms(vertex, 'warm-up', ROOMS_PER_SOCKET, connections)
      const before = rssOf(vertex.pid)
      for (let user = 0; user < USERS; user++)
        await openRooms(vertex, `user-${user}`, ROOMS_PER_USER, connections)
      samples.add('open_room_bytes', (rssOf(vertex.pid) - before) / (USERS * ROOMS_PER_USER))
    } finally {
      for (const connection of connections) connection.close()
      await vertex.stop()
    }
  })
}

async function openRooms(
  server: BenchVertex,
  user: string,
  count: number,
  connections: RelayConnection[],
): Promise<void> {
  const { apiKey } = await server.createUser(user)
  const vertex = new Vertex({
    url: server.url,
    apiKey,
    store: new MemoryShareStore(),
    allowHttpOnLoopback: true,
  })
  const label = new Uint8Array(33)
  for (let opened = 0; opened < count; opened++) {
    if (opened % ROOMS_PER_SOCKET === 0) connections.push(await connect(server.url))
    const { room_uuid: room } = await vertex.rest.createRoom({ room_size: 2 })
    await connections.at(-1)!.join(parseRoomUuid(room), label)
  }
}

async function connect(url: string): Promise<RelayConnection> {
  const socket = new WebSocket(`${url.replace(/^http/, 'ws')}/relay`, { perMessageDeflate: false })
  await once(socket, 'open')
  const frames: FrameSocket = {
    send: (frame) => socket.send(frame),
    close: () => socket.close(),
    onFrame: (handler) => socket.on('message', (data: Buffer) => handler(data)),
    onClose: (handler) => socket.on('close', handler),
  }
  return new RelayConnection(frames)
}
