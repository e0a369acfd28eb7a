import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { apiKeys, BackupSecret } from '../../src/seal/index.js'
import { userId } from './setup.js'

const secret = (byte: number, vaultName = 'v') =>
  new BackupSecret(new Uint8Array(32).fill(byte), vaultName, 'n', `${byte}`)
const codec = (...secrets: BackupSecret[]) => apiKeys(() => secrets.map((one) => one.tagKey()))
const keys = codec(secret(1))
const issuedAt = 1_760_000_000_123
const issue = (from = keys, expiresAt: number | null = null) =>
  from.issue({ userId, issuedAt, expiresAt })

describe('an API key', () => {
  it('carries its id, its user, its issue time and its expiry', () => {
    const expiring = issue(keys, issuedAt + 1000)
    expect(keys.parse(expiring.text)?.claims).toEqual(expiring.claims)
    expect(expiring.claims).toMatchObject({ userId, issuedAt, expiresAt: issuedAt + 1000 })
    expect(keys.parse(issue().text)?.claims.expiresAt).toBeNull()
    expect(expiring.claims.apiKeyId).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
  })

  it('begins with vtx_, needs no escaping in a header, and is random', () => {
    const [a, b] = [issue(), issue()]
    expect(a.text).toMatch(/^vtx_[A-Za-z0-9_-]{162}$/)
    expect(a.text).not.toBe(b.text)
    expect(a.claims.apiKeyId).not.toBe(b.claims.apiKeyId)
  })

  it('is kept as the hash of its text', () => {
    const { text, secretHash } = issue()
    expect(secretHash).toEqual(new Uint8Array(createHash('sha256').update(text).digest()))
    expect(keys.parse(text)?.secretHash).toEqual(secretHash)
  })

  it('is recognised by every enabled secret of a vault of this name, and by no other', () => {
    const { text } = issue()
    expect(keys.verifyTag(text)).toBe(true)
    expect(codec(secret(2), secret(1)).verifyTag(text)).toBe(true)
    expect(codec(secret(2)).verifyTag(text)).toBe(false)
    expect(codec(secret(1, 'other')).verifyTag(text)).toBe(false)
    expect(codec(secret(1)).verifyTag(issue(codec(secret(2), secret(1))).text)).toBe(false)
  })

  it('is not recognised with any byte of it changed', () => {
    const { text } = issue(keys, issuedAt + 5)
    const bytes = Buffer.from(text.slice(4), 'base64url')
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes)
      changed[at]! ^= 0x04
      expect(keys.verifyTag('vtx_' + changed.toString('base64url'))).toBe(false)
    }
  })

  it('in any other form is none: case, padding, white space, length, spare bits', () => {
    const { text } = issue()
    const last = text.at(-1)!
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    const spare = text.slice(0, -1) + alphabet[alphabet.indexOf(last) ^ 1]!
    const others = [
      '',
      'vtx_',
      text.slice(4),
      text.toUpperCase(),
      `Bearer ${text}`,
      `${text}=`,
      ` ${text}`,
      `${text}\n`,
      text.slice(0, -1),
      `${text}A`,
      text.replace('vtx_', 'vty_'),
      `${text.slice(0, 20)}+${text.slice(21)}`,
      spare,
    ]
    for (const other of others) {
      expect(keys.parse(other), other).toBeUndefined()
      expect(keys.verifyTag(other)).toBe(false)
    }
  })
})
