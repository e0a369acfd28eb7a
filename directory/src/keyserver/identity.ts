import { utf8ToBytes } from '@noble/hashes/utils.js'
import { malformed } from './refusal.js'

/** Of a whole identity, in bytes. */
const MAX_IDENTITY = 254
const MIN_LOCALPART = 3
const MAX_LOCALPART = 64

/** The localpart of the keyserver itself, at every domain. */
export const KEYSERVER = 'keyserver'

export interface Identity {
  /** As it stands in messages. */
  readonly text: string
  readonly localpart: string
  readonly domain: string
}

/** The one form of all spellings of an identity. docs/spec/keyserver.md, 1.2 and 1.3 @throws KeyserverRefusal */
export function mapIdentity(given: string): Identity {
  if (utf8ToBytes(given).length > MAX_IDENTITY)
    throw malformed(`identity: maximum total length is ${MAX_IDENTITY}`)
  const parts = given.split('@')
  if (parts.length !== 2)
    throw malformed(`identity: ${JSON.stringify(given)} does not contain exactly one '@'`)
  const localpart = mapLocalpart(parts[0]!)
  const domain = parts[1]!.toLowerCase()
  return { text: `${localpart}@${domain}`, localpart, domain }
}

/** An identity that is in its form already. 1.4 @throws KeyserverRefusal */
export function mappedIdentity(given: string): Identity {
  let identity: Identity | undefined
  try {
    identity = mapIdentity(given)
  } catch {
    // As below.
  }
  if (identity?.text !== given)
    throw malformed('identity: identity is not well-formed or not mapped')
  return identity
}

const similar: Readonly<Record<string, string>> = { '0': 'o', '1': 'l', j: 'i' }

/** @throws KeyserverRefusal */
export function mapLocalpart(given: string): string {
  const lower = given.trim().toLowerCase()
  if (lower.length < MIN_LOCALPART) throw malformed(`identity: minimum length is ${MIN_LOCALPART}`)
  for (const sign of ['-', '.']) {
    if (lower.startsWith(sign)) throw malformed(`identity: starting with '${sign}' not allowed`)
    if (lower.endsWith(sign)) throw malformed(`identity: ending with '${sign}' not allowed`)
  }
  const twice = /--|-\.|\.-|\.\./.exec(lower)?.[0]
  if (twice !== undefined) throw malformed(`identity: sequence '${twice}' not allowed`)
  if (!/^[a-z0-9.-]*$/.test(lower)) throw malformed('identity: a character is not allowed')
  if (lower.length > MAX_LOCALPART)
    throw malformed(`identity: maximum length of localpart is ${MAX_LOCALPART}`)
  return lower.replace(/[01j]/g, (sign) => similar[sign]!)
}
