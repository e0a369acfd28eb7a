import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { encodeKeyShare, nobleSuite } from '@vertex/mpc'
import { BackupSecrets, encryptedBackups, plaintextBackups } from '../../src/seal/index.js'
import { dealShares } from './shares.js'

/**
 * Makes the blobs that every later version must open. Run once for each format of blob or share, into the directory
 * given; it never replaces a file, because a frozen blob that is made anew proves nothing.
 */
const directory = process.argv[2]!
const suite = nobleSuite()
const userId = '5d1e4f0a-93c7-4b8e-8a0c-2f1b6a7c9d10'

interface Wanted {
  readonly name: string
  readonly mode: 'encrypted' | 'plaintext'
  readonly threshold: number
  readonly parties: number
  readonly party: number
  readonly epoch: number
  readonly secretName: string
  readonly secretVersion: string
}

const azure = { secretName: 'vertex-backup', secretVersion: '0123456789abcdef0123456789abcdef' }
const file = { secretName: 'backup-secret', secretVersion: '' }
const wanted: readonly Wanted[] = [
  {
    name: 'encrypted-2of2-party1',
    mode: 'encrypted',
    threshold: 2,
    parties: 2,
    party: 1,
    epoch: 0,
    ...azure,
  },
  {
    name: 'encrypted-2of2-party2',
    mode: 'encrypted',
    threshold: 2,
    parties: 2,
    party: 2,
    epoch: 0,
    ...file,
  },
  {
    name: 'encrypted-2of3-party3',
    mode: 'encrypted',
    threshold: 2,
    parties: 3,
    party: 3,
    epoch: 0,
    ...azure,
  },
  {
    name: 'encrypted-3of5-epoch7',
    mode: 'encrypted',
    threshold: 3,
    parties: 5,
    party: 4,
    epoch: 7,
    ...file,
  },
  {
    name: 'plaintext-2of2',
    mode: 'plaintext',
    threshold: 2,
    parties: 2,
    party: 1,
    epoch: 0,
    ...file,
  },
  {
    name: 'plaintext-2of3',
    mode: 'plaintext',
    threshold: 2,
    parties: 3,
    party: 2,
    epoch: 1,
    ...file,
  },
]

for (const { name, mode, threshold, parties, party, epoch, secretName, secretVersion } of wanted) {
  const seed = `frozen v1 ${name}`
  const secret = new Uint8Array(createHash('sha256').update(`${seed} secret`).digest())
  const share = dealShares(threshold, parties, seed, epoch)[party - 1]!
  const record = encodeKeyShare(share)
  const vaultName = 'frozen'
  const keyId = '7c9e6679-7425-40de-944b-e07fc1f90ae7'
  const subject = { userId, keyId, createdAt: 1_795_000_000_000 }
  const version = { bytes: secret, name: secretName, version: secretVersion }
  const source = {
    setting: 'TEST',
    changes: false,
    load: () => Promise.resolve({ enabled: [version], disabled: [] }),
  }
  const secrets = await BackupSecrets.load(source, {
    vaultName,
    clock: { now: () => 0 },
    log: () => undefined,
    storageFingerprint: new Uint8Array(32),
  })
  const envelope = { vaultName, suite }
  const seal =
    mode === 'encrypted' ? encryptedBackups(envelope, secrets) : plaintextBackups(envelope)
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
  const frozen = {
    note: 'The secret is a test secret. This blob must open in every version to come.',
    export_type: mode,
    vault_name: vaultName,
    user_id: userId,
    key_id: keyId,
    secret: mode === 'encrypted' ? hex(secret) : null,
    public_key: hex(share.publicKey),
    party,
    threshold,
    parties,
    epoch,
    record: hex(record),
    key_share: (await seal.seal(subject, record)).text,
  }
  const path = join(directory, `v1-${name}.json`)
  writeFileSync(path, JSON.stringify(frozen, null, 2) + '\n', { flag: 'wx' })
}
