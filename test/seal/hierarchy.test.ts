import { createPublicKey, hkdfSync } from 'node:crypto'
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { BackupSecret, secretFingerprint, StorageKey } from '../../src/seal/index.js'
import { backupKey, fingerprintOf } from './by-hand.js'

const bytes = new Uint8Array(32).map((_, i) => i)
const hex = (b: Uint8Array) => Buffer.from(b).toString('hex')
const backup = (name = 'prod') => new BackupSecret(bytes, name, 'n', 'v')

describe('the key hierarchy', () => {
  it('gives these very keys for ever', () => {
    const secret = backup()
    expect({
      fingerprint: secret.id,
      backupKey: hex(secret.backupKey()),
      bundleKey: hex(secret.bundleKey()),
      identity: hex(secret.identityPublicKey),
      identitySeed: hex(secret.identitySeed()),
      tagKey: hex(secret.tagKey().key),
      pem: secret.identityPem(),
      rows: hex(new StorageKey(bytes, 'prod').rowsKey()),
      storageTagKey: hex(new StorageKey(bytes, 'prod').tagKey().key),
      auditChain: hex(new StorageKey(bytes, 'prod').auditKeys().chain),
      auditValues: hex(new StorageKey(bytes, 'prod').auditKeys().values),
      logSeed: hex(new StorageKey(bytes, 'prod').logSeed('0'.repeat(32))),
      partySeed: hex(secret.party().seed),
      persistentKeygen: hex(secret.party().keygenSecret),
    }).toMatchSnapshot()
  })

  it('is HKDF-SHA-256 as the document says, by another implementation', () => {
    expect(backup().id).toBe(fingerprintOf(bytes).toString('hex'))
    expect(hex(backup().backupKey())).toBe(backupKey(bytes, 'prod').toString('hex'))
    const derived = (root: string, label: string, name: string) =>
      Buffer.from(
        hkdfSync(
          'sha256',
          bytes,
          root,
          Buffer.concat([Buffer.from(`${label}\0`), Buffer.of(name.length), Buffer.from(name)]),
          32,
        ),
      ).toString('hex')
    const root = 'vertex/v1/backup-secret'
    expect(hex(backup().bundleKey())).toBe(derived(root, 'bundle', 'prod'))
    expect(hex(backup().identitySeed())).toBe(derived(root, 'vault-identity', 'prod'))
    expect(hex(backup().tagKey().key)).toBe(derived(root, 'api-key-tag', 'prod'))
    expect(hex(backup().party().seed)).toBe(derived(root, 'party', 'prod'))
    expect(hex(backup().party().keygenSecret)).toBe(derived(root, 'persistent-keygen', 'prod'))
    const storage = new StorageKey(bytes, 'prod')
    const { seed, keygenSecret } = storage.party()
    expect(hex(seed)).toBe(derived('vertex/v1/storage-key', 'party', 'prod'))
    expect(hex(keygenSecret)).toBe(derived('vertex/v1/storage-key', 'persistent-keygen', 'prod'))
    expect(hex(storage.rowsKey())).toBe(derived('vertex/v1/storage-key', 'rows', ''))
    expect(hex(storage.tagKey().key)).toBe(derived('vertex/v1/storage-key', 'api-key-tag', 'prod'))
    const audit = storage.auditKeys()
    expect(hex(audit.chain)).toBe(derived('vertex/v1/storage-key', 'audit-chain', 'prod'))
    expect(hex(audit.values)).toBe(derived('vertex/v1/storage-key', 'audit-values', 'prod'))
    const logRoot = Buffer.from(derived('vertex/v1/storage-key', 'directory-log', 'prod'), 'hex')
    const logSeed = hkdfSync('sha256', logRoot, '', 'generation ab', 32)
    expect(hex(storage.logSeed('ab'))).toBe(Buffer.from(logSeed).toString('hex'))
    expect(hex(storage.logSeed('ac'))).not.toBe(hex(storage.logSeed('ab')))
  })

  it('gives every purpose, every environment and every kind of root another key', () => {
    const keys = [backup('prod'), backup('staging')].flatMap((secret) => [
      hex(secret.backupKey()),
      hex(secret.bundleKey()),
      hex(secret.identitySeed()),
      hex(secret.tagKey().key),
      secret.identityPem(),
      ...Object.values(secret.party()).map(hex),
    ])
    const storage = new StorageKey(bytes, 'prod')
    keys.push(hex(storage.rowsKey()), hex(storage.tagKey().key), storage.identityPem())
    for (const name of ['prod', 'staging'])
      for (const several of [
        new StorageKey(bytes, name).auditKeys(),
        new StorageKey(bytes, name).party(),
      ])
        keys.push(...Object.values(several).map(hex))
    keys.push(hex(secretFingerprint(bytes)), hex(bytes))
    expect(new Set(keys).size).toBe(keys.length)
  })

  it('names a secret by its bytes alone: whatever the environment and the purpose', () => {
    expect(backup('prod').id).toBe(backup('staging').id)
    expect(new StorageKey(bytes, 'x').id).toBe(backup().id)
    const other = new BackupSecret(new Uint8Array(32), 'prod', 'n', 'v')
    expect(other.id).not.toBe(backup().id)
  })

  it('has an ES256 identity that other software reads as a P-256 public key', () => {
    const key = createPublicKey(backup().identityPem())
    expect(key.asymmetricKeyType).toBe('ec')
    expect(key.asymmetricKeyDetails?.namedCurve).toBe('prime256v1')
    expect(key.export({ type: 'spki', format: 'pem' })).toBe(backup().identityPem())
  })

  it('does not show its keys when printed', () => {
    const secret = backup()
    const storage = new StorageKey(bytes, 'prod')
    const shown = [secret, storage]
      .map((one) => inspect(one, { depth: 9, showHidden: true }) + JSON.stringify(one))
      .join()
    const numbers = (b: Uint8Array) => [...b.subarray(0, 6)].join(', ')
    const audit = Object.values(storage.auditKeys())
    const hidden = [secret.backupKey(), secret.identitySeed(), storage.rowsKey(), ...audit, bytes]
    for (const key of hidden) {
      expect(shown).not.toContain(hex(key))
      expect(shown).not.toContain(numbers(key))
    }
  })
})
