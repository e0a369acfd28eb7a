import { createServer, get, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { WebSocket } from 'ws'
import {
  decodeRelayFrame,
  encodeClientFrame,
  parseRoomUuid,
  type ClientFrame,
  type RelayFrame,
} from '@vertex/mpc'
import { Rooms, type RelayLimits } from '../../src/relay/index.js'

export interface Relay {
  readonly rooms: Rooms
  readonly server: Server
  readonly address: string
  close(): Promise<void>
}

/** A real relay on a free port. */
export async function startRelay(limits: Partial<RelayLimits> = {}): Promise<Relay> {
  const rooms = new Rooms(limits)
  const server = createServer((_request, response) => {
    response.end('http')
  })
  rooms.attach(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    rooms,
    server,
    address: `127.0.0.1:${port}`,
    close: async () => {
      await rooms.close()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** A WebSocket that speaks the relay's frames, or anything else. */
export class RawClient {
  readonly frames: RelayFrame[] = []
  readonly closed: Promise<{ code: number; reason: string }>
  #wake: (() => void) | undefined

  private constructor(readonly ws: WebSocket) {
    ws.on('message', (data) => {
      this.frames.push(decodeRelayFrame(data as Buffer))
      this.#wake?.()
    })
    ws.on('error', () => undefined)
    this.closed = new Promise((resolve) => {
      ws.on('close', (code, reason) => {
        resolve({ code, reason: reason.toString() })
      })
    })
  }

  /** @param from the address to come from, one of this machine's */
  static async connect(address: string, from = '127.0.0.1'): Promise<RawClient> {
    const client = new RawClient(new WebSocket(`ws://${address}/relay`, { localAddress: from }))
    await new Promise((resolve, reject) => {
      client.ws.once('open', resolve)
      client.ws.once('error', reject)
    })
    return client
  }

  say(frame: ClientFrame): void {
    this.ws.send(encodeClientFrame(frame))
  }

  join(channel: number, roomUuid: string, label: Uint8Array = Uint8Array.of(channel)): void {
    this.say({ type: 'join', channel, room: parseRoomUuid(roomUuid), label })
  }

  /** The next frame nobody has taken yet. */
  async next(): Promise<RelayFrame> {
    while (this.frames.length === 0)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    return this.frames.shift()!
  }
}

/** A request with an offer to change the protocol, as bytes. */
export function upgradeRequest(path: string, to: string, more = ''): string {
  return [
    `GET ${path} HTTP/1.1`,
    'Host: relay',
    'Connection: Upgrade',
    `Upgrade: ${to}`,
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==',
    `${more}\r\n`,
  ].join('\r\n')
}

/** Asks for a WebSocket and is refused. */
export function askFor(
  address: string,
  path: string,
): Promise<{ status: number | undefined; type: string | undefined; body: unknown }> {
  return new Promise((resolve, reject) => {
    const headers = { connection: 'upgrade', upgrade: 'websocket' }
    const asked = get(`http://${address}`, { path, headers }, (response) => {
      const { statusCode: status, headers } = response
      text(response).then((body) => {
        resolve({ status, type: headers['content-type'], body: JSON.parse(body) as unknown })
      }, reject)
    })
    asked.on('error', reject)
  })
}

/** Waits until something is true, at most two seconds. */
export async function until(condition: () => boolean): Promise<void> {
  const end = Date.now() + 2000
  while (!condition()) {
    if (Date.now() > end) throw new Error('it did not come true')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
