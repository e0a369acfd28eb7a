import { hmac } from '@noble/hashes/hmac.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { concatBytes, randomBytes, utf8ToBytes } from '@noble/hashes/utils.js'
import { bytesToHex, equalBytes, hexToBytes } from '@vertex/mpc'
import type { ApiKeyClaims, ApiKeyPort } from '../vault/ports.js'
import { u64, u8 } from './bytes.js'
import { TAG_KEY_ID_BYTES, type TagKey } from './hierarchy.js'

const PREFIX = 'vtx_'
const FORMAT = 1
const ID_BYTES = 16
const RANDOM_BYTES = 32
const TAG_BYTES = 32
const TAGGED_BYTES = 1 + ID_BYTES + ID_BYTES + 8 + 8 + RANDOM_BYTES + TAG_KEY_ID_BYTES
const TEXT = /^vtx_[A-Za-z0-9_-]+$/
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/**
 * API keys that carry their own proof: a rebuilt server that knows nobody recognises by the tag the keys this vault
 * once gave out. docs/spec/key-hierarchy.md, section 5.
 *
 * @param tagKeys newest first, never empty: of every enabled backup secret, or of the storage key in plaintext mode
 */
export function apiKeys(tagKeys: () => readonly TagKey[]): ApiKeyPort {
  return {
    issue({ userId, issuedAt, expiresAt }) {
      const { id, key } = tagKeys()[0]!
      const apiKeyId = randomBytes(ID_BYTES)
      const tagged = concatBytes(
        u8(FORMAT),
        apiKeyId,
        uuidBytes(userId),
        u64(issuedAt),
        u64(expiresAt ?? 0),
        randomBytes(RANDOM_BYTES),
        id,
      )
      const text = PREFIX + base64url(concatBytes(tagged, tagOf(key, tagged)))
      const claims = { apiKeyId: uuidText(apiKeyId), userId, issuedAt, expiresAt }
      return { text, claims, secretHash: hashOf(text) }
    },
    parse(text) {
      const bytes = decode(text)
      const claims = bytes && claimsOf(bytes)
      return claims && { claims, secretHash: hashOf(text) }
    },
    verifyTag(text) {
      const bytes = decode(text)
      if (bytes === undefined || claimsOf(bytes) === undefined) return false
      const tagged = bytes.subarray(0, TAGGED_BYTES)
      const id = tagged.subarray(TAGGED_BYTES - TAG_KEY_ID_BYTES)
      return tagKeys()
        .filter((one) => equalBytes(one.id, id))
        .some(({ key }) => equalBytes(tagOf(key, tagged), bytes.subarray(TAGGED_BYTES)))
    },
  }
}

function tagOf(key: Uint8Array, tagged: Uint8Array): Uint8Array {
  return hmac(sha256, key, concatBytes(utf8ToBytes('vertex/v1/api-key'), u8(0), tagged))
}

/** Of the text as it is sent. The key's 32 random bytes make a slow hash pointless. */
function hashOf(text: string): Uint8Array {
  return sha256(utf8ToBytes(text))
}

/** The one text of these bytes, or nothing. */
function decode(text: string): Uint8Array | undefined {
  const characters = Math.ceil(((TAGGED_BYTES + TAG_BYTES) * 4) / 3)
  if (text.length !== PREFIX.length + characters || !TEXT.test(text)) return undefined
  const bytes = Buffer.from(text.slice(PREFIX.length), 'base64url')
  if (bytes.length !== TAGGED_BYTES + TAG_BYTES) return undefined
  if (PREFIX + bytes.toString('base64url') !== text) return undefined
  return new Uint8Array(bytes)
}

function claimsOf(bytes: Uint8Array): ApiKeyClaims | undefined {
  if (bytes[0] !== FORMAT) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const at = 1 + 2 * ID_BYTES
  const issuedAt = Number(view.getBigUint64(at))
  const expires = Number(view.getBigUint64(at + 8))
  if (!Number.isSafeInteger(issuedAt) || !Number.isSafeInteger(expires)) return undefined
  return {
    apiKeyId: uuidText(bytes.subarray(1, 1 + ID_BYTES)),
    userId: uuidText(bytes.subarray(1 + ID_BYTES, at)),
    issuedAt,
    expiresAt: expires === 0 ? null : expires,
  }
}

function uuidBytes(uuid: string): Uint8Array {
  if (!UUID.test(uuid)) throw new RangeError('a user_id is a UUID in lower case')
  return hexToBytes(uuid.replaceAll('-', ''))
}

function uuidText(bytes: Uint8Array): string {
  return bytesToHex(bytes).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url')
}
