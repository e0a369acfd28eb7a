import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto'
import type { ChannelCrypto } from '../src/channel/crypto.js'
import { bufferOf, publicBytes, readPrivateKey } from './x25519-key.js'

const CIPHER = 'chacha20-poly1305'
const TAG_BYTES = 16
const CACHED_PUBLIC_KEYS = 256

// Reading a secret costs as much as using it. Secrets are remembered by the array that holds them and only for as long
// as it lives; the digest tells when the array has been filled with something else meanwhile.
const privateKeys = new WeakMap<Uint8Array, { digest: Buffer; key: KeyObject }>()
const publicKeys = new Map<string, KeyObject>()

function privateKey(secret: Uint8Array): KeyObject {
  if (secret.length !== 32) throw new RangeError('an X25519 secret has 32 bytes')
  const digest = createHash('sha256').update(secret).digest()
  const cached = privateKeys.get(secret)
  if (cached?.digest.equals(digest) === true) return cached.key
  const key = readPrivateKey(secret)
  privateKeys.set(secret, { digest, key })
  return key
}

function publicKey(bytes: Uint8Array): KeyObject {
  if (bytes.length !== 32) throw new RangeError('an X25519 public key has 32 bytes')
  const x = bufferOf(bytes).toString('base64url')
  const cached = publicKeys.get(x)
  if (cached !== undefined) return cached
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'X25519', x }, format: 'jwk' })
  if (publicKeys.size >= CACHED_PUBLIC_KEYS) {
    const oldest = publicKeys.keys().next()
    if (oldest.done !== true) publicKeys.delete(oldest.value)
  }
  publicKeys.set(x, key)
  return key
}

function agree(secret: KeyObject, peer: Uint8Array): Uint8Array {
  const shared = diffieHellman({ privateKey: secret, publicKey: publicKey(peer) })
  if (shared.every((byte) => byte === 0)) throw new Error('a public key of small order')
  return view(shared)
}

/** The channel's primitives from node:crypto. The same bytes as noble's, several times faster. */
export const nodeChannelCrypto: ChannelCrypto = {
  name: 'node',
  x25519Public: (secret) => publicBytes(privateKey(secret)),
  x25519: (secret, peer) => agree(privateKey(secret), peer),
  ephemeral() {
    const pair = generateKeyPairSync('x25519')
    let secret: KeyObject | undefined = pair.privateKey
    return {
      publicKey: publicBytes(pair.publicKey),
      agree: (peer) => {
        if (secret === undefined) throw new Error('this key pair has been forgotten')
        return agree(secret, peer)
      },
      // OpenSSL overwrites it when the last reference is collected.
      forget: () => {
        secret = undefined
      },
    }
  },
  sha256: (message) => view(createHash('sha256').update(message).digest()),
  hmacSha256: (key, message) => view(createHmac('sha256', key).update(message).digest()),
  encrypt(key, nonce, ad, plaintext) {
    const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES })
    if (ad.length > 0) cipher.setAAD(ad, { plaintextLength: plaintext.length })
    const sealed = new Uint8Array(plaintext.length + TAG_BYTES)
    sealed.set(cipher.update(plaintext))
    cipher.final() // of a stream cipher always empty
    sealed.set(cipher.getAuthTag(), plaintext.length)
    return sealed
  },
  decrypt(key, nonce, ad, ciphertext) {
    const length = ciphertext.length - TAG_BYTES
    if (length < 0) throw new RangeError('a ciphertext shorter than its tag')
    const decipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES })
    if (ad.length > 0) decipher.setAAD(ad, { plaintextLength: length })
    decipher.setAuthTag(ciphertext.subarray(length))
    const body = decipher.update(ciphertext.subarray(0, length))
    try {
      decipher.final() // throws when the tag is wrong; nothing has left this function until then
    } catch (error) {
      body.fill(0)
      throw error
    }
    return view(body)
  },
}

/** The same bytes in the other type; nothing is copied. */
function view(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length)
}
