import { wipe } from '../bytes.js'
import type { ChannelCrypto } from './crypto.js'
import { ChannelError } from './channel-error.js'

/** The last counter a direction may use. Noise allows 2^64 − 2; a number counts exactly up to here. */
export const LAST_COUNTER = Number.MAX_SAFE_INTEGER - 1

/**
 * The channel after the handshake: one key and one counter for each direction, so no nonce is ever used twice.
 * Messages must be opened in the order in which they were sealed; a lost, repeated or changed one does not decrypt.
 */
export class Transport {
  readonly #crypto: ChannelCrypto
  readonly #sendKey: Uint8Array
  readonly #receiveKey: Uint8Array
  #sent: number
  #received: number
  #closed = false

  /** The counters are parameters for the tests of their exhaustion. */
  constructor(
    crypto: ChannelCrypto,
    sendKey: Uint8Array,
    receiveKey: Uint8Array,
    counters: { readonly sent: number; readonly received: number } = { sent: 0, received: 0 },
  ) {
    this.#crypto = crypto
    this.#sendKey = sendKey
    this.#receiveKey = receiveKey
    this.#sent = counters.sent
    this.#received = counters.received
  }

  /**
   * Encrypts the next message of this direction, given in one or more pieces.
   * @throws ChannelError when the counter is exhausted
   */
  seal(...plaintext: readonly Uint8Array[]): Uint8Array {
    const counter = this.#usable(this.#sent)
    this.#sent++
    return this.#crypto.encrypt(this.#sendKey, nonce(counter), empty, ...plaintext)
  }

  /**
   * Decrypts the next message of the other direction. One that does not decrypt changes nothing.
   * @throws ChannelError
   */
  open(ciphertext: Uint8Array): Uint8Array {
    const counter = this.#usable(this.#received)
    let plaintext: Uint8Array
    try {
      plaintext = this.#crypto.decrypt(this.#receiveKey, nonce(counter), empty, ciphertext)
    } catch {
      throw new ChannelError('a message that does not decrypt')
    }
    this.#received++
    return plaintext
  }

  /** Destroys the keys. Idempotent. */
  close(): void {
    this.#closed = true
    wipe(this.#sendKey, this.#receiveKey)
  }

  #usable(counter: number): number {
    if (this.#closed) throw new ChannelError('the channel is closed')
    if (counter > LAST_COUNTER) throw new ChannelError('the channel has used up its counter')
    return counter
  }
}

const empty = new Uint8Array(0)

/** Four zero bytes, then the counter, little-endian (Noise, section 12.3). */
export function nonce(counter: number): Uint8Array {
  const bytes = new Uint8Array(12)
  const view = new DataView(bytes.buffer)
  view.setUint32(4, counter % 2 ** 32, true)
  view.setUint32(8, Math.floor(counter / 2 ** 32), true)
  return bytes
}
