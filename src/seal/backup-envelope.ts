import { gcm } from '@noble/ciphers/aes.js'
import { hkdf } from '@noble/hashes/hkdf.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { concatBytes, randomBytes, utf8ToBytes } from '@noble/hashes/utils.js'
import { decodeKeyShare, equalBytes, wipe, type KeyShare, type Suite } from '@vertex/mpc'
import { VaultError } from '../vault/errors.js'
import type { BackupHeader, BackupSeal, OpenedBackup, SealedBackup } from '../vault/ports.js'
import {
  CHECKSUM_BYTES,
  COMMITMENT_BYTES,
  decodeContainer,
  encodePrelude,
  ENCRYPTED,
  lengthAndBytes,
  PLAINTEXT,
  SALT_BYTES,
  type Container,
  type ContainerHeader,
} from './backup-container.js'
import type { BackupSecrets } from './backup-secrets.js'
import { u8 } from './bytes.js'
import { backupInvalid } from './errors.js'
import type { BackupSecret } from './hierarchy.js'

/** The key encrypts one blob only: there is nothing that a nonce could tell apart. */
const NONCE = new Uint8Array(12)
const KEY_BYTES = 32
const BLOB_INFO = 'vertex/v1/backup-blob'
const CHAIN_CODE_INFO = 'vertex/v1/backup-chain-code'
/** Longer than any blob; keeps the work that a caller can cause small. */
const MAX_TEXT = 65_536
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/

export interface BackupEnvelopeOptions {
  /** VERTEX_VAULT_NAME: separates environments; a blob of another one does not open. */
  readonly vaultName: string
  /** For checking that a share lies on its key. */
  readonly suite: Suite
}

/** Backups that leave encrypted. docs/spec/backup-envelope.md */
export function encryptedBackups(
  { vaultName, suite }: BackupEnvelopeOptions,
  secrets: BackupSecrets,
): BackupSeal {
  return {
    mode: 'encrypted',
    async seal(subject, record, options) {
      const secret = await secrets.newest(options)
      const { fingerprint, name, version } = secret
      const header: ContainerHeader = {
        ...headerOf(vaultName, subject, decodeKeyShare(suite, record)),
        secret: { fingerprint, name, version },
      }
      return sealed(encrypt(secret, header, record), header)
    },
    async open(text, userId) {
      const { bytes, container } = parse(text)
      if (container.suite !== ENCRYPTED) {
        verifyChecksum(container)
        throw modeRefused('encrypted')
      }
      const secret = await secrets.find(container.header.secret!).catch((error: unknown) => {
        spendTheTime()
        throw error
      })
      return checked(container, decrypt(secret, container), bytes, { vaultName, suite, userId })
    },
  }
}

/** Backups that leave in the clear: whoever has one has this server's share. docs/spec/backup-envelope.md, section 5 */
export function plaintextBackups({ vaultName, suite }: BackupEnvelopeOptions): BackupSeal {
  return {
    mode: 'plaintext',
    async seal(subject, record) {
      const share = decodeKeyShare(suite, record)
      const header = { ...headerOf(vaultName, subject, share), secret: undefined }
      const body = concatBytes(encodePrelude(PLAINTEXT, header), lengthAndBytes(record))
      return Promise.resolve(sealed(concatBytes(body, sha256(body)), header))
    },
    async open(text, userId) {
      const { bytes, container } = parse(text)
      if (container.suite !== PLAINTEXT) throw modeRefused('plaintext')
      verifyChecksum(container)
      const context = { vaultName, suite, userId }
      return Promise.resolve(checked(container, container.record, bytes, context))
    },
  }
}

const sealed = (blob: Uint8Array, { secret }: ContainerHeader): SealedBackup => ({
  text: base64(blob),
  secret,
  digest: sha256(blob),
})

/** What a header says of the chain code without telling it: SHA-256 under a label of its own. */
export function chainCodeHash(chainCode: Uint8Array): Uint8Array {
  return sha256(concatBytes(utf8ToBytes(CHAIN_CODE_INFO), u8(0), chainCode))
}

function headerOf(
  vaultName: string,
  subject: Parameters<BackupSeal['seal']>[0],
  share: KeyShare,
): BackupHeader {
  return {
    vaultName,
    userId: subject.userId,
    keyId: subject.keyId,
    publicKey: share.publicKey,
    party: share.index,
    threshold: share.quorum.threshold,
    parties: share.keygenIds.map((keygenId, i) => ({
      keygenId,
      publicShare: share.publicShares[i]!,
    })),
    epoch: share.epoch,
    chainCodeHash: chainCodeHash(share.chainCode),
    createdAt: subject.createdAt,
  }
}

function encrypt(secret: BackupSecret, header: ContainerHeader, record: Uint8Array): Uint8Array {
  const prelude = encodePrelude(ENCRYPTED, header)
  const salt = randomBytes(SALT_BYTES)
  const { key, commitment } = blobKeys(secret.backupKey(), salt, prelude)
  try {
    const ciphertext = gcm(key, NONCE, prelude).encrypt(record)
    return concatBytes(prelude, salt, commitment, lengthAndBytes(ciphertext))
  } finally {
    wipe(key)
  }
}

/** @throws VaultError `backup_invalid` */
function decrypt(
  secret: BackupSecret,
  { prelude, salt, commitment, ciphertext }: Container & { suite: typeof ENCRYPTED },
): Uint8Array {
  const { key, commitment: expected } = blobKeys(secret.backupKey(), salt, prelude)
  try {
    // AES-GCM alone does not bind its key: one ciphertext can be made that opens under two.
    const committed = equalBytes(commitment, expected)
    let record: Uint8Array | undefined
    try {
      record = gcm(key, NONCE, prelude).decrypt(ciphertext)
    } catch {
      record = undefined
    }
    if (!committed) {
      if (record !== undefined) wipe(record)
      throw backupInvalid('commitment')
    }
    if (record === undefined) throw backupInvalid('tag')
    return record
  } finally {
    wipe(key)
  }
}

/** The key of one blob, and the value that commits to it. */
function blobKeys(backupKey: Uint8Array, salt: Uint8Array, prelude: Uint8Array) {
  const info = concatBytes(utf8ToBytes(BLOB_INFO), u8(0), u8(ENCRYPTED), sha256(prelude))
  const both = hkdf(sha256, backupKey, salt, info, KEY_BYTES + COMMITMENT_BYTES)
  return { key: both.subarray(0, KEY_BYTES), commitment: both.slice(KEY_BYTES) }
}

/** The checks after decryption: nobody who can seal bytes can make this server use a share that is not the header's. */
function checked(
  { header }: Container,
  record: Uint8Array,
  blob: Uint8Array,
  expected: { readonly vaultName: string; readonly userId: string; readonly suite: Suite },
): OpenedBackup {
  try {
    let share: KeyShare
    try {
      share = decodeKeyShare(expected.suite, record)
    } catch {
      throw backupInvalid('share')
    }
    if (!describes(header, share)) throw backupInvalid('header_differs')
    if (header.vaultName !== expected.vaultName) throw backupInvalid('vault_name')
    if (header.userId !== expected.userId) throw backupInvalid('user')
    const { secret, ...rest } = header
    return { header: rest, secret, record, digest: sha256(blob) }
  } catch (error) {
    wipe(record)
    throw error
  }
}

function describes(header: BackupHeader, share: KeyShare): boolean {
  const actual = headerOf(header.vaultName, header, share)
  return (
    equalBytes(actual.publicKey, header.publicKey) &&
    actual.party === header.party &&
    actual.threshold === header.threshold &&
    actual.parties.length === header.parties.length &&
    actual.parties.every(
      ({ keygenId, publicShare }, i) =>
        equalBytes(keygenId, header.parties[i]!.keygenId) &&
        equalBytes(publicShare, header.parties[i]!.publicShare),
    ) &&
    actual.epoch === header.epoch &&
    equalBytes(actual.chainCodeHash, header.chainCodeHash)
  )
}

function verifyChecksum(container: Container & { suite: typeof PLAINTEXT }): void {
  const { checksum, checksummed } = container
  if (checksum.length !== CHECKSUM_BYTES || !equalBytes(sha256(checksummed), checksum))
    throw backupInvalid('checksum')
}

function parse(text: string): { bytes: Uint8Array; container: Container } {
  const bytes = decodeText(text)
  try {
    return { bytes, container: decodeContainer(bytes) }
  } catch {
    spendTheTime()
    throw backupInvalid('layout')
  }
}

/** Canonical base64 and nothing around it. */
function decodeText(text: string): Uint8Array {
  if (text.length <= MAX_TEXT && text.length % 4 === 0 && BASE64.test(text)) {
    const bytes = Buffer.from(text, 'base64')
    if (bytes.toString('base64') === text) return new Uint8Array(bytes)
  }
  spendTheTime()
  throw backupInvalid('encoding')
}

/** A blob that is refused early takes about as long as one whose tag is wrong. */
function spendTheTime(): void {
  const { key } = blobKeys(
    new Uint8Array(KEY_BYTES),
    new Uint8Array(SALT_BYTES),
    new Uint8Array(512),
  )
  gcm(key, NONCE).encrypt(new Uint8Array(512))
}

function modeRefused(mode: 'encrypted' | 'plaintext'): VaultError {
  return new VaultError(
    'export_mode_refused',
    mode === 'encrypted'
      ? 'this server takes encrypted backups only'
      : 'this server takes plaintext backups only',
  )
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64')
}
