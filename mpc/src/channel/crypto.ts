import { wipe } from '../bytes.js'

/** An X25519 secret, read once for all that is agreed with it. */
export interface SecretKey {
  /** @throws Error for an all-zero result (RFC 7748, section 6.1), and after `forget` */
  readonly agree: (peer: Uint8Array) => Uint8Array
  /** Destroys the secret, as far as the platform lets us. Idempotent. */
  readonly forget: () => void
}

/** An X25519 key pair of one handshake. */
export interface EphemeralKey extends SecretKey {
  readonly publicKey: Uint8Array
}

/**
 * The primitives of the Noise channel, injected: noble's in browsers, node:crypto's in Node
 * (`@vertex/mpc/native`). One set of vectors holds for both.
 */
export interface ChannelCrypto {
  readonly name: string
  /** Public key of a 32-byte X25519 secret. */
  x25519Public(secret: Uint8Array): Uint8Array
  /** Reads a 32-byte secret; the array is not looked at again. */
  secretKey(secret: Uint8Array): SecretKey
  /** A fresh key pair. In Node its secret stays inside OpenSSL and never becomes bytes or text of ours. */
  ephemeral(): EphemeralKey
  sha256(message: Uint8Array): Uint8Array
  /** Noise's HKDF with two outputs (section 4.3), over HMAC-SHA-256: of a 32-byte key and up to 32 bytes. */
  hkdf(key: Uint8Array, input: Uint8Array): readonly [Uint8Array, Uint8Array]
  /** ChaCha20-Poly1305 (RFC 8439) of a plaintext in one or more pieces: ciphertext followed by the 16-byte tag. */
  encrypt(
    key: Uint8Array,
    nonce: Uint8Array,
    ad: Uint8Array,
    ...plaintext: readonly Uint8Array[]
  ): Uint8Array
  /** @throws Error when the tag is wrong */
  decrypt(key: Uint8Array, nonce: Uint8Array, ad: Uint8Array, ciphertext: Uint8Array): Uint8Array
}

/** The key pair of given secret bytes, which are wiped. */
export function ephemeralOf(
  crypto: Pick<ChannelCrypto, 'secretKey' | 'x25519Public'>,
  secret: Uint8Array,
): EphemeralKey {
  const pair = { publicKey: crypto.x25519Public(secret), ...crypto.secretKey(secret) }
  wipe(secret)
  return pair
}
