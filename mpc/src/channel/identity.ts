import { concatBytes, equalBytes, hexToBytes, u8 } from '../bytes.js'
import { systemRng } from '../rng.js'
import type { ChannelCrypto } from './crypto.js'

/** Bytes of a keygen_id: what the party is, and an X25519 public key. */
export const KEYGEN_ID_BYTES = 33

/** What a party of a key is: a client (an SDK in somebody's app) or a Vertex. */
export type Role = 'client' | 'vertex'

/** The first byte of a keygen_id: version and role in one. Clients' come before Vertices', and so do their ranks. */
const roleBytes = { client: 0x01, vertex: 0x02 } as const satisfies Record<Role, number>

/** A party's identity for one key: the X25519 secret, and the keygen_id under which the others know it. */
export interface Identity {
  /** 32 bytes. Belongs into the share record and its backup, and nowhere else. */
  readonly secret: Uint8Array
  /** 33 bytes: role ‖ X25519 public key. */
  readonly keygenId: Uint8Array
}

/** Draws a new identity. One key, one identity: never used for a second key. */
export function createIdentity(crypto: ChannelCrypto, role: Role): Identity {
  return identityOf(crypto, systemRng(32), role)
}

/** The identity behind a 32-byte secret. */
export function identityOf(crypto: ChannelCrypto, secret: Uint8Array, role: Role): Identity {
  if (secret.length !== 32) throw new RangeError('an identity secret has 32 bytes')
  return { secret, keygenId: concatBytes(u8(roleBytes[role]), crypto.x25519Public(secret)) }
}

/**
 * Checks that bytes can be a party's keygen_id: a role that exists, and a public key in its one encoding with which a
 * secret can be agreed.
 * @throws RangeError saying what is wrong
 */
export function checkKeygenId(keygenId: Uint8Array): void {
  const role = keygenId[0]
  if (
    keygenId.length !== KEYGEN_ID_BYTES ||
    (role !== roleBytes.client && role !== roleBytes.vertex)
  )
    throw new RangeError('a keygen_id has 33 bytes, the first of them 01 or 02')
  const key = keygenId.subarray(1)
  if (!isReduced(key)) throw new RangeError('a keygen_id with a public key of a second encoding')
  if (smallOrder.some((point) => equalBytes(point, key)))
    throw new RangeError('a keygen_id with a public key of small order')
}

/** The X25519 public key in a keygen_id. @throws RangeError as {@link checkKeygenId} */
export function channelKey(keygenId: Uint8Array): Uint8Array {
  checkKeygenId(keygenId)
  return keygenId.subarray(1)
}

/** Whether a little-endian number is below p = 2^255 - 19. X25519 itself would take others and reduce them. */
function isReduced(u: Uint8Array): boolean {
  if (u[31] !== 0x7f) return u[31]! < 0x7f
  return u[0]! < 0xed || u.subarray(1, 31).some((byte) => byte !== 0xff)
}

/**
 * The u-coordinates of order 1, 2, 4 and 8 on Curve25519 and its twist, little-endian: with these X25519 gives zero,
 * whatever the secret. (The roots of the division polynomials; https://cr.yp.to/ecdh.html#validate)
 */
const smallOrder: readonly Uint8Array[] = [
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
].map(hexToBytes)
