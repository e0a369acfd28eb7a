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
  sha256(message: Uint8Array): Uint8Array
  hmacSha256(key: Uint8Array, message: Uint8Array): Uint8Array
  /** ChaCha20-Poly1305 (RFC 8439): ciphertext followed by the 16-byte tag. */
  encrypt(key: Uint8Array, nonce: Uint8Array, ad: Uint8Array, plaintext: Uint8Array): Uint8Array
  /** @throws Error when the tag is wrong */
  decrypt(key: Uint8Array, nonce: Uint8Array, ad: Uint8Array, ciphertext: Uint8Array): Uint8Array
}
