import { chacha20poly1305 } from '@noble/ciphers/chacha.js'
import { x25519 } from '@noble/curves/ed25519.js'
import { hmac } from '@noble/hashes/hmac.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { concatBytes, wipe } from '../bytes.js'
import { systemRng } from '../rng.js'
import { ephemeralOf, type ChannelCrypto } from './crypto.js'

/** The channel's primitives from noble: the reference, and what browsers use. */
export const nobleChannelCrypto: ChannelCrypto = {
  name: 'noble',
  x25519Public: (secret) => x25519.getPublicKey(secret),
  secretKey(secret) {
    const own = Uint8Array.from(secret)
    let forgotten = false
    return {
      agree: (peer) => {
        if (forgotten) throw new Error('this secret has been forgotten')
        return x25519.getSharedSecret(own, peer)
      },
      forget: () => {
        forgotten = true
        wipe(own)
      },
    }
  },
  ephemeral: () => ephemeralOf(nobleChannelCrypto, systemRng(32)),
  sha256: (message) => sha256(message),
  hkdf(key, input) {
    const temp = hmac(sha256, key, input)
    const one = hmac(sha256, temp, Uint8Array.of(1))
    const two = hmac(sha256, temp, concatBytes(one, Uint8Array.of(2)))
    wipe(temp)
    return [one, two]
  },
  encrypt: (key, nonce, ad, ...plaintext) =>
    chacha20poly1305(key, nonce, ad).encrypt(
      plaintext.length === 1 ? plaintext[0]! : concatBytes(...plaintext),
    ),
  decrypt: (key, nonce, ad, ciphertext) => chacha20poly1305(key, nonce, ad).decrypt(ciphertext),
}
