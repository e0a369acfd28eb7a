import { randomBytes } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { secretFingerprint } from '../../src/seal/index.js'
import { startKeyVault, type KeyVault } from '../support/key-vault/index.js'
import { startReader, type Reader } from '../support/key-vault/start-reader.js'

const vaultUrl = 'https://prod-vault.vault.azure.net'
let kv: KeyVault
let reader: Reader
let count = 0

beforeAll(async () => {
  kv = await startKeyVault()
  reader = await startReader(kv.env)
})
afterAll(async () => {
  await reader.close()
  await kv.close()
})
afterEach(() => {
  kv.throttle(0)
  kv.delay(0)
  kv.fail(undefined)
  kv.refuse(false)
  kv.refuseIdentity(false)
})

const secret = () => {
  const bytes = new Uint8Array(randomBytes(32))
  return {
    text: Buffer.from(bytes).toString('base64'),
    id: Buffer.from(secretFingerprint(bytes)).toString('hex'),
  }
}
const freshName = () => `backup-${++count}`
const load = (name: string) => reader.ask({ op: 'load', vaultUrl, name })
const ids = (answer: Awaited<ReturnType<typeof load>>) => answer.ok?.map(({ id }) => id)

describe('a backup secret in Azure Key Vault', () => {
  it('is read as the managed identity through the production client, under the real host name', async () => {
    const name = freshName()
    const a = secret()
    const version = kv.setSecret('prod-vault', name, a.text)
    const answer = await load(name)
    expect(answer.ok).toEqual([{ id: a.id, version }])
    expect(kv.requests).toContain('CONNECT prod-vault.vault.azure.net:443')
    expect(kv.requests).toContain('identity system')
  })

  it('is read with a user-assigned identity, and from a sovereign cloud', async () => {
    const name = freshName()
    const a = secret()
    kv.setSecret('gov-vault', name, a.text)
    const answer = await reader.ask({
      op: 'load',
      vaultUrl: 'https://gov-vault.vault.usgovcloudapi.net',
      name,
      clientId: '6ab0a6c1-7c0f-4a55-b6a3-2f5a4f0a1c11',
    })
    expect(ids(answer)).toEqual([a.id])
    expect(kv.requests).toContain('identity 6ab0a6c1-7c0f-4a55-b6a3-2f5a4f0a1c11')
  })

  it('has all its enabled versions loaded, over several pages, newest by creation first', async () => {
    const name = freshName()
    const secrets = Array.from({ length: 7 }, secret)
    const created = [3, 7, 1, 5, 2, 6, 4]
    const versions = secrets.map(({ text }, i) =>
      kv.setSecret('prod-vault', name, text, { created: 1_700_000_000 + created[i]! }),
    )
    kv.disable('prod-vault', name, versions[3]!)
    const expected = [1, 5, 6, 0, 4, 2].map((i) => secrets[i]!.id)
    expect(ids(await load(name))).toEqual(expected)
  })

  it('takes the current version for the newest where two were made in the same second', async () => {
    for (let i = 0; i < 4; i++) {
      const name = freshName()
      const [a, b] = [secret(), secret()]
      kv.setSecret('prod-vault', name, a.text, { created: 1_700_000_000 })
      kv.setSecret('prod-vault', name, b.text, { created: 1_700_000_000 })
      expect(ids(await load(name))).toEqual([b.id, a.id])
    }
  })

  it('may have a current version that is disabled: the newest enabled one is used', async () => {
    const name = freshName()
    const [a, b] = [secret(), secret()]
    kv.setSecret('prod-vault', name, a.text, { created: 1_700_000_000 })
    kv.disable('prod-vault', name, kv.setSecret('prod-vault', name, b.text))
    expect(ids(await load(name))).toEqual([a.id])
  })

  it('is refused at start when the newest version is malformed, naming setting and version only', async () => {
    const name = freshName()
    kv.setSecret('prod-vault', name, secret().text, { created: 1_700_000_000 })
    const version = kv.setSecret('prod-vault', name, 'correct horse battery staple')
    const { error } = await load(name)
    expect(error?.type).toBe('SecretSettingError')
    expect(error?.message).toContain('VERTEX_BACKUP_SECRET_NAME')
    expect(error?.message).toContain(version)
    expect(error?.message).not.toContain('horse')
  })

  it('skips an older malformed version and says so', async () => {
    const name = freshName()
    const a = secret()
    const bad = kv.setSecret('prod-vault', name, 'too short', { created: 1_700_000_000 })
    kv.setSecret('prod-vault', name, a.text)
    const answer = await load(name)
    expect(ids(answer)).toEqual([a.id])
    expect(answer.events).toContainEqual({
      event: 'secret_version_malformed',
      setting: 'VERTEX_BACKUP_SECRET_NAME',
      version: bad,
    })
  })

  it('is refused at start when there is none, or none enabled', async () => {
    const absent = await load(freshName())
    expect(absent.error?.type).toBe('SecretSettingError')
    const name = freshName()
    kv.disable('prod-vault', name, kv.setSecret('prod-vault', name, secret().text))
    expect((await load(name)).error?.type).toBe('SecretSettingError')
  })

  it('survives short throttling, with and without Retry-After', async () => {
    const name = freshName()
    const a = secret()
    kv.setSecret('prod-vault', name, a.text)
    kv.throttle(2)
    expect(ids(await load(name))).toEqual([a.id])
    kv.throttle(1, 1)
    const answer = await load(name)
    expect(ids(answer)).toEqual([a.id])
    expect(answer.tookMs).toBeGreaterThan(900)
  })

  it('does not wait for a long Retry-After but passes it on, as seconds and as a date', async () => {
    const name = freshName()
    kv.setSecret('prod-vault', name, secret().text)
    kv.throttle(99, 120)
    const answer = await load(name)
    expect(answer.error).toMatchObject({ type: 'SecretsUnavailable', retryAfter: 120 })
    expect(answer.tookMs).toBeLessThan(3000)
    kv.throttle(99, new Date(Date.now() + 90_000).toUTCString())
    const dated = await load(name)
    expect(dated.error?.retryAfter).toBeGreaterThan(80)
    expect(dated.error?.retryAfter).toBeLessThan(95)
  })

  it('gives up soon when the vault refuses connections or forbids', async () => {
    const name = freshName()
    kv.setSecret('prod-vault', name, secret().text)
    kv.fail(403)
    const forbidden = await load(name)
    expect(forbidden.error).toMatchObject({ type: 'SecretsUnavailable' })
    expect(forbidden.tookMs).toBeLessThan(2000)
    kv.fail(undefined)
    kv.refuse(true)
    const refused = await load(name)
    expect(refused.error).toMatchObject({ type: 'SecretsUnavailable' })
    expect(refused.tookMs).toBeLessThan(5_000)
  })

  it('cannot be read while the managed identity is not there', async () => {
    const name = freshName()
    kv.setSecret('prod-vault', name, secret().text)
    kv.refuseIdentity(true)
    // Tokens are kept for the whole process, so this takes one that has none yet.
    const other = await startReader(kv.env)
    try {
      const { error, tookMs } = await other.ask({
        op: 'load',
        vaultUrl,
        name,
        patience: { totalMs: 2000, requestMs: 1000, attempts: 2 },
      })
      expect(error?.type).toBe('SecretsUnavailable')
      expect(tookMs).toBeLessThan(3_000)
    } finally {
      await other.close()
    }
  })

  it('is found in a new version by a blob that names its fingerprint, without a restart', async () => {
    const name = freshName()
    const [a, b] = [secret(), secret()]
    kv.setSecret('prod-vault', name, a.text, { created: 1_700_000_000 })
    await load(name)
    const version = kv.setSecret('prod-vault', name, b.text)
    const found = await reader.ask({ op: 'find', fingerprint: b.id, name, version })
    expect(ids(found)).toEqual([b.id])
    expect(ids(await reader.ask({ op: 'newest' }))).toEqual([b.id])
  })

  it('opens the same blobs from another vault under another name, old versions included', async () => {
    const [a, b] = [secret(), secret()]
    const [from, to] = [freshName(), freshName()]
    const version = kv.setSecret('prod-vault', from, a.text, { created: 1_700_000_000 })
    kv.setSecret('prod-vault', from, b.text, { created: 1_700_000_100 })
    expect(ids(await load(from))).toEqual([b.id, a.id])
    kv.setSecret('rescue', to, a.text, { created: 1_800_000_000 })
    kv.setSecret('rescue', to, b.text, { created: 1_800_000_000 })
    const url = 'https://rescue.vault.azure.net'
    const moved = await reader.ask({ op: 'load', vaultUrl: url, name: to })
    expect(ids(moved)).toEqual([b.id, a.id])
    const found = await reader.ask({ op: 'find', fingerprint: a.id, name: from, version })
    expect(ids(found)).toEqual([a.id])
  })

  it('stops being used within the time to live after it was disabled, and its blobs answer backup_key_unavailable', async () => {
    const name = freshName()
    const [a, b] = [secret(), secret()]
    const old = kv.setSecret('prod-vault', name, a.text, { created: 1_700_000_000 })
    kv.setSecret('prod-vault', name, b.text)
    await load(name)
    kv.disable('prod-vault', name, old)
    const question = { op: 'find', fingerprint: a.id, name: 'elsewhere', version: 'x' } as const
    expect(ids(await reader.ask(question))).toEqual([a.id])
    await reader.ask({ op: 'pass', ms: 301_000 })
    expect((await reader.ask(question)).error?.type).toBe('backup_key_unavailable')
    kv.enable('prod-vault', name, old)
    expect(ids(await reader.ask(question))).toEqual([a.id])
  })

  it('disabled before this server started: a blob that names its version answers backup_key_unavailable', async () => {
    const name = freshName()
    const [a, b] = [secret(), secret()]
    const version = kv.setSecret('prod-vault', name, a.text, { created: 1_700_000_000 })
    kv.disable('prod-vault', name, version)
    kv.setSecret('prod-vault', name, b.text)
    await load(name)
    const { error } = await reader.ask({ op: 'find', fingerprint: a.id, name, version })
    expect(error?.type).toBe('backup_key_unavailable')
  })

  it('while the vault is down: what is known goes on for an hour, what is not is unavailable, then everything is', async () => {
    const name = freshName()
    const a = secret()
    kv.setSecret('prod-vault', name, a.text)
    await load(name)
    kv.throttle(999, 77)
    const unknown = await reader.ask({
      op: 'find',
      fingerprint: secret().id,
      name: 'x',
      version: 'y',
    })
    expect(unknown.error).toMatchObject({ type: 'backup_key_unavailable', retryAfter: 77 })
    await reader.ask({ op: 'pass', ms: 600_000 })
    expect(ids(await reader.ask({ op: 'newest' }))).toEqual([a.id])
    await reader.ask({ op: 'pass', ms: 3_600_000 })
    const late = await reader.ask({ op: 'newest' })
    expect(late.error).toMatchObject({ type: 'backup_key_unavailable', retryAfter: 77 })
    kv.throttle(0)
    expect(ids(await reader.ask({ op: 'newest' }))).toEqual([a.id])
  })

  it('keeps the version before when a rotation brings a malformed one, and says so', async () => {
    const name = freshName()
    const a = secret()
    kv.setSecret('prod-vault', name, a.text, { created: 1_700_000_000 })
    await load(name)
    const bad = kv.setSecret('prod-vault', name, 'not a secret')
    await reader.ask({ op: 'pass', ms: 301_000 })
    const answer = await reader.ask({ op: 'newest' })
    expect(ids(answer)).toEqual([a.id])
    expect(answer.events).toContainEqual(
      expect.objectContaining({ event: 'secret_version_malformed', version: bad }),
    )
  })

  it('bears a vault that answers slowly, and gives up on one that does not answer', async () => {
    const name = freshName()
    const a = secret()
    kv.setSecret('prod-vault', name, a.text)
    kv.delay(300)
    expect(ids(await load(name))).toEqual([a.id])
    kv.delay(60_000)
    const patience = { totalMs: 1500, requestMs: 500, attempts: 4 }
    const answer = await reader.ask({ op: 'load', vaultUrl, name, patience })
    expect(answer.error?.type).toBe('SecretsUnavailable')
    expect(answer.tookMs).toBeLessThan(2500)
  })
})
