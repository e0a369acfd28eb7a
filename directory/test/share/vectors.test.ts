import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  codeOf,
  decodeDeleteRequest,
  decodeFetchRequest,
  decodePayload,
  decodeRequest,
  decodeShareRequest,
  encodeDeleteRequest,
  encodeFetchRequest,
  encodePayload,
  encodeShareRequest,
  fingerprintOf,
  locatorOf,
  normaliseEmail,
  type SharePayload,
} from '@vertex/directory/share'

/** Written by the library of the original. docs/spec/share-codes.md, section 12 */
const vectors = JSON.parse(
  readFileSync(join(import.meta.dirname, 'vectors.json'), 'utf8'),
) as Readonly<Record<string, string>>

const bytes = (name: string) => new Uint8Array(Buffer.from(vectors[name]!, 'hex'))
const hex = (value: Uint8Array) => Buffer.from(value).toString('hex')
const text = (value: string) => new TextEncoder().encode(value)
const of = (byte: number, length: number) => new Uint8Array(length).fill(byte)

const contact: SharePayload = {
  type: 'contact',
  identity: 'alice@example.com',
  publicKey: text('public-key-material'),
  signingKey: text('signing-public-key-material'),
  fingerprint: of(1, 32),
  nonce: of(2, 24),
  createdAt: 0x191a2032200n,
  expiresAt: 0x191a7297e00n,
}
const replacement = {
  identity: 'alice@example.com',
  oldFingerprint: of(3, 16),
  publicKey: text('new-public-key'),
  signingKey: text('new-signing-key'),
  fingerprint: of(4, 16),
  nonce: of(5, 24),
  createdAt: 0x191a2032200n,
  expiresAt: 0x191a2032201n,
}

describe('bytes that the original wrote', () => {
  it.each([
    ['contact_share_payload_hex', contact],
    [
      'signed_replacement_payload_hex',
      { type: 'signed-replacement', signature: of(6, 64), ...replacement },
    ],
    [
      'unsigned_replacement_payload_hex',
      { type: 'unsigned-replacement', signature: undefined, ...replacement },
    ],
  ] as const)('%s', (name, payload) => {
    expect(hex(encodePayload(payload))).toBe(vectors[name])
    expect(decodePayload(bytes(name))).toEqual(payload)
  })

  it.each([
    ['share_request_900_1_hex', 1, undefined],
    ['share_request_email_hex', 2, 'alice@example.com'],
  ])('%s', (name, maxFetches, email) => {
    const asked = { ttlSeconds: 900, maxFetches, payload: encodePayload(contact), email }
    expect(hex(encodeShareRequest(asked))).toBe(vectors[name])
    const { operation, body } = decodeRequest(bytes(name))
    expect(operation).toBe(1)
    expect(decodeShareRequest(body)).toEqual(asked)
  })

  it('fetch and delete requests', () => {
    const code = '01123456789012'
    expect(hex(encodeFetchRequest(code))).toBe(vectors['fetch_request_hex'])
    expect(decodeFetchRequest(decodeRequest(bytes('fetch_request_hex')).body)).toBe(code)
    const asked = { code, deleteToken: of(9, 32) }
    expect(hex(encodeDeleteRequest(asked))).toBe(vectors['delete_request_hex'])
    expect(decodeDeleteRequest(decodeRequest(bytes('delete_request_hex')).body)).toEqual(asked)
  })

  it('locators', () => {
    const names = Object.keys(vectors).filter((name) => name.startsWith('locator_'))
    expect(names.length).toBe(7)
    for (const name of names) {
      const found = locatorOf(name.slice('locator_'.length))
      expect(found ? `Some((${found.primary}, ${found.secondary}))` : 'None', name).toBe(
        vectors[name],
      )
    }
    expect(codeOf({ primary: 0, secondary: 35 }, '123456789012')).toBe('0z123456789012')
  })

  it('fingerprints and addresses', () => {
    for (const name of ['contact_fingerprint_0', 'contact_fingerprint_1']) {
      const of = vectors[name] as unknown as Record<string, string>
      const key = (field: string) => new Uint8Array(Buffer.from(of[field]!, 'hex'))
      const keys = { publicKey: key('public_key_hex'), signingKey: key('signing_key_hex') }
      expect(hex(fingerprintOf({ email: of['email']!, ...keys }))).toBe(of['fingerprint_hex'])
    }
    for (const email of ['', '@x', 'x@', 'noat', 'a\0@b'])
      expect(normaliseEmail(email), email).toBeUndefined()
  })
})
