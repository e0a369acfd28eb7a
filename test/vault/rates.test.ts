import { afterEach, describe, expect, it } from 'vitest'
import { makeKey, signTogether } from './support/client.js'
import { cleanUp, openWorld, type WorldOptions } from './support/world.js'

afterEach(cleanUp)

async function withKey(rates: WorldOptions['rates']) {
  const world = await openWorld(rates === undefined ? {} : { rates })
  const caller = await world.newCaller()
  return { world, vault: world.vault, caller, key: await makeKey(world, caller) }
}

const refusal = (what: RegExp) => ({
  errType: 'rate_limited',
  message: expect.stringMatching(what) as string,
  details: { retry_after: expect.any(Number) as number },
})

describe('the rates of a key', () => {
  it('hold for signatures, and importing the key again is not another chance', async () => {
    const { world, vault, caller, key } = await withKey({ signatures: 3 })
    for (let i = 0; i < 3; i++) await signTogether(world, caller, key)
    const { roomUuid } = await vault.createRoom(caller, 2)
    const sign = (keyId: string) =>
      vault.sign(caller, { keyId, roomUuid, msg: '00', hashAlgo: 'sha256' })
    await expect(sign(key.keyId)).rejects.toMatchObject(
      refusal(/^at most 3 signatures of one key in a minute; wait \d+ s$/),
    )
    const backup = await vault.exportBackup(caller, key.keyId)
    const { keyId } = await vault.importBackup(caller, backup)
    expect(keyId).not.toBe(key.keyId)
    await expect(sign(keyId)).rejects.toMatchObject(refusal(/3 signatures/))
    const other = await makeKey(world, caller)
    await signTogether(world, caller, other)
  })

  it('count each signature of a batch, and refuse the whole run that is too much', async () => {
    const { world, vault, caller, key } = await withKey({ signatures: 5 })
    await signTogether(world, caller, key)
    const { roomUuid } = await vault.createRoom(caller, 2)
    const request = { keyId: key.keyId, roomUuid, msg: '00', hashAlgo: 'sha256' }
    const entries = await vault.batchSign(
      caller,
      Array.from({ length: 5 }, () => request),
    )
    expect(entries).toHaveLength(5)
    for (const { error } of entries) expect(error).toMatchObject(refusal(/5 signatures/))
    // Nothing of it was counted.
    for (let i = 0; i < 4; i++) await signTogether(world, caller, key)
  })

  it('hold for its exports', async () => {
    const { world, vault, caller, key } = await withKey({ keyExports: 2 })
    const other = await makeKey(world, caller)
    for (let i = 0; i < 2; i++) await vault.exportBackup(caller, key.keyId)
    await expect(vault.exportBackup(caller, key.keyId)).rejects.toMatchObject(
      refusal(/2 backup exports and rewraps of one key in an hour/),
    )
    await vault.exportBackup(caller, other.keyId)
  })
})

describe('the rates of a user', () => {
  it('hold for new keys, exports and imports, and touch no other user', async () => {
    const { world, vault, caller, key } = await withKey({ creates: 2, exports: 2, imports: 2 })
    const backup = await vault.exportBackup(caller, key.keyId)
    await vault.exportBackup(caller, key.keyId)
    await expect(vault.exportBackup(caller, key.keyId)).rejects.toMatchObject(refusal(/2 backup/))
    await vault.verifyBackup(caller, backup)
    await vault.importBackup(caller, backup)
    await expect(vault.importBackup(caller, backup)).rejects.toMatchObject(refusal(/2 imports/))
    await expect(vault.verifyBackup(caller, backup)).rejects.toMatchObject(refusal(/2 imports/))
    await vault.createKey(caller)
    await expect(vault.createKey(caller)).rejects.toMatchObject(refusal(/2 new keys/))
    const other = await world.newCaller()
    await vault.createKey(other)
  })
})
