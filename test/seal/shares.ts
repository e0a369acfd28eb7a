import { createHash } from 'node:crypto'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { x25519 } from '@noble/curves/ed25519.js'
import {
  compareBytes,
  encodeKeyShare,
  keyFingerprint,
  partyIndex,
  quorum,
  Secret,
  type KeyShare,
} from '@vertex/mpc'

const { Point } = secp256k1
const n = Point.Fn.ORDER

/** All shares of a key made by one dealer, which no real key is; from a seed, so that a failure can be repeated. */
export function dealShares(
  threshold: number,
  parties: number,
  seed: string,
  epoch = 0,
): KeyShare[] {
  const bytes = (what: string) =>
    new Uint8Array(createHash('sha256').update(`${seed}/${what}`).digest())
  const scalar = (what: string) =>
    (BigInt('0x' + Buffer.from(bytes(what)).toString('hex')) % (n - 1n)) + 1n
  const polynomial = Array.from({ length: threshold }, (_, i) => scalar(`coefficient ${i}`))
  const at = (x: bigint) => polynomial.reduceRight((sum, a) => (sum * x + a) % n, 0n)
  const identities = Array.from({ length: parties }, (_, i) => {
    const secret = bytes(`identity ${i}`)
    return { secret, keygenId: Uint8Array.of(1, ...x25519.getPublicKey(secret)) }
  }).sort((a, b) => compareBytes(a.keygenId, b.keygenId))
  const keygenIds = identities.map(({ keygenId }) => keygenId)
  const publicShares = identities.map((_, i) =>
    Point.BASE.multiply(at(BigInt(i + 1))).toBytes(true),
  )
  const publicKey = Point.BASE.multiply(polynomial[0]!).toBytes(true)
  const chainCode = bytes('chain code')
  const q = quorum(threshold, parties)
  return identities.map(({ secret }, i) => ({
    quorum: q,
    index: partyIndex(i + 1),
    epoch,
    secret: new Secret(at(BigInt(i + 1))),
    publicKey,
    chainCode,
    keygenIds,
    publicShares,
    identitySecret: new Secret(secret),
    fingerprint: keyFingerprint(publicKey, chainCode, q, keygenIds),
  }))
}

/** One party's encoded share. */
export function dealRecord(
  threshold: number,
  parties: number,
  seed: string,
  party = 1,
): Uint8Array {
  return encodeKeyShare(dealShares(threshold, parties, seed)[party - 1]!)
}
