import { RSABSSA } from '@cloudflare/blindrsa-ts'
import { base64 } from '@scure/base'
import { concatBytes, utf8ToBytes } from '@noble/hashes/utils.js'

/*
 * Tokens that pay for calls of a keyserver: RFC 9474, RSABSSA-SHA384-PSS-Randomized. Whoever issues one never sees it,
 * so nobody can tell later who has paid with it. docs/spec/keyserver.md, section 7
 */

const MESSAGE = utf8ToBytes('vertex/v1/keyserver-token')
const RANDOM_BYTES = 32
/** Of a modulus: 2,048 to 4,096 bits. */
const MIN_MODULUS = 256
const MAX_MODULUS = 512

/** What is to be signed of one token, and what makes the token of it; the second stays with whoever asks. */
export interface PendingToken {
  /** Base64; for whoever issues. */
  readonly blinded: string
  /** Base64. */
  readonly random: string
  readonly inverse: string
}

/** Something that is no token, no key, or no signature for it. */
export class TokenRefused extends Error {
  override readonly name = 'TokenRefused'
}

/** @param tokenKey TKNPUBKEY @throws TokenRefused */
export async function prepareTokens(
  tokenKey: string,
  count: number,
): Promise<readonly PendingToken[]> {
  const key = await importKey(tokenKey)
  const made: PendingToken[] = []
  for (let i = 0; i < count; i++) {
    const message = suite.prepare(MESSAGE)
    const { blindedMsg, inv } = await suite.blind(key, message)
    made.push({
      blinded: base64.encode(blindedMsg),
      random: base64.encode(message.slice(0, RANDOM_BYTES)),
      inverse: base64.encode(inv),
    })
  }
  return made
}

/**
 * Makes tokens of what was signed. Each is checked.
 * @param signatures base64, in the order of the pending ones
 * @throws TokenRefused
 */
export async function finishTokens(
  tokenKey: string,
  pending: readonly PendingToken[],
  signatures: readonly string[],
): Promise<readonly string[]> {
  if (pending.length !== signatures.length)
    throw new TokenRefused(`${pending.length} tokens wait for ${signatures.length} signatures`)
  const key = await importKey(tokenKey)
  return Promise.all(
    pending.map(async ({ random, inverse }, i) => {
      try {
        const [start, inv] = [base64.decode(random), base64.decode(inverse)]
        const blind = base64.decode(signatures[i]!)
        const signature = await suite.finalize(key, concatBytes(start, MESSAGE), blind, inv)
        return base64.encode(concatBytes(start, signature))
      } catch {
        throw new TokenRefused(`signature ${i + 1} is not one for its token`)
      }
    }),
  )
}

/** A token, taken apart: what was signed, and the signature. Whether it is good, RSA-PSS tells. */
export interface TokenParts {
  /** Names the token, whatever signature it has. */
  readonly random: Uint8Array
  readonly message: Uint8Array
  readonly signature: Uint8Array
}

/** Undefined for what is no token. */
export function splitToken(token: string): TokenParts | undefined {
  if (token.length > 2 * MAX_MODULUS) return undefined
  let bytes: Uint8Array
  try {
    bytes = base64.decode(token)
  } catch {
    return undefined
  }
  const length = bytes.length - RANDOM_BYTES
  if (length < MIN_MODULUS || length > MAX_MODULUS || base64.encode(bytes) !== token)
    return undefined
  const random = bytes.slice(0, RANDOM_BYTES)
  return { random, message: concatBytes(random, MESSAGE), signature: bytes.slice(RANDOM_BYTES) }
}

const suite = RSABSSA.SHA384.PSS.Randomized()

async function importKey(tokenKey: string): Promise<CryptoKey> {
  try {
    const algorithm = { name: 'RSA-PSS', hash: 'SHA-384' } as const
    return await crypto.subtle.importKey('spki', base64.decode(tokenKey), algorithm, true, [
      'verify',
    ])
  } catch {
    throw new TokenRefused('this is not the token key of a keyserver')
  }
}
