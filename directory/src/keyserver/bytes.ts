import { base64 } from '@scure/base'
import { sha256, sha512 } from '@noble/hashes/sha2.js'
import { verifyStrict, type Equation } from '../ed25519.js'
import { decodeBase64 } from '../base64.js'

/** Undefined for what is not base64, or not so many bytes. */
export function fromBase64(text: string, length?: number): Uint8Array | undefined {
  // Before anything is made of it.
  if (length !== undefined && text.length !== 4 * Math.ceil(length / 3)) return undefined
  const bytes = decodeBase64(text)
  return bytes === undefined || (length ?? bytes.length) !== bytes.length ? undefined : bytes
}

export const toBase64 = (bytes: Uint8Array): string => base64.encode(bytes)

export const sameBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((byte, i) => byte === b[i])

export const hash256 = (...parts: readonly Uint8Array[]): Uint8Array => hash(sha256, parts)
export const hash512 = (...parts: readonly Uint8Array[]): Uint8Array => hash(sha512, parts)

function hash(of: typeof sha256 | typeof sha512, parts: readonly Uint8Array[]): Uint8Array {
  const state = of.create()
  for (const part of parts) state.update(part)
  return state.digest()
}

/** Whether this is a signature by a key, both in base64. 2.5 */
export function isSignature(
  signature: string,
  publicKey: string,
  message: Uint8Array,
  equation?: Equation,
): boolean {
  const [sig, key] = [fromBase64(signature, 64), fromBase64(publicKey, 32)]
  if (sig === undefined || key === undefined) return false
  return verifyStrict(key, message, sig, equation) === 'valid'
}
