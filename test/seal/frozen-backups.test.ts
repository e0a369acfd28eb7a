import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { bytesToHex, decodeKeyShare } from '@vertex/mpc'
import { describe, expect, it } from 'vitest'
import { plaintextBackups } from '../../src/seal/index.js'
import { openByHand } from './by-hand.js'
import { heldSource, outcome, sealWith, suite } from './setup.js'

interface Frozen {
  export_type: 'encrypted' | 'plaintext'
  vault_name: string
  user_id: string
  key_id: string
  secret: string | null
  public_key: string
  party: number
  threshold: number
  parties: number
  epoch: number
  record: string
  key_share: string
}

const directory = join(import.meta.dirname, '../fixtures/backups')
const frozen = readdirSync(directory)
  .filter((name) => name.endsWith('.json'))
  .map((name) => ({
    name,
    blob: JSON.parse(readFileSync(join(directory, name), 'utf8')) as Frozen,
  }))

const secretOf = ({ secret }: Frozen) => new Uint8Array(Buffer.from(secret ?? '', 'hex'))
const sealOf = (blob: Frozen) =>
  blob.export_type === 'plaintext'
    ? Promise.resolve(plaintextBackups({ vaultName: blob.vault_name, suite }))
    : sealWith(
        heldSource({ bytes: secretOf(blob), name: 'elsewhere', version: 'other' }),
        blob.vault_name,
      )

describe('backups made by earlier versions', () => {
  it('are all there', () => {
    expect(frozen.length).toBeGreaterThanOrEqual(6)
    for (const mode of ['encrypted', 'plaintext'])
      expect(frozen.some(({ blob }) => blob.export_type === mode)).toBe(true)
  })

  it.each(frozen)('open for ever: $name', async ({ blob }) => {
    const { header, record } = await (await sealOf(blob)).open(blob.key_share, blob.user_id)
    expect(bytesToHex(record)).toBe(blob.record)
    expect(header).toMatchObject({
      vaultName: blob.vault_name,
      userId: blob.user_id,
      keyId: blob.key_id,
      party: blob.party,
      threshold: blob.threshold,
      epoch: blob.epoch,
      createdAt: 1_795_000_000_000,
    })
    expect(header.parties).toHaveLength(blob.parties)
    const share = decodeKeyShare(suite, record)
    expect(bytesToHex(share.publicKey)).toBe(blob.public_key)
    expect(share.index).toBe(blob.party)
    expect(share.epoch).toBe(blob.epoch)
  })

  it.each(frozen)('open by the document alone: $name', ({ blob }) => {
    const { record, fields } = openByHand(blob.key_share, secretOf(blob), blob.vault_name)
    expect(record.toString('hex')).toBe(blob.record)
    expect(fields.epoch).toBe(blob.epoch)
  })

  it('do not open with the secret or the vault name of another', async () => {
    const [a, b] = frozen.filter(({ blob }) => blob.export_type === 'encrypted')
    const other = { ...a!.blob, secret: b!.blob.secret }
    const opening = (await sealOf(other)).open(a!.blob.key_share, a!.blob.user_id)
    expect(await outcome(opening)).toBe('backup_invalid: secret_unknown')
    const renamed = await sealOf({ ...a!.blob, vault_name: 'thawed' })
    expect(await outcome(renamed.open(a!.blob.key_share, a!.blob.user_id))).toBe(
      'backup_invalid: commitment',
    )
  })
})
