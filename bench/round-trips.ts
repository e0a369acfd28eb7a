import { MemoryShareStore, Vertex, type SignRequest } from '@vertex/sdk'
import { WebSocket, type ClientOptions, type RawData } from 'ws'
import type { Connection } from './client-process.js'

/** What one signature made a client send and wait for. */
export interface Crossing {
  /** How often the client had sent something and then had to wait for an answer, whichever way it came. */
  readonly roundTrips: number
  readonly httpRequests: number
  readonly relayMessages: number
  /** On the relay's WebSocket, both directions: protocol messages, handshake, framing. */
  readonly relayBytes: number
}

export interface Crossings {
  /** The first signature of a new client, which has no connection and no rooms yet. */
  readonly cold: Crossing
  readonly warm: readonly Crossing[]
}

/**
 * Notes every departure and arrival at a client. A departure followed by an arrival is one round trip, however many
 * more of each come before the next departure: things that are on their way together cost the time of one.
 */
class Wire {
  #waiting = false
  #roundTrips = 0
  #httpRequests = 0
  #relayMessages = 0
  #relayBytes = 0

  departs(): void {
    this.#waiting = true
  }

  arrives(): void {
    if (this.#waiting) this.#roundTrips++
    this.#waiting = false
  }

  request(): void {
    this.#httpRequests++
    this.departs()
  }

  relayed(bytes: number): void {
    this.#relayMessages++
    this.#relayBytes += bytes
  }

  /** What was noted since the last call. */
  take(): Crossing {
    const crossing = {
      roundTrips: this.#roundTrips,
      httpRequests: this.#httpRequests,
      relayMessages: this.#relayMessages,
      relayBytes: this.#relayBytes,
    }
    this.#waiting = false
    this.#roundTrips = this.#httpRequests = this.#relayMessages = this.#relayBytes = 0
    return crossing
  }
}

const lengthOf = (data: unknown): number =>
  data instanceof ArrayBuffer || ArrayBuffer.isView(data)
    ? data.byteLength
    : Buffer.byteLength(String(data))

/** Signs with a client whose fetch and WebSocket are counted: cold from a new client of the same key, then warm. */
export async function countRoundTrips(
  { url, apiKey, signatures }: Connection & { signatures: number },
  request: SignRequest,
): Promise<Crossings> {
  const store = new MemoryShareStore()
  const wire = new Wire()
  class CountedWebSocket extends WebSocket {
    constructor(address: string) {
      const options: ClientOptions = { perMessageDeflate: false, followRedirects: false }
      super(address, options)
      wire.departs()
      this.once('open', () => wire.arrives())
      this.on('message', (data: RawData) => {
        wire.relayed(lengthOf(data))
        wire.arrives()
      })
    }

    override send(data: Parameters<WebSocket['send']>[0], ...rest: unknown[]): void {
      wire.relayed(lengthOf(data))
      wire.departs()
      super.send(data, ...(rest as []))
    }
  }
  const client = () =>
    new Vertex({
      url,
      apiKey,
      store,
      allowHttpOnLoopback: true,
      WebSocket: CountedWebSocket,
      fetch: async (input, init) => {
        wire.request()
        const answer = await fetch(input, init)
        wire.arrives()
        return answer
      },
    })

  const maker = client()
  const { id } = await maker.ecdsa.createKey()
  await maker.close()

  const vertex = client()
  const key = await vertex.ecdsa.openKey(id)
  wire.take()
  await key.sign(request)
  const cold = wire.take()
  const warm: Crossing[] = []
  for (let i = 0; i < signatures; i++) {
    await key.sign(request)
    warm.push(wire.take())
  }
  await vertex.close()
  return { cold, warm }
}
