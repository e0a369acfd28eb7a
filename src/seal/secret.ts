import { SecretSettingError } from './errors.js'

/** Bytes of every secret an operator gives. */
export const SECRET_BYTES = 32

const HEX = /^(?:[0-9a-f]{64}|[0-9A-F]{64})$/
const BASE64 = /^[A-Za-z0-9+/]{43}=$/
const BASE64URL = /^[A-Za-z0-9_-]{43}=?$/

/**
 * Reads the one form a secret may have: exactly 32 bytes as base64, base64url (padded or not) or hex, with white space
 * around it. Anything else is refused rather than guessed at, because a secret that is read differently tomorrow opens
 * no backup.
 * @param setting named in the error
 * @throws SecretSettingError
 */
export function parseSecret(text: string, setting: string): Uint8Array {
  // Only ASCII white space: String.trim would take a byte order mark away as well.
  const value = text.replace(/^[ \t\r\n]+|[ \t\r\n]+$/g, '')
  const bytes = decode(value)
  if (bytes?.length !== SECRET_BYTES)
    throw new SecretSettingError(
      setting,
      'the secret must be exactly 32 bytes, written as base64, base64url or hex',
    )
  return bytes
}

function decode(value: string): Uint8Array | undefined {
  if (HEX.test(value)) return new Uint8Array(Buffer.from(value, 'hex'))
  const encoding = BASE64.test(value) ? 'base64' : BASE64URL.test(value) ? 'base64url' : undefined
  if (encoding === undefined) return undefined
  const bytes = Buffer.from(value, encoding)
  // Node ignores the bits behind the last byte; a text that is not the one encoding of its bytes is a damaged one.
  const canonical = bytes.toString(encoding)
  if (canonical !== value && canonical + '=' !== value) return undefined
  return new Uint8Array(bytes)
}
