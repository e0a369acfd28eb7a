import { Answers } from './answers.js'
import { Http, type Endpoint } from './http.js'
import { Relay, type KeepAlive, type WebSocketConstructor } from './relay.js'
import { RoomPool } from './room-pool.js'
import { restOver, type Rest } from './rest/client.js'

/** One Vertex as the SDK talks to it: HTTP, and the relay's WebSocket. */
export class VertexClient {
  readonly http: Http
  readonly answers: Answers
  readonly relay: Relay
  readonly rest: Rest
  readonly rooms: RoomPool

  constructor(
    endpoint: Endpoint,
    WebSocket: WebSocketConstructor,
    keepAlive: KeepAlive | undefined,
  ) {
    this.http = new Http(endpoint)
    this.answers = new Answers(this.http)
    this.relay = new Relay(this.http.relayUrl, WebSocket, keepAlive)
    this.rest = restOver(this.http)
    this.rooms = new RoomPool(this.answers)
  }

  async close(): Promise<void> {
    this.rooms.close()
    await this.relay.close()
  }

  get url(): string {
    return this.http.url
  }
}
