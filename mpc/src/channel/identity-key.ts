import { bytesToHex, wipe } from '../bytes.js'
import type { ChannelCrypto, SecretKey } from './crypto.js'

/**
 * The secret of an identity, read once for as many handshakes as its owner keeps it for: a client as long as its key is
 * in memory, a Vertex for one run. docs/spec/channel.md
 */
export class IdentityKey {
  readonly #key: SecretKey
  /** DH(own static, other static) by the other's public key: the same in every handshake of the two. */
  readonly #agreed = new Map<string, Uint8Array>()

  /** @param secret 32 bytes, not looked at again */
  constructor(crypto: ChannelCrypto, secret: Uint8Array) {
    this.#key = crypto.secretKey(secret)
  }

  /** With a key of one handshake. @throws Error for an all-zero result */
  agree(ephemeral: Uint8Array): Uint8Array {
    return this.#key.agree(ephemeral)
  }

  /** With another identity's key. The caller wipes what it is given. @throws Error for an all-zero result */
  agreeStatic(peer: Uint8Array): Uint8Array {
    const name = bytesToHex(peer)
    let agreed = this.#agreed.get(name)
    if (agreed === undefined) this.#agreed.set(name, (agreed = this.#key.agree(peer)))
    return agreed.slice()
  }

  /** Destroys the secret and what was agreed with it. Idempotent. */
  forget(): void {
    this.#key.forget()
    wipe(...this.#agreed.values())
    this.#agreed.clear()
  }

  toJSON(): string {
    return '[secret]'
  }
}
