import { ed25519 } from '@noble/curves/ed25519.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, concatBytes, utf8ToBytes } from '@noble/hashes/utils.js'
import { base64 } from '@scure/base'
import { decodeBase64 } from '../base64.js'

// Signed notes. docs/spec/directory-log.md, 4.1 to 4.6.

/** What a signature is over: the text of a note, or what a cosigner says of a checkpoint. */
export const ED25519 = 1
export const COSIGNATURE = 4
export type SignatureType = typeof ED25519 | typeof COSIGNATURE

export interface NoteSignature {
  readonly name: string
  /** 8 hex digits. */
  readonly keyId: string
  readonly signature: Uint8Array
  /** The line itself, without its end. */
  readonly line: string
}

export interface Note {
  /** With its line end. */
  readonly text: string
  readonly signatures: readonly NoteSignature[]
}

/** A public key and the name it has in notes. */
export interface VerifierKey {
  readonly name: string
  readonly keyId: string
  readonly type: SignatureType
  readonly publicKey: Uint8Array
}

/** A seed and the name it has in notes. */
export interface SignerKey {
  readonly name: string
  /** 32 bytes. */
  readonly seed: Uint8Array
}

/** 4.6 */
export const MOST_NOTE_LENGTH = 16_384
const MOST_SIGNATURES = 64

/** Whether a key may have this name. 4.2 */
export const isKeyName = (name: string): boolean => /^[^\s+\p{Cc}]+$/u.test(name)

/** Undefined for what is no note. 4.1, 4.2, 4.6 */
export function parseNote(note: string): Note | undefined {
  if (note.length > MOST_NOTE_LENGTH || !note.endsWith('\n')) return undefined

  if (/[\u0000-\u0009\u000b-\u001f\ufffd]|\p{Surrogate}/u.test(note)) return undefined
  const end = note.lastIndexOf('\n\n')
  if (end <= 0) return undefined
  const lines = note.slice(end + 2, -1).split('\n')
  if (lines.length > MOST_SIGNATURES) return undefined
  const signatures = lines.map(parseSignatureLine)
  if (!signatures.every((signature) => signature !== undefined)) return undefined
  return { text: note.slice(0, end + 1), signatures }
}

/** Undefined for what is no signature line. 4.1, 4.2 */
export function parseSignatureLine(line: string): NoteSignature | undefined {
  const [, name, encoded] = /^— (\S+) (\S+)$/.exec(line) ?? []
  const bytes = encoded === undefined ? undefined : decodeBase64(encoded)
  if (name === undefined || !isKeyName(name) || bytes === undefined || bytes.length < 5)
    return undefined
  return { name, keyId: bytesToHex(bytes.slice(0, 4)), signature: bytes.slice(4), line }
}

/** 4.3 */
export function keyIdOf(name: string, type: SignatureType, publicKey: Uint8Array): string {
  const bytes = concatBytes(utf8ToBytes(`${name}\n`), Uint8Array.of(type), publicKey)
  return bytesToHex(sha256(bytes).slice(0, 4))
}

/** The public half of a signer. */
export function verifierOf({ name, seed }: SignerKey, type: SignatureType = ED25519): VerifierKey {
  const publicKey = ed25519.getPublicKey(seed)
  return { name, type, publicKey, keyId: keyIdOf(name, type, publicKey) }
}

/** 4.4 */
export const formatVerifierKey = ({ name, keyId, type, publicKey }: VerifierKey): string =>
  `${name}+${keyId}+${base64.encode(concatBytes(Uint8Array.of(type), publicKey))}`

/** Undefined for what is no verifier key, or one of a type that is not known here. 4.4 */
export function parseVerifierKey(text: string): VerifierKey | undefined {
  const [, name, keyId, encoded] = /^([^+]+)\+([0-9a-f]{8})\+(\S+)$/.exec(text) ?? []
  const bytes = encoded === undefined ? undefined : decodeBase64(encoded)
  if (name === undefined || keyId === undefined || !isKeyName(name)) return undefined
  const type = bytes?.[0]
  if (bytes?.length !== 33 || (type !== ED25519 && type !== COSIGNATURE)) return undefined
  const publicKey = bytes.slice(1)
  return keyIdOf(name, type, publicKey) === keyId ? { name, keyId, type, publicKey } : undefined
}

/** A note with one signature. @throws RangeError for a text that cannot be one */
export function signNote(text: string, signer: SignerKey): string {
  const note = `${text}\n${signatureLine(verifierOf(signer), ed25519.sign(utf8ToBytes(text), signer.seed))}\n`
  if (parseNote(note)?.text !== text) throw new RangeError('this text cannot be a note')
  return note
}

/** A signature as a line of a note, without its end. */
export const signatureLine = ({ name, keyId }: VerifierKey, signature: Uint8Array): string =>
  `— ${name} ${base64.encode(concatBytes(hexBytes(keyId), signature))}`

/**
 * Which of these keys have signed a note. 4.5
 * @returns undefined when none has, or when a signature of one of them is not right
 */
export function verifyNote(
  { text, signatures }: Note,
  keys: readonly VerifierKey[],
): readonly VerifierKey[] | undefined {
  const signers = new Set<VerifierKey>()
  const message = utf8ToBytes(text)
  for (const { name, keyId, signature } of signatures) {
    const key = keys.find((known) => known.name === name && known.keyId === keyId)
    if (key?.type !== ED25519) continue
    if (!verifies(signature, message, key.publicKey)) return undefined
    signers.add(key)
  }
  return signers.size === 0 ? undefined : [...signers]
}

/** RFC 8032, strictly: no small-order key, no second encoding. 4.5 */
export function verifies(
  signature: Uint8Array,
  message: Uint8Array,
  publicKey: Uint8Array,
): boolean {
  try {
    return ed25519.verify(signature, message, publicKey, { zip215: false })
  } catch {
    return false
  }
}

/** Padded, its spare bits zero; undefined for anything else. 4.2 */
export { decodeBase64 as fromBase64 }

export const toBase64 = (bytes: Uint8Array): string => base64.encode(bytes)

const hexBytes = (hex: string): Uint8Array =>
  Uint8Array.from(hex.match(/../g)!, (pair) => parseInt(pair, 16))
