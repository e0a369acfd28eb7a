import { x25519 } from '@noble/curves/ed25519.js'
import { concatBytes, utf8ToBytes } from '@noble/hashes/utils.js'
import { Aes256Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from '@hpke/core'
import { Malformed } from './bytes.js'
import {
  decodeSealed,
  decodeText,
  encodeAssociated,
  encodeSealed,
  encodeText,
  KEY_BYTES,
  readSubject,
  splitBackup,
  type BackupSubject,
  type SealedFor,
  type SealedParts,
} from './format.js'

const INFO = utf8ToBytes('vertex/v1/sealed-backup')

/** Why something is not sealed, or not opened. */
export type SealedRefusal =
  /** Not the text of a sealed backup, or of a backup. */
  | 'malformed'
  /** Sealed to another key. */
  | 'other_recipient'
  /** With this public key nothing can be agreed on. */
  | 'bad_key'
  /** Changed since it was sealed, or never sealed to this key. */
  | 'not_authentic'

/** A sealed backup that is none, or not for whoever tries it. */
export class SealedBackupRefused extends Error {
  override readonly name = 'SealedBackupRefused'
  constructor(
    readonly reason: SealedRefusal,
    message: string,
  ) {
    super(message)
  }
}

/** A sealed backup as everybody can read it. */
export interface SealedBackup extends SealedFor {
  readonly subject: BackupSubject
}

/**
 * Seals a backup to a recipient. docs/spec/sealed-backup.md, section 4
 * @param backup as it travels, in base64
 * @returns the sealed one, in base64
 * @throws SealedBackupRefused `bad_key`, `malformed` for what is no backup; what the platform's own cryptography throws
 */
export async function sealBackup(backup: string, to: SealedFor): Promise<string> {
  const bytes = reading(() => decodeText(backup), NO_BACKUP)
  let rest: Uint8Array<ArrayBuffer> | undefined
  try {
    const split = reading(() => splitBackup(bytes), NO_BACKUP)
    rest = Uint8Array.from(split.rest)
    split.rest.fill(0)
    const associated = encodeAssociated(to, split.prelude)
    if (!agreesWith(to.recipientKey))
      throw new SealedBackupRefused('bad_key', 'nothing can be sealed to this public key')
    const hpke = suite()
    const recipientPublicKey = await hpke.kem.importKey('raw', copy(to.recipientKey), true)
    const sender = await hpke.createSenderContext({ recipientPublicKey, info: copy(INFO) })
    const ciphertext = await sender.seal(rest.buffer, copy(associated))
    return encodeSealed(associated, new Uint8Array(sender.enc), new Uint8Array(ciphertext))
  } finally {
    bytes.fill(0)
    rest?.fill(0)
  }
}

/**
 * Reads what is in the clear. Nothing proves it before the backup is opened.
 * @throws SealedBackupRefused `malformed`
 */
export function readSealedBackup(text: string): SealedBackup {
  return reading(() => {
    const { recipient, recipientKey, exportedAt, prelude } = decodeSealed(text)
    return { recipient, recipientKey, exportedAt, subject: readSubject(prelude) }
  }, NOT_SEALED)
}

/**
 * Opens a sealed backup. docs/spec/sealed-backup.md, section 5
 * @param secret the recipient's X25519 private key, 32 bytes
 * @returns the backup as an import takes it, in base64
 * @throws SealedBackupRefused; what the platform's own cryptography throws before anything of the blob is tried
 */
export async function openSealedBackup(text: string, secret: Uint8Array): Promise<string> {
  if (secret.length !== KEY_BYTES) throw new RangeError('a private key has 32 bytes')
  const parts = reading(() => decodeSealed(text), NOT_SEALED)
  if (!isOf(parts, secret))
    throw new SealedBackupRefused('other_recipient', 'this backup is sealed to another key')
  if (!agreesWith(parts.enc)) notAuthentic()
  const hpke = suite()
  const raw = copy(secret)
  let rest: Uint8Array | undefined
  let whole: Uint8Array | undefined
  try {
    const recipientKey = await hpke.kem.importKey('raw', raw, false)
    const enc = copy(parts.enc)
    const recipient = await hpke.createRecipientContext({ recipientKey, enc, info: copy(INFO) })
    const opening = recipient.open(copy(parts.ciphertext), copy(parts.associated))
    rest = new Uint8Array(await opening.catch(notAuthentic))
    whole = concatBytes(parts.prelude, rest)
    return encodeText(whole)
  } finally {
    new Uint8Array(raw).fill(0)
    rest?.fill(0)
    whole?.fill(0)
  }
}

function notAuthentic(): never {
  throw new SealedBackupRefused(
    'not_authentic',
    'this backup was changed, or was never sealed to the key that it names',
  )
}

const NO_BACKUP = 'this is no backup'
const NOT_SEALED = 'this is no sealed backup'

const suite = () =>
  new CipherSuite({
    kem: new DhkemX25519HkdfSha256(),
    kdf: new HkdfSha256(),
    aead: new Aes256Gcm(),
  })

/** Any secret tells: a point with which one agrees on nothing is one with which none does. */
const SOME_SECRET = new Uint8Array(32).fill(1)

/** Whether a secret can be agreed on with this public key of X25519: RFC 7748, section 6.1. */
function agreesWith(publicKey: Uint8Array): boolean {
  try {
    x25519.getSharedSecret(SOME_SECRET, publicKey)
    return true
  } catch {
    return false
  }
}

function isOf({ recipientKey }: SealedParts, secret: Uint8Array): boolean {
  return x25519.getPublicKey(secret).every((byte, i) => byte === recipientKey[i])
}

function reading<T>(read: () => T, message: string): T {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof Malformed)) throw error
    throw new SealedBackupRefused('malformed', message)
  }
}

/** What WebCrypto is given has memory of its own. */
const copy = (bytes: Uint8Array): ArrayBuffer => Uint8Array.from(bytes).buffer
