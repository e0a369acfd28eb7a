import { sha256, sha512 } from '@noble/hashes/sha2.js'
import { ed25519 } from '@noble/curves/ed25519.js'
import { bytesToHex, utf8ToBytes } from '@noble/hashes/utils.js'
import {
  canonical,
  primaryOfSigner,
  signEvent,
  type Envelope,
  type Head,
  type Op,
  type Signer,
} from '@vertex/directory/sigchain'

export const alice: Signer = { scheme: 'ed25519', secret: new Uint8Array(32).fill(1) }
export const bob: Signer = { scheme: 'ed25519', secret: new Uint8Array(32).fill(2) }
export const nora: Signer = { scheme: 'nostr', secret: new Uint8Array(32).fill(3) }

export const createdAt = '2026-05-24T19:00:00Z'

export const next = (
  signer: Signer,
  head: Head | undefined,
  subject = 'github:jason',
  op: Op = 'add',
) => signEvent(signer, head, { op, subject, createdAt })

/** A chain of so many events, as its owner makes it. */
export function chainOf(signer: Signer, length: number, subject = 'github:jason') {
  const made: ReturnType<typeof next>[] = []
  for (let seq = 0; seq < length; seq++)
    made.push(next(signer, made.at(-1)?.event, `${subject}-${seq}`))
  return made
}

export const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes)

/** An envelope with some of its parts replaced and, unless told otherwise, signed by whoever owns it. */
export function altered(
  signer: Signer,
  bytes: Uint8Array,
  change: (envelope: Record<string, any>) => void, // eslint-disable-line @typescript-eslint/no-explicit-any
  how: 'signed' | 'as it was' = 'signed',
): Uint8Array {
  const envelope = JSON.parse(textOf(bytes)) as Record<string, any> // eslint-disable-line @typescript-eslint/no-explicit-any
  change(envelope)
  if (how === 'signed')
    envelope['signature'].sig = bytesToHex(
      ed25519.sign(sha512(canonical(envelope['payload'])), signer.secret),
    )
  return utf8ToBytes(JSON.stringify(envelope))
}

/** The envelope signed under the other reading of `ed25519-sha512-jcs`. */
export function signedUnhashed(signer: Signer, bytes: Uint8Array): Uint8Array {
  const envelope = JSON.parse(textOf(bytes)) as Envelope
  const sig = bytesToHex(ed25519.sign(canonical(envelope.payload), signer.secret))
  return utf8ToBytes(JSON.stringify({ ...envelope, signature: { ...envelope.signature, sig } }))
}

export const hashOf = (bytes: Uint8Array) =>
  `sha256:${bytesToHex(sha256(canonical(JSON.parse(textOf(bytes)) as object)))}`

export const primary = (signer: Signer) => primaryOfSigner(signer)
