import { wipe } from '../bytes.js'

/** An X25519 key pair of one handshake. */
export interface EphemeralKey {
  readonly publicKey: Uint8Array
  /** @throws Error for an all-zero result (RFC 7748, section 6.1) */
  readonly agree: (peer: Uint8Array) => Uint8Array
  /** Destroys the secret, as far as the platform lets us. Idempotent; `agree` must not be called after it. */
  readonly forget: () => void
}

/**
 * The primitives of the Noise channel, injected: noble's in browsers, node:crypto's in Node
 * (`@vertex/mpc/native`). One set of vectors holds for both.
 */
export interface ChannelCrypto {
  readonly name: string
  /** Public key of a 32-byte X25519 secret. */
  x25519Public(secret: Uint8Array): Uint8Array
  /** @throws Error for an all-zero result (RFC 7748, section 6.1) */
  x25519(secret: Uint8Array, publicKey: Uint8Array): Uint8Array
  /** A fresh key pair. In Node its secret stays inside OpenSSL and never becomes bytes or text of ours. */
  ephemeral(): EphemeralKey
  sha256(message: Uint8Array): Uint8Array
  hmacSha256(key: Uint8Array, message: Uint8Array): Uint8Array
  /** ChaCha20-Poly1305 (RFC 8439): ciphertext followed by the 16-byte tag. */
  encrypt(key: Uint8Array, nonce: Uint8Array, ad: Uint8Array, plaintext: Uint8Array): Uint8Array
  /** @throws Error when the tag is wrong */
  decrypt(key: Uint8Array, nonce: Uint8Array, ad: Uint8Array, ciphertext: Uint8Array): Uint8Array
}

/** The key pair of given secret bytes, which it wipes when it is forgotten. */
export function ephemeralOf(
  crypto: Pick<ChannelCrypto, 'x25519' | 'x25519Public'>,
  secret: Uint8Array,
): EphemeralKey {
  return {
    publicKey: crypto.x25519Public(secret),
    agree: (peer) => crypto.x25519(secret, peer),
    forget: () => {
      wipe(secret)
    },
  }
}
