import { ed25519 } from '@noble/curves/ed25519.js'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { utf8ToBytes } from '@noble/hashes/utils.js'
import { u32, u64 } from './bytes.js'
import { tags } from './tags.js'
import { Transcript } from './transcript.js'
import { verifyByIdentity } from './vault-identity.js'

/** Which backup is drilled: the very blob, of which key, and fresh. docs/spec/drill.md */
export interface DrillSubject {
  /** 33 bytes, compressed. */
  readonly publicKey: Uint8Array
  readonly epoch: number
  /** SHA-256 of the blob. */
  readonly blobDigest: Uint8Array
  /** The client's own 32 random bytes. */
  readonly nonce: Uint8Array
}

/** What a vault says of a drill that went well. */
export interface DrillReport extends DrillSubject {
  readonly vaultName: string
  readonly userId: string
  /** Random name of the database that speaks. */
  readonly generation: string
  /** The key_id in the header of the blob. */
  readonly keyId: string
  readonly party: number
  /** Fingerprint of the backup secret that opened the blob, 32 bytes. */
  readonly secretFingerprint: Uint8Array
  /** The signature over the canary, r ‖ s, 64 bytes. */
  readonly signature: Uint8Array
  /** Milliseconds since 1970. */
  readonly drilledAt: number
}

/**
 * D.3: what both parties of a drill sign, as it is. Each computes it from what it knows; nobody can choose it.
 * @throws RangeError for a part of another length than its own
 */
export function drillCanary(subject: DrillSubject): Uint8Array {
  checkSubject(subject)
  return new Transcript(tags.drillCanary).add(...itemsOf(subject)).digest()
}

/** D.7: signs a report with the vault identity of this seed. @throws RangeError as {@link drillCanary} */
export function signDrillReport(seed: Uint8Array, report: DrillReport): Uint8Array {
  return ed25519.sign(reportMessage(report), seed)
}

/**
 * D.8: whether this identity made this report, and the key the signature in it: an identity alone cannot report a drill
 * that was none. The caller compares every part of it with what it knows.
 */
export function verifyDrillReport(
  identity: Uint8Array,
  report: DrillReport,
  signature: Uint8Array,
): boolean {
  let message: Uint8Array
  try {
    message = reportMessage(report)
  } catch {
    return false // a part of another length: nobody signed that
  }
  return verifyByIdentity(identity, message, signature) && hasSigned(report)
}

function hasSigned(report: DrillReport): boolean {
  try {
    return secp256k1.verify(report.signature, drillCanary(report), report.publicKey, {
      prehash: false,
    })
  } catch {
    return false // no public key, or no signature
  }
}

function reportMessage(report: DrillReport): Uint8Array {
  checkSubject(report)
  exactly(report.secretFingerprint, 32, 'the fingerprint of a secret')
  exactly(report.signature, 64, 'a signature')
  return new Transcript(tags.drillReport)
    .add(
      utf8ToBytes(report.vaultName),
      utf8ToBytes(report.userId),
      ...itemsOf(report),
      utf8ToBytes(report.generation),
      utf8ToBytes(report.keyId),
      u32(report.party),
      report.secretFingerprint,
      report.signature,
      u64(report.drilledAt),
    )
    .digest()
}

const itemsOf = (subject: DrillSubject): Uint8Array[] => [
  subject.publicKey,
  u32(subject.epoch),
  subject.blobDigest,
  subject.nonce,
]

function checkSubject({ publicKey, blobDigest, nonce }: DrillSubject): void {
  exactly(publicKey, 33, 'a public key')
  exactly(blobDigest, 32, 'the digest of a blob')
  exactly(nonce, 32, 'the nonce')
}

function exactly(bytes: Uint8Array, length: number, what: string): void {
  if (bytes.length !== length) throw new RangeError(`${what} has ${length} bytes`)
}
