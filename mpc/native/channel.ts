import {
  createCipheriv,
  createDecipheriv,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  hash,
  type KeyObject,
} from 'node:crypto'
import { equalBytes, wipe } from '../src/bytes.js'
import type { ChannelCrypto, SecretKey } from '../src/channel/crypto.js'
import { bufferOf, publicBytes, readPrivateKey } from './x25519-key.js'

const CIPHER = 'chacha20-poly1305'
const TAG_BYTES = 16
const options = { authTagLength: TAG_BYTES } as const
const CACHED_PUBLIC_KEYS = 256

const publicKeys = new Map<string, KeyObject>()
const zeros = new Uint8Array(32)

function privateKey(secret: Uint8Array): KeyObject {
  if (secret.length !== 32) throw new RangeError('an X25519 secret has 32 bytes')
  return readPrivateKey(secret)
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
  if (equalBytes(shared, zeros)) throw new Error('a public key of small order')
  return view(shared)
}

/** What stays in OpenSSL, which overwrites it when the last reference is collected. */
function holding(key: KeyObject): SecretKey {
  let secret: KeyObject | undefined = key
  return {
    agree: (peer) => {
      if (secret === undefined) throw new Error('this secret has been forgotten')
      return agree(secret, peer)
    },
    forget: () => {
      secret = undefined
    },
  }
}

const sha256 = (message: Uint8Array): Buffer => hash('sha256', message, 'buffer')

const BLOCK = 64
const DIGEST = 32
const inner = new Uint8Array(BLOCK + DIGEST + 1)
const outer = new Uint8Array(BLOCK + DIGEST)

/** Begins the two hashes of an HMAC (RFC 2104) under a key of 32 bytes. */
function padKey(key: Uint8Array): void {
  inner.fill(0x36, DIGEST, BLOCK)
  outer.fill(0x5c, DIGEST, BLOCK)
  for (let i = 0; i < DIGEST; i++) {
    inner[i] = key[i]! ^ 0x36
    outer[i] = key[i]! ^ 0x5c
  }
}

/** The HMAC of the first bytes behind the padded key. */
function mac(length: number): Uint8Array {
  const first = sha256(inner.subarray(0, BLOCK + length))
  outer.set(first, BLOCK)
  first.fill(0)
  return view(sha256(outer))
}

/** The channel's primitives from node:crypto. The same bytes as noble's, several times faster. */
export const nodeChannelCrypto: ChannelCrypto = {
  name: 'node',
  x25519Public: (secret) => publicBytes(privateKey(secret)),
  secretKey: (secret) => holding(privateKey(secret)),
  ephemeral() {
    const { publicKey, privateKey } = generateKeyPairSync('x25519')
    return { publicKey: publicBytes(publicKey), ...holding(privateKey) }
  },
  sha256: (message) => view(sha256(message)),
  // By one-shot hashes: three Hmac objects cost twice as much, before they are collected.
  hkdf(key, input) {
    if (key.length !== DIGEST || input.length > DIGEST)
      throw new RangeError('a key of 32 bytes, and not more than 32 to derive from')
    padKey(key)
    inner.set(input, BLOCK)
    const temp = mac(input.length)
    padKey(temp)
    inner[BLOCK] = 1
    const one = mac(1)
    inner.set(one, BLOCK)
    inner[BLOCK + DIGEST] = 2
    const two = mac(DIGEST + 1)
    wipe(temp, inner, outer)
    return [one, two]
  },
  encrypt(key, nonce, ad, ...plaintext) {
    const cipher = createCipheriv(CIPHER, key, nonce, options)
    const length = plaintext.reduce((sum, piece) => sum + piece.length, 0)
    if (ad.length > 0) cipher.setAAD(ad, { plaintextLength: length })
    const sealed = new Uint8Array(length + TAG_BYTES)
    let at = 0
    for (const piece of plaintext) {
      if (piece.length > 0) sealed.set(cipher.update(piece), at)
      at += piece.length
    }
    cipher.final() // of a stream cipher always empty
    sealed.set(cipher.getAuthTag(), length)
    return sealed
  },
  decrypt(key, nonce, ad, ciphertext) {
    const length = ciphertext.length - TAG_BYTES
    if (length < 0) throw new RangeError('a ciphertext shorter than its tag')
    const decipher = createDecipheriv(CIPHER, key, nonce, options)
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
