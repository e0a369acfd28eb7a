import { chacha20poly1305 } from '@noble/ciphers/chacha.js'
import { x25519 } from '@noble/curves/ed25519.js'
import { hmac } from '@noble/hashes/hmac.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { systemRng } from '../rng.js'
import { ephemeralOf, type ChannelCrypto } from './crypto.js'

/** The channel's primitives from noble: the reference, and what browsers use. */
export const nobleChannelCrypto: ChannelCrypto = {
  name: 'noble',
  x25519Public: (secret) => x25519.getPublicKey(secret),
  x25519: (secret, publicKey) => x25519.getSharedSecret(secret, publicKey),
  ephemeral: () => ephemeralOf(nobleChannelCrypto, systemRng(32)),
  sha256: (message) => sha256(message),
  hmacSha256: (key, message) => hmac(sha256, key, message),
  encrypt: (key, nonce, ad, plaintext) => chacha20poly1305(key, nonce, ad).encrypt(plaintext),
  decrypt: (key, nonce, ad, ciphertext) => chacha20poly1305(key, nonce, ad).decrypt(ciphertext),
}
