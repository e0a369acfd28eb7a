import { ed25519 } from '@noble/curves/ed25519.js'
import { utf8ToBytes } from '@noble/hashes/utils.js'
import { equalBytes } from './bytes.js'
import { tags } from './tags.js'
import { Transcript } from './transcript.js'

/**
 * A vault's identity: an Ed25519 key that follows from the backup secret, so that a server rebuilt after a total loss
 * is still the same vault to its clients. One implementation for the server, which signs, and the SDK, which verifies.
 * docs/spec/key-hierarchy.md, section 4.
 */

/** Bytes of an identity's public key, of its seed, and of a client's nonce. */
export const VAULT_IDENTITY_BYTES = 32
/** Bytes of an Ed25519 signature. */
export const VAULT_SIGNATURE_BYTES = 64
/** Bytes of the nonce that makes a signed answer fresh. */
export const VAULT_NONCE_BYTES = 32

/**
 * What a vault says when it has no such key: the only words on which a client gives a backup away by itself, so every
 * word of it is signed. Ids are bound in the form in which they travel.
 */
export interface KeyIdNotExists {
  /** VERTEX_VAULT_NAME of the vault that speaks. */
  readonly vaultName: string
  /** The id inside the API key that asked. */
  readonly apiKeyId: string
  /** The key_id that was asked for, as the server parsed it. */
  readonly keyId: string
  /** The random id of the database that speaks. */
  readonly generation: string
  /** The client's own {@link VAULT_NONCE_BYTES} random bytes. */
  readonly nonce: Uint8Array
}

/** One identity vouches for the one that follows it after the backup secret was rotated. */
export interface IdentitySuccession {
  readonly vaultName: string
  /** Public key of the identity that signs: the one the client has pinned. */
  readonly pinned: Uint8Array
  /** Public key of the newer identity. */
  readonly successor: Uint8Array
}

/** The public key of an identity. @throws Error unless the seed has 32 bytes */
export function vaultIdentityPublicKey(seed: Uint8Array): Uint8Array {
  return ed25519.getPublicKey(seed)
}

/** The 32-byte name of an identity. @throws RangeError unless the public key has 32 bytes */
export function vaultIdentityFingerprint(publicKey: Uint8Array): Uint8Array {
  exactly(publicKey, VAULT_IDENTITY_BYTES, 'an identity public key')
  return new Transcript(tags.vaultIdentityFingerprint).add(publicKey).digest()
}

/** Signs the statement with the identity of this seed. @throws RangeError unless the nonce has 32 bytes */
export function signKeyIdNotExists(seed: Uint8Array, statement: KeyIdNotExists): Uint8Array {
  return ed25519.sign(notExistsMessage(statement), seed)
}

/**
 * Whether the identity with this public key made this statement. The caller compares every word of the statement with
 * what it asked and knows: its own nonce, its API-key id, its key_id.
 */
export function verifyKeyIdNotExists(
  publicKey: Uint8Array,
  statement: KeyIdNotExists,
  signature: Uint8Array,
): boolean {
  if (statement.nonce.length !== VAULT_NONCE_BYTES) return false
  return verifyByIdentity(publicKey, notExistsMessage(statement), signature)
}

/** The pinned identity, by its seed, vouches for a newer one. @throws RangeError for a public key of another length */
export function signSuccessor(
  seed: Uint8Array,
  succession: Omit<IdentitySuccession, 'pinned'>,
): Uint8Array {
  const pinned = vaultIdentityPublicKey(seed)
  return ed25519.sign(successionMessage({ ...succession, pinned }), seed)
}

/** Whether the pinned identity vouched for the newer one in this vault. */
export function verifySuccessor(succession: IdentitySuccession, signature: Uint8Array): boolean {
  const { pinned, successor } = succession
  if (pinned.length !== VAULT_IDENTITY_BYTES || successor.length !== VAULT_IDENTITY_BYTES)
    return false
  if (equalBytes(pinned, successor)) return false
  return verifyByIdentity(pinned, successionMessage(succession), signature)
}

/** A disaster bundle, as it is signed. docs/spec/bundle.md */
export interface SignedBundle {
  /** VERTEX_VAULT_NAME of the vault it was made of. */
  readonly vaultName: string
  /** SHA-256 of the file up to the signature. */
  readonly digest: Uint8Array
}

/** Signs a bundle with the identity of this seed. @throws RangeError unless the digest has 32 bytes */
export function signBundle(seed: Uint8Array, bundle: SignedBundle): Uint8Array {
  return ed25519.sign(bundleMessage(bundle), seed)
}

/** Whether the identity with this public key made this bundle. @throws RangeError unless the digest has 32 bytes */
export function verifyBundle(
  publicKey: Uint8Array,
  bundle: SignedBundle,
  signature: Uint8Array,
): boolean {
  return verifyByIdentity(publicKey, bundleMessage(bundle), signature)
}

function bundleMessage({ vaultName, digest }: SignedBundle): Uint8Array {
  exactly(digest, 32, 'a digest')
  return new Transcript(tags.bundle).add(utf8ToBytes(vaultName), digest).digest()
}

function notExistsMessage(statement: KeyIdNotExists): Uint8Array {
  exactly(statement.nonce, VAULT_NONCE_BYTES, 'the nonce')
  return new Transcript(tags.keyIdNotExists)
    .add(
      utf8ToBytes(statement.vaultName),
      utf8ToBytes(statement.apiKeyId),
      utf8ToBytes(statement.keyId),
      utf8ToBytes(statement.generation),
      statement.nonce,
    )
    .digest()
}

function successionMessage(succession: IdentitySuccession): Uint8Array {
  exactly(succession.pinned, VAULT_IDENTITY_BYTES, 'the pinned identity')
  exactly(succession.successor, VAULT_IDENTITY_BYTES, 'the newer identity')
  return new Transcript(tags.vaultIdentitySuccessor)
    .add(utf8ToBytes(succession.vaultName), succession.pinned, succession.successor)
    .digest()
}

/** Whether an identity signed these bytes; false also for what is no key or no signature. */
export function verifyByIdentity(
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  if (publicKey.length !== VAULT_IDENTITY_BYTES || signature.length !== VAULT_SIGNATURE_BYTES)
    return false
  try {
    // RFC 8032 strictly: no non-canonical or small-order keys, unlike the lenient ZIP 215 default.
    return ed25519.verify(signature, message, publicKey, { zip215: false })
  } catch {
    return false // not a point: a public key that signs nothing
  }
}

function exactly(bytes: Uint8Array, length: number, what: string): void {
  if (bytes.length !== length) throw new RangeError(`${what} has ${length} bytes`)
}
