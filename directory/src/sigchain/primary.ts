import { bech32 } from '@scure/base'
import { bytesToHex, hexToBytes } from '@noble/hashes/utils.js'
import { refuse } from './refusal.js'

/** How a primary key signs. */
export type Scheme = 'ed25519' | 'nostr'

/** The key whose history a sigchain is. */
export interface Primary {
  readonly scheme: Scheme
  /** What stands after the colon: lower-case hex, or npub1… */
  readonly id: string
  /** As events name it. */
  readonly text: string
  /** 32 bytes: of Ed25519, or x-only of secp256k1. */
  readonly key: Uint8Array
}

/**
 * Reads `ed25519:<64 lower-case hex digits>` or `nostr:npub1…`. There is one way to write a key: any other is refused,
 * so that a key has one chain.
 * @throws SigchainRefusal
 */
export function parsePrimary(text: string): Primary {
  const colon = text.indexOf(':')
  const [scheme, id] = [text.slice(0, Math.max(0, colon)), text.slice(colon + 1)]
  if (scheme === 'ed25519') {
    if (!/^[0-9a-f]{64}$/.test(id))
      throw refuse('bad_primary', 'an ed25519 primary has 64 lower-case hex digits')
    return { scheme, id, text, key: hexToBytes(id) }
  }
  if (scheme === 'nostr') {
    const key = keyOfNpub(id)
    if (key === undefined)
      throw refuse('bad_primary', 'a nostr primary is an npub1… in lower case, of 32 bytes')
    return { scheme, id, text, key }
  }
  throw refuse('bad_primary', 'a primary is ed25519:<hex> or nostr:<npub>')
}

/** The primary of a public key. */
export function primaryOf(scheme: Scheme, key: Uint8Array): Primary {
  const id = scheme === 'ed25519' ? bytesToHex(key) : npubOf(key)
  return { scheme, id, text: `${scheme}:${id}`, key }
}

const npubOf = (key: Uint8Array): string => bech32.encodeFromBytes('npub', key)

function keyOfNpub(id: string): Uint8Array | undefined {
  try {
    const { prefix, bytes } = bech32.decodeToBytes(id)
    return prefix === 'npub' && bytes.length === 32 && npubOf(bytes) === id ? bytes : undefined
  } catch {
    return undefined
  }
}
