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
 * @throws SealedBackupRefused `bad_key`, `malformed` for what is no backup
 */
export async function sealBackup(backup: string, to: SealedFor): Promise<string> {
  const { prelude, rest } = reading(() => splitBackup(decodeText(backup)), 'this is no backup')
  const associated = encodeAssociated(to, prelude)
  const hpke = suite()
  try {
    const recipientPublicKey = await hpke.kem.importKey('raw', copy(to.recipientKey), true)
    const sender = await hpke.createSenderContext({ recipientPublicKey, info: copy(INFO) })
    const ciphertext = await sender.seal(copy(rest), copy(associated))
    return encodeSealed(associated, new Uint8Array(sender.enc), new Uint8Array(ciphertext))
  } catch {
    throw new SealedBackupRefused('bad_key', 'nothing can be sealed to this public key')
  } finally {
    rest.fill(0)
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
 * @throws SealedBackupRefused
 */
export async function openSealedBackup(text: string, secret: Uint8Array): Promise<string> {
  if (secret.length !== KEY_BYTES) throw new RangeError('a private key has 32 bytes')
  const parts = reading(() => decodeSealed(text), NOT_SEALED)
  if (!isOf(parts, secret))
    throw new SealedBackupRefused('other_recipient', 'this backup is sealed to another key')
  const hpke = suite()
  let rest: Uint8Array
  try {
    const recipientKey = await hpke.kem.importKey('raw', copy(secret), false)
    const enc = copy(parts.enc)
    const recipient = await hpke.createRecipientContext({ recipientKey, enc, info: copy(INFO) })
    rest = new Uint8Array(await recipient.open(copy(parts.ciphertext), copy(parts.associated)))
  } catch {
    throw new SealedBackupRefused(
      'not_authentic',
      'this backup was changed, or was never sealed to the key that it names',
    )
  }
  return encodeText(concatBytes(parts.prelude, rest))
}

const NOT_SEALED = 'this is no sealed backup'

const suite = () =>
  new CipherSuite({
    kem: new DhkemX25519HkdfSha256(),
    kdf: new HkdfSha256(),
    aead: new Aes256Gcm(),
  })

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
