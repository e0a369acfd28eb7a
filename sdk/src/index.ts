import { portableSuite } from '@vertex/mpc'
import { fetchExchange } from './exchange.js'
import type { WebSocketConstructor } from './relay.js'
import { VertexBase, type VertexOptions } from './vertex.js'

export * from './exports.js'

/** A client of one Vertex, and the other party of its keys: for browsers, and anything else with a WebSocket. */
export class Vertex extends VertexBase {
  constructor(options: VertexOptions) {
    super(options, {
      suite: portableSuite,
      exchange: fetchExchange((input, init) => fetch(input, init)),
      WebSocket: (globalThis as { WebSocket?: WebSocketConstructor }).WebSocket,
    })
  }
}
