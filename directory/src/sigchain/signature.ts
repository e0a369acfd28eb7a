import { ed25519 } from '@noble/curves/ed25519.js'
import { schnorr } from '@noble/curves/secp256k1.js'
import { sha256, sha512 } from '@noble/hashes/sha2.js'
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js'
import { equationHolds, verifyStrict, type Equation } from '../ed25519.js'
import { canonical, type Envelope, type EventPayload } from './envelope.js'
import { primaryOf, type Primary, type Scheme } from './primary.js'
import { refuse } from './refusal.js'

/** The one algorithm of each scheme. */
const algorithms: Readonly<Record<Scheme, string>> = {
  ed25519: 'ed25519-sha512-jcs',
  nostr: 'nostr-secp256k1-schnorr-sha256-jcs',
}

/**
 * What was signed. `ed25519-sha512-jcs` can be read in two ways, and nothing published says which is meant: Ed25519 over
 * the SHA-512 of the canonical payload, as the other algorithm hashes before it signs, or over the canonical payload
 * itself. Both bind one key to the same payload, and neither can be taken for the other, since a canonical payload is
 * longer than a hash. So both are accepted.
 */
export type SignedBytes = 'sha512' | 'sha256' | 'canonical'

/**
 * Whether the owner of the primary signed the event, with the algorithm that it names.
 * @param equation of Ed25519
 * @returns what was signed
 * @throws SigchainRefusal `bad_signature`
 */
export function verifySignature(
  { payload, signature }: Envelope,
  primary: Primary,
  equation: Equation = equationHolds,
): SignedBytes {
  const { alg, key, sig } = signature
  if (alg !== algorithms[primary.scheme])
    throw refuse('bad_signature', `signature.alg must be ${algorithms[primary.scheme]}`)
  if (key !== primary.text) throw refuse('bad_signature', 'signature.key is not the primary')
  if (!/^[0-9a-f]{128}$/.test(sig))
    throw refuse('bad_signature', 'signature.sig must have 128 lower-case hex digits')
  const found = signedBytes(primary, hexToBytes(sig), canonical(payload), equation)
  if (found === undefined) throw refuse('bad_signature', 'the signature does not verify')
  return found
}

function signedBytes(
  { scheme, key }: Primary,
  sig: Uint8Array,
  message: Uint8Array,
  equation: Equation,
): SignedBytes | undefined {
  if (scheme === 'nostr') return schnorr.verify(sig, sha256(message), key) ? 'sha256' : undefined
  if (verifyStrict(key, sha512(message), sig, equation) === 'valid') return 'sha512'
  return verifyStrict(key, message, sig, equation) === 'valid' ? 'canonical' : undefined
}

/** Who can sign events: the secret of a primary. */
export interface Signer {
  readonly scheme: Scheme
  /** 32 bytes: the seed of Ed25519, or the secret key of secp256k1. */
  readonly secret: Uint8Array
}

/** The primary that a secret is of. */
export function primaryOfSigner({ scheme, secret }: Signer): Primary {
  const key = scheme === 'ed25519' ? ed25519.getPublicKey(secret) : schnorr.getPublicKey(secret)
  return primaryOf(scheme, key)
}

/** Signs a payload; of the two readings of Ed25519, with the one that hashes first. */
export function signPayload({ scheme, secret }: Signer, payload: EventPayload): Envelope {
  const message = canonical(payload)
  const sig =
    scheme === 'ed25519'
      ? ed25519.sign(sha512(message), secret)
      : schnorr.sign(sha256(message), secret)
  return {
    kez: 'sigchain_event',
    payload,
    signature: { alg: algorithms[scheme], key: payload.primary, sig: bytesToHex(sig) },
  }
}
