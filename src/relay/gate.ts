import { STATUS_CODES, type IncomingMessage, type Server } from 'node:http'
import type { Server as SecureServer } from 'node:https'
import type { Duplex } from 'node:stream'
import { MAX_FRAME_BYTES } from '@vertex/mpc'
import { WebSocketServer } from 'ws'
import type { RelayLimits } from './limits.js'
import type { Rooms } from './rooms.js'
import { SocketParty } from './socket-party.js'

/** Where the relay answers. */
export const RELAY_PATH = '/relay'

const GOING_AWAY = 1001
/** How long a WebSocket may take to say goodbye. */
const GOODBYE_MS = 1000

/** The WebSocket entrance of the rooms, on a server that somebody else listens with. */
export class Gate {
  readonly #server: WebSocketServer
  readonly #parties = new Set<SocketParty>()
  readonly #pings: NodeJS.Timeout

  constructor(
    private readonly http: Server | SecureServer,
    private readonly rooms: Rooms,
    private readonly limits: RelayLimits,
  ) {
    this.#server = new WebSocketServer({
      noServer: true,
      perMessageDeflate: false,
      clientTracking: false,
      // Twice the longest frame, so that a message a little too long is answered and not just cut off.
      maxPayload: 2 * MAX_FRAME_BYTES,
    })
    http.on('upgrade', this.#upgrade)
    this.#pings = setInterval(() => {
      for (const party of this.#parties) party.ping()
    }, limits.pingMs)
    this.#pings.unref()
  }

  get sockets(): number {
    return this.#parties.size
  }

  async close(): Promise<void> {
    clearInterval(this.#pings)
    this.http.off('upgrade', this.#upgrade)
    this.http.on('upgrade', (_request: IncomingMessage, socket: Duplex) => {
      refuse(socket, 503)
    })
    await Promise.all(
      [...this.#parties].map((party) => party.close(GOING_AWAY, 'closing', GOODBYE_MS)),
    )
  }

  readonly #upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    if (request.url?.split('?')[0] !== RELAY_PATH) {
      refuse(socket, 404)
      return
    }
    if (this.#parties.size >= this.limits.sockets) {
      refuse(socket, 503)
      return
    }
    this.#server.handleUpgrade(request, socket, head, (ws) => {
      const party = new SocketParty(ws, this.rooms, this.limits, () => {
        this.#parties.delete(party)
      })
      this.#parties.add(party)
    })
  }
}

function refuse(socket: Duplex, status: 404 | 503): void {
  socket.on('error', () => undefined) // it may be gone already, and nobody is left to be told
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
    () => socket.destroy(),
  )
}
