import { STATUS_CODES, type IncomingMessage, type Server } from 'node:http'
import type { Server as SecureServer } from 'node:https'
import type { Duplex } from 'node:stream'
import { MAX_FRAME_BYTES } from '@vertex/mpc'
import { WebSocketServer } from 'ws'
import { networkOf } from '../network.js'
import { ignoreUpgrade } from './ignore-upgrade.js'
import type { RelayLimits } from './limits.js'
import type { Entrance } from './entrance.js'
import { SocketParty } from './socket-party.js'

/** Where the relay answers. */
export const RELAY_PATH = '/relay'

const GOING_AWAY = 1001
/** A message may be so much too long and is still answered instead of cut off. */
const TOO_LONG_BYTES = 1024
/** Into so many pieces a message may come apart. Each costs memory of its own; honest ones are of a kilobyte or more. */
const MAX_PIECES = 4096

/** The WebSocket entrance of the rooms, on a server that somebody else listens with. */
export class Gate {
  readonly #server: WebSocketServer
  readonly #parties = new Set<SocketParty>()
  /** Those that have been in no room yet, oldest first, and where they come from. */
  readonly #strangers = new Map<SocketParty, string>()
  readonly #pings: NodeJS.Timeout
  #unreadBytes = 0
  #closing = false

  constructor(
    private readonly http: Server | SecureServer,
    private readonly rooms: Entrance,
    private readonly limits: RelayLimits,
  ) {
    this.#server = new WebSocketServer({
      noServer: true,
      perMessageDeflate: false,
      clientTracking: false,
      maxPayload: MAX_FRAME_BYTES + TOO_LONG_BYTES,
      maxFragments: MAX_PIECES,
      maxBufferedChunks: MAX_PIECES,
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

  /** Bytes that wait for all WebSockets together to be read. */
  get unreadBytes(): number {
    return this.#unreadBytes
  }

  async close(): Promise<void> {
    clearInterval(this.#pings)
    this.#closing = true
    await Promise.all([...this.#parties].map((party) => party.close(GOING_AWAY, 'closing')))
  }

  readonly #upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    if (request.headers.upgrade?.toLowerCase() !== 'websocket')
      ignoreUpgrade(this.http, request, socket, head)
    else if (request.url?.split('?')[0] !== RELAY_PATH)
      refuse(socket, 404, 'not_found', 'there is no WebSocket here')
    else if (this.#closing) refuse(socket, 503, 'too_busy', 'the relay is closing')
    else if (this.#parties.size >= this.limits.sockets && this.#strangers.size === 0)
      refuse(socket, 503, 'too_busy', 'too many WebSockets are open')
    else
      this.#server.handleUpgrade(request, socket, head, (ws) => {
        this.#makePlace()
        let heard = 0
        // However the bytes are put into frames. The WebSocket listens already: it has read a JOIN out of them by now.
        const listen = (bytes: Uint8Array) => {
          heard += bytes.length
          if (heard > this.limits.strangerBytes && this.#strangers.has(party)) party.cutOff()
        }
        socket.on('data', listen)
        const party = new SocketParty(ws, this.rooms, this.limits, {
          onFirstRoom: () => {
            socket.off('data', listen)
            this.#strangers.delete(party)
          },
          onUnread: (bytes) => {
            this.#unreadBytes += bytes
            if (this.#unreadBytes > this.limits.socketsBufferBytes) this.#slowest()?.cutOff()
          },
          onGone: () => {
            this.#forget(party)
          },
        })
        this.#parties.add(party)
        this.#strangers.set(party, networkOf(request.socket.remoteAddress ?? ''))
      })
  }

  /** Pushes a stranger out for a newcomer where there is no place left: who knows a room joins it at once. */
  #makePlace(): void {
    const { sockets, strangers } = this.limits
    if (this.#parties.size < sockets && this.#strangers.size < strangers) return
    const oldest = this.#oldestStranger()
    if (oldest === undefined) return
    this.#forget(oldest)
    oldest.cutOff()
  }

  /** The oldest from the address or network that most come from, so that a flood from one pushes out itself. */
  #oldestStranger(): SocketParty | undefined {
    const from = new Map<string, SocketParty[]>()
    for (const [party, address] of this.#strangers) {
      const those = from.get(address)
      if (those === undefined) from.set(address, [party])
      else those.push(party)
    }
    let most: SocketParty[] = []
    for (const those of from.values()) if (those.length > most.length) most = those
    return most[0]
  }

  /** The one that most waits for. */
  #slowest(): SocketParty | undefined {
    let slowest: SocketParty | undefined
    for (const party of this.#parties)
      if (party.unreadBytes > (slowest?.unreadBytes ?? 0)) slowest = party
    return slowest
  }

  #forget(party: SocketParty): void {
    this.#parties.delete(party)
    this.#strangers.delete(party)
  }
}

/** Answers an upgrade in the form of every error of the service. */
function refuse(socket: Duplex, status: 404 | 503, errType: string, message: string): void {
  const body = JSON.stringify({ err_msg: message, err_type: errType })
  socket.on('error', () => undefined) // it may be gone already, and nobody is left to be told
  socket.end(
    [
      `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
      'Connection: close',
      'Content-Type: application/json; charset=utf-8',
      `Content-Length: ${body.length}`,
      ...(status === 503 ? ['Retry-After: 1'] : []),
      '',
      body,
    ].join('\r\n'),
    () => socket.destroy(),
  )
}
