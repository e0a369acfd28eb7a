import { createPublicKey, verify } from 'node:crypto'
import { blake3 } from '@noble/hashes/blake3.js'
import { bytesToHex, verifyKeyIdNotExists, verifySuccessor, type KeyIdNotExists } from '@vertex/mpc'
import { beforeAll, describe, expect, it } from 'vitest'
import { vaultIdentity } from '../../src/seal/index.js'
import type { VaultIdentityPort } from '../../src/vault/ports.js'
import { heldSource, keyId, loadSecrets, vaultName, version } from './setup.js'

const statement: KeyIdNotExists = {
  vaultName,
  apiKeyId: '6f1b2c3d-0000-4000-8000-000000000001',
  keyId,
  generation: 'ab'.repeat(16),
  nonce: new Uint8Array(32).fill(7),
}
let old: VaultIdentityPort
let rotated: VaultIdentityPort

beforeAll(async () => {
  old = vaultIdentity(await loadSecrets(heldSource(version(1))))
  rotated = vaultIdentity(await loadSecrets(heldSource(version(2), version(1))))
})

describe('the identity of a vault', () => {
  it('is the same wherever the same secret is, and another in a vault of another name', async () => {
    const again = vaultIdentity(await loadSecrets(heldSource(version(1, 'renamed', 'moved'))))
    expect(again.newest).toEqual(old.newest)
    expect(old.newest.fingerprint).toMatch(/^[0-9a-f]{64}$/)
    const staging = vaultIdentity(await loadSecrets(heldSource(version(1)), 'staging'))
    expect(staging.newest.fingerprint).not.toBe(old.newest.fingerprint)
  })

  it('signs key_id_not_exists so that the client can check every word of it', () => {
    const { publicKey, signature, successor } = old.signKeyIdNotExists(
      statement,
      old.newest.fingerprint,
    )!
    expect(publicKey).toEqual(old.newest.publicKey)
    expect(successor).toBeUndefined()
    expect(verifyKeyIdNotExists(publicKey, statement, signature)).toBe(true)
    const lies: Partial<KeyIdNotExists>[] = [
      { vaultName: 'other' },
      { apiKeyId: 'other' },
      { keyId: 'other' },
      { generation: 'cd'.repeat(16) },
      { nonce: new Uint8Array(32).fill(8) },
      { nonce: new Uint8Array(31).fill(7) },
      // The same letters, divided otherwise.
      { vaultName: vaultName + statement.apiKeyId[0]!, apiKeyId: statement.apiKeyId.slice(1) },
    ]
    for (const lie of lies)
      expect(verifyKeyIdNotExists(publicKey, { ...statement, ...lie }, signature)).toBe(false)
    for (const at of [0, 31, 32, 63]) {
      const changed = signature.slice()
      changed[at]! ^= 1
      expect(verifyKeyIdNotExists(publicKey, statement, changed)).toBe(false)
    }
    expect(verifyKeyIdNotExists(rotated.newest.publicKey, statement, signature)).toBe(false)
    expect(verifyKeyIdNotExists(publicKey.subarray(1), statement, signature)).toBe(false)
    expect(verifyKeyIdNotExists(publicKey, statement, signature.subarray(1))).toBe(false)
    expect(verifyKeyIdNotExists(new Uint8Array(32), statement, new Uint8Array(64))).toBe(false)
  })

  it('signs what the document says, checked by another implementation of Ed25519', () => {
    const { publicKey, signature } = old.signKeyIdNotExists(statement, old.newest.fingerprint)!
    const item = (bytes: Uint8Array) => {
      const length = Buffer.alloc(8)
      length.writeBigUInt64BE(BigInt(bytes.length))
      return Buffer.concat([length, bytes])
    }
    const words = [vaultName, statement.apiKeyId, statement.keyId, statement.generation]
    const message = blake3(
      Buffer.concat([...words.map((word) => item(Buffer.from(word))), item(statement.nonce)]),
      { key: blake3(Buffer.from('vertex/v1/key-id-not-exists')) },
    )
    const spki = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), publicKey])
    const key = createPublicKey({ key: spki, format: 'der', type: 'spki' })
    expect(verify(null, message, key, signature)).toBe(true)
  })

  it('after a rotation answers with the identity the client pinned, and vouches for the newest', () => {
    const pinned = old.newest
    const { publicKey, signature, successor } = rotated.signKeyIdNotExists(
      statement,
      pinned.fingerprint,
    )!
    expect(publicKey).toEqual(pinned.publicKey)
    expect(verifyKeyIdNotExists(publicKey, statement, signature)).toBe(true)
    expect(successor?.publicKey).toEqual(rotated.newest.publicKey)
    const succession = { vaultName, pinned: publicKey, successor: successor!.publicKey }
    expect(verifySuccessor(succession, successor!.signature)).toBe(true)
    const swapped = { vaultName, pinned: successor!.publicKey, successor: publicKey }
    expect(verifySuccessor(swapped, successor!.signature)).toBe(false)
    expect(verifySuccessor({ ...succession, vaultName: 'x' }, successor!.signature)).toBe(false)
    expect(verifySuccessor({ ...succession, successor: publicKey }, successor!.signature)).toBe(
      false,
    )
    expect(verifySuccessor(succession, signature)).toBe(false)
    const stranger = new Uint8Array(32).fill(9)
    expect(verifySuccessor({ ...succession, pinned: stranger }, successor!.signature)).toBe(false)
  })

  it('does not sign for an identity whose secret is not enabled here', () => {
    expect(old.signKeyIdNotExists(statement, rotated.newest.fingerprint)).toBeUndefined()
    expect(old.signKeyIdNotExists(statement, '')).toBeUndefined()
    expect(old.signKeyIdNotExists(statement, bytesToHex(new Uint8Array(32)))).toBeUndefined()
  })
})
