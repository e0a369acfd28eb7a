import { nativeSuite } from '@vertex/mpc/native'
import { WebSocket } from 'ws'
import { httpExchange } from './node/http-exchange.js'
import type { WebSocketLike } from './relay.js'
import { VertexBase, type VertexOptions } from './vertex.js'

export * from './exports.js'

/** A client of one Vertex, and the other party of its keys: for Node, with libsecp256k1 where it can be loaded. */
export class Vertex extends VertexBase {
  constructor(options: VertexOptions) {
    super(options, {
      suite: nativeSuite,
      exchange: httpExchange,
      WebSocket: RelayWebSocket,
      keepAlive,
    })
  }
}

/** As a browser's: no redirects, and no compression, which would only cost time on sealed bytes. */
class RelayWebSocket extends WebSocket {
  constructor(url: string) {
    super(url, { perMessageDeflate: false, followRedirects: false, maxPayload: 1024 * 1024 })
  }
}

/** An idle connection must not keep a process from ending. */
function keepAlive(socket: WebSocketLike, alive: boolean): void {
  const { _socket: tcp } = socket as { _socket?: { ref(): void; unref(): void } }
  if (alive) tcp?.ref()
  else tcp?.unref()
}
