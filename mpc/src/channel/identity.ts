import { concatBytes } from '../bytes.js'
import { systemRng } from '../rng.js'
import type { ChannelCrypto } from './crypto.js'

/** Bytes of a keygen_id: a version byte and an X25519 public key. */
const KEYGEN_ID_BYTES = 33
const VERSION = 0x01

/** A party's identity for one key: the X25519 secret, and the keygen_id under which the others know it. */
export interface Identity {
  /** 32 bytes. Belongs into the share record and its backup, and nowhere else. */
  readonly secret: Uint8Array
  /** 33 bytes: 0x01 ‖ X25519 public key. */
  readonly keygenId: Uint8Array
}

/** Draws a new identity. One key, one identity: never used for a second key. */
export function createIdentity(crypto: ChannelCrypto): Identity {
  return identityOf(crypto, systemRng(32))
}

/** The identity behind a 32-byte secret. */
export function identityOf(crypto: ChannelCrypto, secret: Uint8Array): Identity {
  if (secret.length !== 32) throw new RangeError('an identity secret has 32 bytes')
  return {
    secret,
    keygenId: concatBytes(Uint8Array.of(VERSION), crypto.x25519Public(secret)),
  }
}

/** The X25519 public key in a keygen_id. @throws RangeError for any other length or version */
export function channelKey(keygenId: Uint8Array): Uint8Array {
  if (keygenId.length !== KEYGEN_ID_BYTES || keygenId[0] !== VERSION)
    throw new RangeError('a keygen_id has 33 bytes, the first of them 01')
  return keygenId.subarray(1)
}
