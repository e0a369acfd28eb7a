/** Either end of the pipe to a thread. */
export interface Port {
  postMessage(value: unknown, transfer: readonly ArrayBuffer[]): void
}

/**
 * What goes to the other thread: everything that one turn of the event loop brings about crosses together, so that under
 * load a thread is woken once for several runs. Bytes that are handed over change threads instead of being copied.
 */
export class Outbox<Message> {
  #messages: Message[] = []
  #handedOver: ArrayBuffer[] = []

  constructor(private readonly port: Port) {}

  /** @param handedOver bytes in the message that own their buffer; they are gone from this thread afterwards */
  add(message: Message, ...handedOver: Uint8Array<ArrayBuffer>[]): void {
    if (this.#messages.length === 0) setImmediate(() => this.#flush())
    this.#messages.push(message)
    for (const bytes of handedOver) this.#handedOver.push(bytes.buffer)
  }

  #flush(): void {
    const messages = this.#messages
    const handedOver = this.#handedOver
    this.#messages = []
    this.#handedOver = []
    this.port.postMessage(messages, handedOver)
  }
}

/**
 * Bytes that own their buffer, so that they can be handed over: these themselves if they do, else a copy. A message of a
 * WebSocket is a view into a buffer that holds others too.
 */
export function owning(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer, byteLength } = bytes
  const ownsIt = buffer instanceof ArrayBuffer && buffer.byteLength === byteLength
  return ownsIt ? (bytes as Uint8Array<ArrayBuffer>) : Uint8Array.from(bytes)
}

/** As {@link owning}, for secrets: where a copy had to be made, the original is overwritten. */
export function owningSecret(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const owned = owning(bytes)
  if (owned !== bytes) bytes.fill(0)
  return owned
}
