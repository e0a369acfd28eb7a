import { hkdf } from '@noble/hashes/hkdf.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { concatBytes, utf8ToBytes } from '@noble/hashes/utils.js'
import { p256 } from '@noble/curves/nist.js'
import { bytesToHex, vaultIdentityPublicKey } from '@vertex/mpc'
import { u8 } from './bytes.js'

/**
 * Everything that follows from a secret an operator gives. docs/spec/key-hierarchy.md.
 *
 * Each key is HKDF-SHA-256 of the secret under the salt of its kind and an info of a fixed label and, where keys of two
 * environments must differ, the vault's name. No input of a caller ever meets the root.
 */

const BACKUP_ROOT = 'vertex/v1/backup-secret'
const STORAGE_ROOT = 'vertex/v1/storage-key'

export const labels = {
  fingerprint: 'fingerprint',
  backup: 'backup',
  bundle: 'bundle',
  vaultIdentity: 'vault-identity',
  apiKeyTag: 'api-key-tag',
  jwtIdentity: 'jwt-identity',
  party: 'party',
  persistentKeygen: 'persistent-keygen',
  rows: 'rows',
  auditChain: 'audit-chain',
  auditValues: 'audit-values',
  directoryLog: 'directory-log',
  keyserver: 'keyserver',
} as const

/** Bytes of the id by which an API key names the secret its tag was made with. */
export const TAG_KEY_ID_BYTES = 8

/** A key that makes and checks the tags of API keys. */
export interface TagKey {
  /** First {@link TAG_KEY_ID_BYTES} of the secret's fingerprint. */
  readonly id: Uint8Array
  readonly key: Uint8Array
}

/** The secrets of the identity under which others know a Vertex. docs/spec/identities.md, section 4 */
export interface PartySecrets {
  /** Seed of its Ed25519 primary. */
  readonly seed: Uint8Array
  /** X25519 secret of its persistent keygen_id. */
  readonly keygenSecret: Uint8Array
}

/** What follows from one version of the backup secret. Prints without its keys. */
export class BackupSecret {
  /** 32 bytes that name the secret's bytes, wherever they are kept; tells nothing about them. */
  readonly fingerprint: Uint8Array
  /** The Ed25519 identity of this version, 32 bytes. */
  readonly identityPublicKey: Uint8Array
  readonly #backupKey: Uint8Array
  readonly #bundleKey: Uint8Array
  readonly #identitySeed: Uint8Array
  readonly #tagKey: TagKey
  readonly #jwtSeed: Uint8Array
  readonly #party: PartySecrets

  /** @param bytes 32; they are not kept */
  constructor(
    bytes: Uint8Array,
    vaultName: string,
    /** Where the secret was found: hints for people. */
    readonly name: string,
    readonly version: string,
  ) {
    this.fingerprint = secretFingerprint(bytes)
    this.#backupKey = derive(BACKUP_ROOT, bytes, labels.backup, vaultName)
    this.#bundleKey = derive(BACKUP_ROOT, bytes, labels.bundle, vaultName)
    this.#identitySeed = derive(BACKUP_ROOT, bytes, labels.vaultIdentity, vaultName)
    this.#tagKey = tagKey(this.fingerprint, derive(BACKUP_ROOT, bytes, labels.apiKeyTag, vaultName))
    this.#jwtSeed = derive(BACKUP_ROOT, bytes, labels.jwtIdentity, vaultName, JWT_SEED_BYTES)
    this.#party = partySecrets(BACKUP_ROOT, bytes, vaultName)
    this.identityPublicKey = vaultIdentityPublicKey(this.#identitySeed)
  }

  /** Lower-case hex of the fingerprint. */
  get id(): string {
    return bytesToHex(this.fingerprint)
  }

  /** The root of blob keys. Must go nowhere but into the envelope's HKDF. */
  backupKey(): Uint8Array {
    return this.#backupKey
  }

  /** The root of the keys of disaster bundles. Must go nowhere but into a bundle's HKDF. */
  bundleKey(): Uint8Array {
    return this.#bundleKey
  }

  identitySeed(): Uint8Array {
    return this.#identitySeed
  }

  tagKey(): TagKey {
    return this.#tagKey
  }

  /** Who this vault is in the directory, while this version is its newest. */
  party(): PartySecrets {
    return this.#party
  }

  /** The public half of the ES256 identity, as PEM. */
  identityPem(): string {
    return es256Pem(this.#jwtSeed)
  }
}

/** What follows from the storage key. Prints without its keys. */
export class StorageKey {
  readonly fingerprint: Uint8Array
  readonly #rows: Uint8Array
  readonly #audit: { readonly chain: Uint8Array; readonly values: Uint8Array }
  readonly #directoryLog: Uint8Array
  readonly #keyserver: Uint8Array
  readonly #tagKey: TagKey
  readonly #jwtSeed: Uint8Array
  readonly #party: PartySecrets

  /** @param bytes 32; they are not kept */
  constructor(bytes: Uint8Array, vaultName: string) {
    this.fingerprint = secretFingerprint(bytes)
    // Rows stay readable when the vault is renamed; nothing of them leaves this database.
    this.#rows = derive(STORAGE_ROOT, bytes, labels.rows, '')
    // With the name: what these keys authenticate is checked outside of the database too.
    this.#audit = {
      chain: derive(STORAGE_ROOT, bytes, labels.auditChain, vaultName),
      values: derive(STORAGE_ROOT, bytes, labels.auditValues, vaultName),
    }
    this.#directoryLog = derive(STORAGE_ROOT, bytes, labels.directoryLog, vaultName)
    this.#keyserver = derive(STORAGE_ROOT, bytes, labels.keyserver, vaultName)
    this.#tagKey = tagKey(
      this.fingerprint,
      derive(STORAGE_ROOT, bytes, labels.apiKeyTag, vaultName),
    )
    this.#jwtSeed = derive(STORAGE_ROOT, bytes, labels.jwtIdentity, vaultName, JWT_SEED_BYTES)
    this.#party = partySecrets(STORAGE_ROOT, bytes, vaultName)
  }

  /** Lower-case hex of the fingerprint. */
  get id(): string {
    return bytesToHex(this.fingerprint)
  }

  /** The root of row keys. Must go nowhere but into rowSeal. */
  rowsKey(): Uint8Array {
    return this.#rows
  }

  /** The keys of the audit log. docs/spec/audit-log.md */
  auditKeys(): { readonly chain: Uint8Array; readonly values: Uint8Array } {
    return this.#audit
  }

  /**
   * The seed of the Ed25519 key of the directory's log in one generation of the database: a database that was put back
   * has forgotten what it signed, and must not sign under the same name again. docs/spec/directory-log.md, section 5
   */
  logSeed(generation: string): Uint8Array {
    return hkdf(sha256, this.#directoryLog, undefined, utf8ToBytes(`generation ${generation}`), 32)
  }

  /** The seed of the keyserver. Each chain has keys of its own of it. docs/spec/keyserver.md, section 9 */
  keyserverSeed(): Uint8Array {
    return this.#keyserver
  }

  /** Tags API keys in plaintext mode, where there is no backup secret: they do not survive the storage key's loss. */
  tagKey(): TagKey {
    return this.#tagKey
  }

  /** Who this vault is in the directory in plaintext mode. */
  party(): PartySecrets {
    return this.#party
  }

  /** The ES256 identity in plaintext mode, as PEM. */
  identityPem(): string {
    return es256Pem(this.#jwtSeed)
  }
}

/**
 * Names 32 secret bytes, whatever they are used for, so that a copy in another place is recognised and one secret used
 * for two purposes is noticed.
 */
export function secretFingerprint(bytes: Uint8Array): Uint8Array {
  return derive('vertex/v1/secret', bytes, labels.fingerprint, '')
}

function derive(
  root: string,
  secret: Uint8Array,
  label: string,
  vaultName: string,
  length = 32,
): Uint8Array {
  if (secret.length !== 32) throw new RangeError('a secret has 32 bytes')
  const name = utf8ToBytes(vaultName)
  const info = concatBytes(utf8ToBytes(label), u8(0), u8(name.length), name)
  return hkdf(sha256, secret, utf8ToBytes(root), info, length)
}

function partySecrets(root: string, secret: Uint8Array, vaultName: string): PartySecrets {
  return {
    seed: derive(root, secret, labels.party, vaultName),
    keygenSecret: derive(root, secret, labels.persistentKeygen, vaultName),
  }
}

function tagKey(fingerprint: Uint8Array, key: Uint8Array): TagKey {
  return { id: fingerprint.slice(0, TAG_KEY_ID_BYTES), key }
}

/** Half as many bits again as the order has, so that the reduction is not noticeably uneven. */
const JWT_SEED_BYTES = 48

/** SubjectPublicKeyInfo of an uncompressed P-256 point, up to the point (RFC 5480). */
const P256_SPKI = Uint8Array.from(
  Buffer.from('3059301306072a8648ce3d020106082a8648ce3d030107034200', 'hex'),
)

function es256Pem(seed: Uint8Array): string {
  const n = p256.Point.Fn.ORDER
  const d = (BigInt('0x' + bytesToHex(seed)) % (n - 1n)) + 1n
  const point = p256.Point.BASE.multiply(d).toBytes(false)
  const der = Buffer.from(concatBytes(P256_SPKI, point)).toString('base64')
  const lines = der.match(/.{1,64}/g)!.join('\n')
  return `-----BEGIN PUBLIC KEY-----\n${lines}\n-----END PUBLIC KEY-----\n`
}
