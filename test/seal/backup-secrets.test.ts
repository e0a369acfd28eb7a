import { describe, expect, it } from 'vitest'
import { SecretsUnavailable } from '../../src/seal/errors.js'
import { heldSource, loadSecrets, outcome, version } from './setup.js'

const HOUR = 3_600_000

/** Version 1 is loaded; then the source has what the test gives it. */
async function loaded() {
  const now = { ms: 10 * 24 * HOUR }
  const source = heldSource(version(1))
  const secrets = await loadSecrets(source, undefined, now)
  const newest = async (look?: boolean) =>
    (await secrets.newest(look === undefined ? {} : { look })).version
  return { now, source, secrets, newest }
}

describe('the newest version of the backup secret', () => {
  it('is looked for when that is asked, at most every few seconds', async () => {
    const { now, source, newest } = await loaded()
    source.enabled = [version(2), version(1)]
    now.ms += 6_000
    expect(await newest()).toBe('v1')
    expect(await newest(true)).toBe('v2')
    expect(await newest()).toBe('v2')
    for (let i = 0; i < 10; i++) await newest(true)
    expect(source.loads).toBe(2)
  })

  it('is not guessed when that was asked and the source cannot be read', async () => {
    const { now, source, secrets, newest } = await loaded()
    source.trouble = new SecretsUnavailable('timeout')
    now.ms += 6_000
    for (let i = 0; i < 10; i++)
      expect(await outcome(secrets.newest({ look: true }))).toMatch(/^backup_key_unavailable/)
    expect(source.loads).toBe(2)
    expect(await newest()).toBe('v1')
    source.trouble = undefined
    now.ms += 6_000
    expect(await newest(true)).toBe('v1')
  })
})

describe('a clock that was put back', () => {
  it('does not keep a disabled version in use', async () => {
    const { now, source, secrets } = await loaded()
    const { fingerprint } = await secrets.newest()
    source.enabled = [version(2)]
    source.disabled = [{ name: 'backup', version: 'v1' }]
    now.ms -= HOUR
    const hint = { fingerprint, name: 'backup', version: 'v1' }
    expect(await outcome(secrets.find(hint))).toBe('backup_key_unavailable')
    expect((await secrets.newest()).version).toBe('v2')
  })

  it('does not make what is known good for longer than an hour while the source cannot be read', async () => {
    const { now, source, secrets } = await loaded()
    source.trouble = new SecretsUnavailable('timeout')
    now.ms -= 2 * HOUR
    expect(await outcome(secrets.newest())).toMatch(/^backup_key_unavailable/)
  })

  it('does not put off the looks for secrets that are not known', async () => {
    const { now, secrets } = await loaded()
    const invented = { fingerprint: new Uint8Array(32).fill(7), name: 'x', version: 'y' }
    for (let i = 0; i < 16; i++) expect(await outcome(secrets.find(invented))).toMatch(/unknown/)
    now.ms -= HOUR
    await outcome(secrets.find(invented))
    now.ms += 6_000
    expect(await outcome(secrets.find(invented))).toMatch(/unknown/)
  })
})
