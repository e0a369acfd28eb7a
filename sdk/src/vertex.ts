import type { Suite } from '@vertex/mpc'
import type { Context, Recovery } from './context.js'
import { Directory } from './directory.js'
import { Ecdsa, type VertexAccess } from './ecdsa.js'
import { RequestError } from './errors.js'
import { Events, type Listener, type VertexEvents } from './events.js'
import { fetchExchange, type Exchange, type Fetch } from './exchange.js'
import type { KeepAlive, WebSocketConstructor } from './relay.js'
import type { Rest } from './rest/client.js'
import type { ShareStore } from './store/share-store.js'
import { VertexClient } from './vertex-client.js'

export interface VertexOptions {
  /** Where the Vertex is: https, or plain http on this machine with `allowHttpOnLoopback`. */
  readonly url: string
  /** A user's API key. */
  readonly apiKey: string
  /** Where this party's shares are kept. */
  readonly store: ShareStore
  /** Allows `http://` and `ws://` to localhost, 127.0.0.0/8 and [::1]; for trying things out. */
  readonly allowHttpOnLoopback?: boolean
  /** Milliseconds for each call with everything it does; 30 000 if absent. */
  readonly deadlineMs?: number
  /** What happens when the Vertex has lost its share; `automatic` if absent. */
  readonly recovery?: Recovery
  readonly fetch?: Fetch
  readonly WebSocket?: WebSocketConstructor
  /** Where the curve work is done. */
  readonly suite?: Suite
}

/** What the two entry points supply where the app does not. */
export interface Platform {
  readonly suite: () => Suite
  readonly exchange: Exchange
  readonly WebSocket: WebSocketConstructor | undefined
  readonly keepAlive?: KeepAlive
}

const DEADLINE_MS = 30_000

/** A client of one Vertex, and the other party of its keys. */
export class VertexBase {
  readonly ecdsa: Ecdsa
  /** Who parties are, as the directory of this Vertex shows it. */
  readonly directory: Directory
  /** The REST API as it is on the wire; see {@link Rest}. */
  readonly rest: Rest
  readonly #main: VertexClient
  readonly #events = new Events()
  readonly #clients: VertexClient[] = []

  /** @throws RequestError for options that cannot work */
  constructor(options: VertexOptions, platform: Platform) {
    const WebSocket = options.WebSocket ?? platform.WebSocket
    if (WebSocket === undefined)
      throw new RequestError('bad_argument', 'there is no WebSocket here: give one as an option')
    const deadlineMs = options.deadlineMs ?? DEADLINE_MS
    if (!Number.isFinite(deadlineMs) || deadlineMs <= 0)
      throw new RequestError('bad_argument', 'deadlineMs is a positive number of milliseconds')
    const clientOf = (access: VertexAccess) => {
      const endpoint = {
        ...access,
        exchange: options.fetch === undefined ? platform.exchange : fetchExchange(options.fetch),
        allowHttpOnLoopback: options.allowHttpOnLoopback ?? false,
      }
      const client = new VertexClient(endpoint, WebSocket, platform.keepAlive)
      this.#clients.push(client)
      return client
    }
    this.#main = clientOf({ url: options.url, apiKey: options.apiKey })
    const context: Context = {
      suite: options.suite ?? platform.suite(),
      store: options.store,
      events: this.#events,
      recovery: options.recovery ?? 'automatic',
      deadlineMs,
      main: this.#main,
    }
    this.ecdsa = new Ecdsa(context, clientOf)
    this.directory = new Directory(this.#main.http, deadlineMs)
    this.rest = this.#main.rest
  }

  /** The Vertex's address. */
  get url(): string {
    return this.#main.url
  }

  /** Listens to an event; the returned function stops listening. */
  on<Name extends keyof VertexEvents>(
    name: Name,
    listener: Listener<VertexEvents[Name]>,
  ): () => void {
    return this.#events.on(name, listener)
  }

  /** Closes the connection to the relay. An idle one closes by itself and never keeps a process alive. */
  async close(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close()))
  }

  toJSON() {
    return { url: this.url }
  }
}
