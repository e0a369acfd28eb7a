import { ed25519 } from '@noble/curves/ed25519.js'
import { concatBytes, utf8ToBytes } from '@noble/hashes/utils.js'
import type { Hash } from './merkle.js'
import {
  COSIGNATURE,
  fromBase64,
  parseNote,
  signatureLine,
  signNote,
  toBase64,
  verifies,
  verifierOf,
  verifyNote,
  type Note,
  type NoteSignature,
  type SignerKey,
  type VerifierKey,
} from './note.js'

// Checkpoints and cosignatures. docs/spec/directory-log.md, 4.7 to 4.9.

/** How large a tree is, and its root. */
export interface TreeHead {
  readonly size: number
  readonly root: Hash
}

export interface Checkpoint extends TreeHead {
  readonly origin: string
  readonly note: Note
}

/** 4.7, 4.8 @param signer its name is the origin */
export const signCheckpoint = ({ size, root }: TreeHead, signer: SignerKey): string =>
  signNote(`${signer.name}\n${size}\n${toBase64(root)}\n`, signer)

/** Undefined for a note that is no checkpoint. Nothing is verified. 4.7 */
export function parseCheckpoint(text: string): Checkpoint | undefined {
  const note = parseNote(text)
  if (note === undefined) return undefined
  const [origin, size, root, ...others] = note.text.slice(0, -1).split('\n')
  if (origin === undefined || origin === '' || others.includes('')) return undefined
  const hash = root === undefined ? undefined : fromBase64(root)
  if (size === undefined || !/^(?:0|[1-9][0-9]{0,15})$/.test(size)) return undefined
  if (hash?.length !== 32 || !Number.isSafeInteger(Number(size))) return undefined
  return { origin, size: Number(size), root: hash, note }
}

/** A checkpoint that this log has signed; undefined for any other text. 4.5, 4.7, 4.8 */
export function openCheckpoint(text: string, log: VerifierKey): Checkpoint | undefined {
  const checkpoint = parseCheckpoint(text)
  if (checkpoint?.origin !== log.name) return undefined
  return verifyNote(checkpoint.note, [log]) === undefined ? undefined : checkpoint
}

/** A signature line in which a witness says that it has checked a checkpoint, without its line end. 4.9 */
export function cosign({ note }: Checkpoint, witness: SignerKey, seconds: number): string {
  const signature = ed25519.sign(cosigned(note, seconds), witness.seed)
  return signatureLine(verifierOf(witness, COSIGNATURE), concatBytes(u64(seconds), signature))
}

/**
 * When a witness has checked a checkpoint, in seconds since 1970. 4.9
 * @returns undefined where it has not, `forged` where a line in its name does not verify
 */
export function cosignedAt(
  { note }: Checkpoint,
  witness: VerifierKey,
): number | 'forged' | undefined {
  const mine = note.signatures.filter(
    ({ name, keyId }) => name === witness.name && keyId === witness.keyId,
  )
  const times = mine.map((signature) => timeOf(note, signature, witness))
  if (times.includes(undefined)) return 'forged'
  return times[0]
}

function timeOf(note: Note, { signature }: NoteSignature, witness: VerifierKey) {
  if (witness.type !== COSIGNATURE || signature.length !== 8 + 64) return undefined
  const seconds = Number(new DataView(signature.buffer, signature.byteOffset, 8).getBigUint64(0))
  if (!Number.isSafeInteger(seconds)) return undefined
  const message = cosigned(note, seconds)
  return verifies(signature.slice(8), message, witness.publicKey) ? seconds : undefined
}

const cosigned = ({ text }: Note, seconds: number) =>
  utf8ToBytes(`cosignature/v1\ntime ${seconds}\n${text}`)

function u64(value: number): Uint8Array {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value))
  return bytes
}
