import { randomBytes } from 'node:crypto'
import { hexToBytes, verifyKeyIdNotExists, verifySuccessor } from '@vertex/mpc'
import { afterEach, describe, expect, it } from 'vitest'
import type { VaultError } from '../../src/vault/index.js'
import { makeKey } from './support/client.js'
import { afterTotalLoss, cleanUp, newSecrets, openWorld, type World } from './support/world.js'

afterEach(cleanUp)

interface Signed {
  readonly vault_name: string
  readonly api_key_id: string
  readonly key_id: string
  readonly generation: string
  readonly nonce: string
  readonly identity: string
  readonly signature: string
  readonly successor?: { readonly public_key: string; readonly signature: string }
}

const gone = '11111111-1111-4111-8111-111111111111'

async function answer(promise: Promise<unknown>): Promise<VaultError> {
  return promise.then(
    () => {
      throw new Error('an error was expected')
    },
    (e: unknown) => e as VaultError,
  )
}

const newNonce = () => randomBytes(32).toString('hex')

function isSigned(details: VaultError['details']): boolean {
  const said = details as unknown as Signed
  return verifyKeyIdNotExists(
    hexToBytes(said.identity),
    {
      vaultName: said.vault_name,
      apiKeyId: said.api_key_id,
      keyId: said.key_id,
      generation: said.generation,
      nonce: hexToBytes(said.nonce),
    },
    hexToBytes(said.signature),
  )
}

describe('key_id_not_exists', () => {
  it('is signed for the client that asks, over everything it says', async () => {
    const world = await openWorld()
    const caller = await world.newCaller()
    const { vaultIdentity } = await world.vault.createKey(caller)
    const nonce = newNonce()
    const context = { nonce, identity: vaultIdentity!.fingerprint }
    const upper = gone.toUpperCase()
    const error = await answer(world.vault.getKey(caller, upper, context))
    expect(error).toMatchObject({
      errType: 'key_id_not_exists',
      details: {
        vault_name: 'vertex',
        api_key_id: caller.apiKeyId,
        key_id: gone,
        generation: vaultIdentity!.generation,
        nonce,
        identity: vaultIdentity!.publicKey,
      },
    })
    expect(error.details).not.toHaveProperty('successor')
    expect(isSigned(error.details)).toBe(true)
    for (const [member, value] of Object.entries({
      vault_name: 'other',
      api_key_id: gone,
      key_id: caller.apiKeyId,
      generation: '0'.repeat(32),
      nonce: newNonce(),
    }))
      expect(isSigned({ ...error.details, [member]: value }), member).toBe(false)
  })

  it('is signed by every route that looks a key up', async () => {
    const world = await openWorld()
    const { vault } = world
    const caller = await world.newCaller()
    const { vaultIdentity } = await vault.createKey(caller)
    const context = { nonce: newNonce(), identity: vaultIdentity!.fingerprint }
    const { roomUuid } = await vault.createRoom(caller, 2)
    const sign = { keyId: gone, roomUuid, msg: '00', hashAlgo: 'sha256' }
    const keygen = {
      keyId: gone,
      roomUuid,
      numParties: 2,
      threshold: 2,
      othersKeygenIds: [`01${'22'.repeat(32)}`],
    }
    const errors = [
      await answer(vault.sign(caller, sign, context)),
      (await vault.batchSign(caller, [sign], context))[0]!.error!,
      await answer(vault.keygen(caller, keygen, context)),
      await answer(vault.derivePubkey(caller, { keyId: gone, derivationPath: [] }, context)),
      await answer(vault.exportId(caller, gone, context)),
      await answer(vault.exportBackup(caller, gone, context)),
      await answer(vault.deleteKeyShare(caller, gone, context)),
    ]
    for (const error of errors) expect(isSigned(error.details)).toBe(true)
  })

  it('is not signed without a nonce and an identity that this vault has', async () => {
    const world = await openWorld()
    const caller = await world.newCaller()
    const { vaultIdentity } = await world.vault.createKey(caller)
    const nonce = newNonce()
    const identity = vaultIdentity!.fingerprint
    const stranger = newNonce()
    const contexts = [
      {},
      { nonce },
      { identity },
      { nonce, identity: stranger },
      { nonce: nonce.slice(2), identity },
      { nonce: `${nonce}00`, identity },
      { nonce: 'zz'.repeat(32), identity },
      { nonce, identity: vaultIdentity!.publicKey },
    ]
    for (const context of contexts)
      expect((await answer(world.vault.getKey(caller, gone, context))).details).toEqual({})
  })

  it('is not said at all while the database cannot be believed', async () => {
    const world = await openWorld()
    const caller = await world.newCaller()
    const { vaultIdentity } = await world.vault.createKey(caller)
    const context = { nonce: newNonce(), identity: vaultIdentity!.fingerprint }
    let units = 0
    // The look-up succeeds, as on a replica that lags behind; the check of the database then fails.
    world.store.refuse = () => ++units > 1
    const error = await answer(world.vault.getKey(caller, gone, context))
    expect(error).toMatchObject({ errType: 'storage_unavailable', details: {} })
  })

  it('is signed after a loss by the identity that the client pinned before, with another generation', async () => {
    const world = await openWorld()
    const caller = await world.newCaller()
    const { vaultIdentity } = await world.vault.createKey(caller)
    const { keyId } = await makeKey(world, caller)
    const fresh = await afterTotalLoss(world)
    await fresh.vault.authenticate(caller.apiKey)
    const context = { nonce: newNonce(), identity: vaultIdentity!.fingerprint }
    const error = await answer(fresh.vault.getKey(caller, keyId, context))
    expect(isSigned(error.details)).toBe(true)
    expect(error.details['identity']).toBe(vaultIdentity!.publicKey)
    expect(error.details['generation']).not.toBe(vaultIdentity!.generation)
  })

  it('names the newest identity, vouched for by the pinned one, after the secret was rotated', async () => {
    const secrets = newSecrets()
    const world = await openWorld({ secrets })
    const caller = await world.newCaller()
    const pinned = (await world.vault.createKey(caller)).vaultIdentity!
    const rotated = {
      ...secrets,
      backup: [{ ...newSecrets().backup[0]!, version: '2' }, ...secrets.backup],
    }
    const fresh = await afterTotalLoss(world, { secrets: rotated })
    await fresh.vault.authenticate(caller.apiKey)
    const newest = (await fresh.vault.createKey(caller)).vaultIdentity!
    expect(newest.publicKey).not.toBe(pinned.publicKey)
    const error = await answer(
      fresh.vault.getKey(caller, gone, { nonce: newNonce(), identity: pinned.fingerprint }),
    )
    expect(isSigned(error.details)).toBe(true)
    const { identity, successor } = error.details as unknown as Signed
    expect([identity, successor!.public_key]).toEqual([pinned.publicKey, newest.publicKey])
    const succession = {
      vaultName: 'vertex',
      pinned: hexToBytes(pinned.publicKey),
      successor: hexToBytes(newest.publicKey),
    }
    expect(verifySuccessor(succession, hexToBytes(successor!.signature))).toBe(true)
  })

  it('is never signed in plaintext mode', async () => {
    const world = await openWorld({ mode: 'plaintext' })
    const caller = await world.newCaller()
    const { vaultIdentity } = await world.vault.createKey(caller)
    expect(vaultIdentity).toBeNull()
    const context = { nonce: newNonce(), identity: newNonce() }
    expect((await answer(world.vault.getKey(caller, gone, context))).details).toEqual({})
  })
})

describe('readiness', () => {
  const ready = (world: World) => world.vault.readiness()

  it('follows the database', async () => {
    const world = await openWorld()
    expect(await ready(world)).toEqual({
      ok: true,
      checks: { storage: true, backup_secret: true, audit: true },
    })
    world.store.refuse = () => true
    expect(await ready(world)).toMatchObject({ ok: false, checks: { storage: false } })
    world.store.refuse = undefined
    expect(await ready(world)).toMatchObject({ ok: true })
    expect(world.vault.identityPem()).toMatch(/^-----BEGIN PUBLIC KEY-----\n/)
  })
})
