import { MemoryShareStore, type EcdsaKey } from '@vertex/sdk'
import { randomBytes } from 'node:crypto'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { startKeyVault, type KeyVault } from '../support/key-vault/index.js'
import { wipeData } from '../support/server.js'
import { Harness, utf8 } from './support/harness.js'
import { opensslVerifies } from './support/verify.js'

// Server processes start and end in these tests; on a busy machine that takes a while.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

const harness = new Harness()
const message = utf8('whatever the secrets do')
let azure: KeyVault | undefined
afterAll(async () => {
  await harness.end()
  await azure?.close()
})

const signs = async (key: EcdsaKey) => {
  const { der } = await key.sign({ message, hashAlgo: 'sha256' })
  expect(opensslVerifies(key.publicKey, message, der)).toBe(true)
}

describe('a backup secret in a key vault', () => {
  it('is rotated, lost with everything, found elsewhere under other names, and the key signs on', async () => {
    azure = await startKeyVault()
    const now = Math.floor(Date.now() / 1000)
    const [first, second] = [randomBytes(32).toString('base64'), randomBytes(32).toString('hex')]
    azure.setSecret('old-vault', 'backup-secret', first, { created: now - 20 })
    const settings = (vault: string, name: string) => ({
      ...azure!.env,
      VERTEX_VAULT_NAME: 'production',
      VERTEX_BACKUP_SECRET_VAULT_NAME: vault,
      VERTEX_BACKUP_SECRET_NAME: name,
    })
    let server = await harness.server('azure', { settings: settings('old-vault', 'backup-secret') })
    const restart = async (vault: string, name: string) => {
      await server.kill()
      wipeData(server.folder)
      server = await harness.server('azure', { port: server.port, settings: settings(vault, name) })
    }
    const store = new MemoryShareStore()
    const { apiKey, userId } = await server.makeUser({ name: 'alice' })
    const vertex = await harness.client(server, { store, apiKey })
    const key = await vertex.ecdsa.createKey()
    const recovered: string[] = []
    vertex.on('recovered', ({ keyId }) => recovered.push(keyId))

    // Rotated, and everything lost before any new export: the old identity vouches for the new one.
    azure.setSecret('new-vault', 'other-name', first, { created: now - 20 })
    azure.setSecret('new-vault', 'other-name', second, { created: now - 10 })
    await restart('new-vault', 'other-name')
    await signs(key)
    expect(recovered).toHaveLength(1)

    // Exported again under the new secret: from now on the old one is not needed.
    await key.exportBackup()
    azure.setSecret('third-vault', 'third-name', second, { created: now - 10 })
    await restart('third-vault', 'third-name')
    // The API key went with the first secret: the admin makes the user again, and the share is recovered all the same.
    await expect(key.sign({ message, hashAlgo: 'sha256' })).rejects.toMatchObject({
      errType: 'access_denied',
    })
    const issuedAnew = await server.makeUser({ name: 'alice', user_id: userId })
    const after = await harness.client(server, { store, apiKey: issuedAnew.apiKey })
    await signs(await after.ecdsa.openKey(key.id))
    expect((await after.rest.listKeys()).keys).toHaveLength(1)
  })

  it('is gone back to and passed over when its newest version is disabled, but not when all that were used are', async () => {
    azure ??= await startKeyVault()
    const now = Math.floor(Date.now() / 1000)
    const [vault, name] = ['turning-vault', 'backup-secret']
    const add = (age: number) =>
      azure!.setSecret(vault, name, randomBytes(32).toString('base64'), { created: now - age })
    const settings = {
      ...azure.env,
      VERTEX_VAULT_NAME: 'turning',
      VERTEX_BACKUP_SECRET_VAULT_NAME: vault,
      VERTEX_BACKUP_SECRET_NAME: name,
    }
    const first = add(40)
    let server = await harness.server('turning', { settings })
    const restart = async () => {
      await server.stop()
      server = await harness.server('turning', { port: server.port, settings })
    }
    const vertex = await harness.client(server, { apiKey: await server.createUser('alice') })
    const key = await vertex.ecdsa.createKey()
    const versionOf = async (backup: Awaited<ReturnType<typeof key.exportBackup>>) =>
      (await vertex.rest.verifyKeyShare(backup)).secret_version
    const exported = async () => versionOf(await vertex.rest.exportKeyShare({ key_id: key.keyId }))

    const second = add(30)
    await restart()
    const underSecond = await key.exportBackup()
    expect(await versionOf(underSecond)).toBe(second)
    azure.disable(vault, name, second)
    await restart()
    expect(server.output()).toContain('"newest_secret_disabled"')
    await expect(vertex.rest.verifyKeyShare(underSecond)).rejects.toMatchObject({
      status: 503,
    })
    expect(await exported()).toBe(first)
    await signs(key)
    // The client saw the identity of the second version, and takes no older one for the same vault.
    await expect(key.exportBackup()).rejects.toMatchObject({ errType: 'identity_mismatch' })

    azure.enable(vault, name, second)
    await restart()
    expect(await versionOf(underSecond)).toBe(second)
    azure.disable(vault, name, second)
    const third = add(20)
    await restart()
    expect(await exported()).toBe(third)

    for (const version of [first, third]) azure.disable(vault, name, version)
    add(10)
    await server.stop()
    await expect(harness.server('turning', { port: server.port, settings })).rejects.toThrow(
      new RegExp(`version ${third} of backup-secret, .* is disabled, .*; enable it`),
    )
  })
})
