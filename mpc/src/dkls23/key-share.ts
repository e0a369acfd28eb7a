import { concatBytes, equalBytes, u16, u32, u8 } from '../bytes.js'
import { checkKeygenId, KEYGEN_ID_BYTES } from '../channel/identity.js'
import { InvalidPoint, type Point, type Scalar } from '../curve/curve.js'
import { decodeNonZeroScalar, encodeScalar, InvalidScalar } from '../math/scalar.js'
import { partyIndex, quorum, type PartyIndex, type Quorum } from '../party.js'
import type { Suite } from '../suite.js'
import { tags } from '../tags.js'
import { Transcript, type KeyedHash } from '../transcript.js'
import { Secret } from './secret.js'
import { interpolateInExponent } from './shamir.js'

/**
 * One party's share of a key, with everything it must know about the key and the other parties. The secret parts
 * print as `[secret]`; still, this is the thing to protect. It holds no OT setup: those are a cache of their own.
 */
export interface KeyShare {
  readonly quorum: Quorum
  readonly index: PartyIndex
  /** Which generation of shares of this key; 0 after keygen. */
  readonly epoch: number
  /** This party's point on the shared polynomial, 1..n-1. */
  readonly secret: Secret<Scalar>
  /** 33 bytes, compressed. */
  readonly publicKey: Uint8Array
  /** For BIP-32 derivation, 32 bytes. */
  readonly chainCode: Uint8Array
  /** Every party's keygen_id in rank order, 33 bytes each. */
  readonly keygenIds: readonly Uint8Array[]
  /** Every party's share times G in rank order, 33 bytes each. */
  readonly publicShares: readonly Uint8Array[]
  /** The X25519 secret behind this party's keygen_id, 32 bytes. */
  readonly identitySecret: Secret<Uint8Array>
  /** Names the key with all its parties: the same for every party and in every epoch, 32 bytes. */
  readonly fingerprint: Uint8Array
}

/** Bytes that are no key share, or whose parts contradict each other. Says which check failed, never a value. */
export class InvalidKeyShare extends Error {
  override readonly name = 'InvalidKeyShare'
}

const FORMAT = 0x01
const SECP256K1 = 0x01
const HEAD_BYTES = 2 + 3 + 4 + 32 + 33 + 32 + 32

/** The fingerprint of a key: H(public key, chain code, t, n, keygen_ids). docs/spec/keygen.md, step 5.4 */
export function keyFingerprint(
  publicKey: Uint8Array,
  chainCode: Uint8Array,
  { threshold, parties }: Quorum,
  keygenIds: readonly Uint8Array[],
  hash?: KeyedHash,
): Uint8Array {
  return new Transcript(tags.keyFingerprint, hash)
    .add(publicKey, chainCode, u8(threshold), u8(parties))
    .list(keygenIds)
    .digest()
}

/**
 * A share as bytes: version, curve, threshold, parties, index (1 byte each), epoch (4, big-endian), share (32), public
 * key (33), chain code (32), identity secret (32), then all keygen_ids and all public shares (33 each, rank order).
 * The result is secret in the clear: the caller seals it before it goes anywhere, and wipes it.
 */
export function encodeKeyShare(share: KeyShare): Uint8Array {
  const secret = encodeScalar(share.secret.reveal())
  const encoded = concatBytes(
    u16((FORMAT << 8) | SECP256K1),
    u8(share.quorum.threshold),
    u8(share.quorum.parties),
    u8(share.index),
    u32(share.epoch),
    secret,
    share.publicKey,
    share.chainCode,
    share.identitySecret.reveal(),
    ...share.keygenIds,
    ...share.publicShares,
  )
  secret.fill(0)
  return encoded
}

/**
 * Reads a share back and re-checks that its parts belong together: share·G is the own public share, all public shares
 * lie on one polynomial of degree t-1 whose value at 0 is the public key, the keygen_ids ascend, and the own keygen_id
 * is the identity secret's. Whoever sealed the bytes cannot make this party use a share that is not on its key.
 * @throws InvalidKeyShare
 */
export function decodeKeyShare(suite: Suite, bytes: Uint8Array): KeyShare {
  const share = readKeyShare(bytes)
  checkKeyShare(suite, share)
  return share
}

/**
 * As {@link decodeKeyShare}, without the curve work: that the parts belong together is not asked. For bytes that this
 * party has checked once and authenticated ever since, such as a record under its own seal.
 * @throws InvalidKeyShare for bytes of a wrong form
 */
export function readKeyShare(bytes: Uint8Array, hash?: KeyedHash): KeyShare {
  const take = reader(bytes)
  if (take(1)[0] !== FORMAT) throw new InvalidKeyShare('a format this version does not know')
  if (take(1)[0] !== SECP256K1) throw new InvalidKeyShare('a curve this version does not know')
  const q = checked('the quorum is impossible', () => quorum(take(1)[0]!, take(1)[0]!))
  if (bytes.length !== HEAD_BYTES + q.parties * (KEYGEN_ID_BYTES + 33))
    throw new InvalidKeyShare('the length does not fit the number of parties')
  const index = checked('the party index is impossible', () => partyIndex(take(1)[0]!))
  if (index > q.parties)
    throw new InvalidKeyShare('the party index is beyond the number of parties')
  const epoch = new DataView(take(4).slice().buffer).getUint32(0)
  const secret = checked('the share is out of range', () => decodeNonZeroScalar(take(32)))
  const publicKey = take(33).slice()
  const chainCode = take(32).slice()
  const identitySecret = take(32).slice()
  const keygenIds = Array.from({ length: q.parties }, () => take(KEYGEN_ID_BYTES).slice())
  const publicShares = Array.from({ length: q.parties }, () => take(33).slice())
  return {
    quorum: q,
    index,
    epoch,
    secret: new Secret(secret),
    publicKey,
    chainCode,
    keygenIds,
    publicShares,
    identitySecret: new Secret(identitySecret),
    fingerprint: keyFingerprint(publicKey, chainCode, q, keygenIds, hash),
  }
}

/**
 * The checks of {@link decodeKeyShare} on a share in memory.
 * @throws InvalidKeyShare
 */
export function checkKeyShare({ curve, channel }: Suite, share: KeyShare): void {
  checkKeygenIds(share.keygenIds)
  const ownId = share.keygenIds[share.index - 1]!
  if (!equalBytes(ownId.subarray(1), channel.x25519Public(share.identitySecret.reveal())))
    throw new InvalidKeyShare('the keygen_id is not of the identity secret')

  const decode = (bytes: Uint8Array): Point => {
    try {
      return curve.decode(bytes)
    } catch (e) {
      if (e instanceof InvalidPoint)
        throw new InvalidKeyShare('a public share or the public key is no point')
      throw e
    }
  }
  const S = share.publicShares.map(decode)
  if (
    !equalBytes(
      curve.encode(curve.mulBase(share.secret.reveal())),
      share.publicShares[share.index - 1]!,
    )
  )
    throw new InvalidKeyShare('the share does not give its public share')

  const { threshold, parties } = share.quorum
  const base = new Map(S.slice(0, threshold).map((S_j, j) => [partyIndex(j + 1), S_j]))
  if (!curve.equals(interpolateInExponent(curve, base, 0), decode(share.publicKey)))
    throw new InvalidKeyShare('the public shares do not give the public key')
  for (let j = threshold + 1; j <= parties; j++)
    if (!curve.equals(interpolateInExponent(curve, base, j), S[j - 1]!))
      throw new InvalidKeyShare('the public shares do not lie on one polynomial')
}

/**
 * Checks each keygen_id, and that they are distinct and in rank order.
 * @throws InvalidKeyShare
 */
export function checkKeygenIds(keygenIds: readonly Uint8Array[]): void {
  keygenIds.forEach((id, at) => {
    try {
      checkKeygenId(id)
    } catch (e) {
      if (e instanceof RangeError) throw new InvalidKeyShare(e.message)
      throw e
    }
    if (at > 0 && compareBytes(keygenIds[at - 1]!, id) >= 0)
      throw new InvalidKeyShare('the keygen_ids are not distinct and ascending')
  })
}

/** Orders byte strings of one length: negative, zero or positive. Parties are ranked by it. Public data only. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return a[i]! - (b[i] ?? -1)
  return a.length - b.length
}

function reader(bytes: Uint8Array): (length: number) => Uint8Array {
  let at = 0
  return (length) => {
    if (at + length > bytes.length) throw new InvalidKeyShare('too short')
    return bytes.subarray(at, (at += length))
  }
}

function checked<T>(message: string, make: () => T): T {
  try {
    return make()
  } catch (e) {
    if (e instanceof RangeError || e instanceof InvalidScalar) throw new InvalidKeyShare(message)
    throw e
  }
}
