import { x25519 } from '@noble/curves/ed25519.js'
import { openSealedBackup, readSealedBackup } from '@vertex/directory/sealed'
import { bytesToHex } from '@vertex/mpc'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { AuditWriter, parseLine } from '../../src/audit/index.js'
import { StorageKey } from '../../src/seal/index.js'
import { VaultError, type Caller, type KeygenRequest } from '../../src/vault/index.js'
import { StorageUnavailable } from '../../src/vault/ports.js'
import { somebody, Writer } from '../directory/support.js'
import { Client, makeKey, signTogether, verifies } from './support/client.js'
import { afterTotalLoss, cleanUp, openWorld, type World } from './support/world.js'

afterEach(cleanUp)

const records = async ({ store }: World) =>
  (await store.readAudit(0, 1_000)).map(({ line }) => parseLine(line)!.record)

const hashOf = ({ store, secrets, time }: World, name: string, value: string) =>
  new AuditWriter(store, new StorageKey(secrets.storageKey, 'vertex').auditKeys(), {
    now: () => time.now,
  }).hash(name, value)

describe('keygen with expected identities', () => {
  async function begun() {
    const world = await openWorld()
    const caller = await world.newCaller()
    const client = new Client()
    const party = new Writer(world.opened)
    const { keyId, keygenId } = await world.vault.createKey(caller)
    const request = async (
      othersIdentities?: readonly (string | null)[],
    ): Promise<KeygenRequest> => ({
      keyId,
      roomUuid: (await world.vault.createRoom(caller, 2)).roomUuid,
      numParties: 2,
      threshold: 2,
      othersKeygenIds: [client.keygenId],
      othersIdentities,
    })
    const run = async (othersIdentities?: readonly (string | null)[]) => {
      const asked = await request(othersIdentities)
      const [made] = await Promise.all([
        world.vault.keygen(caller, asked),
        client.keygen(world, asked.roomUuid, [keygenId, client.keygenId], 2),
      ])
      return made
    }
    /** Refused before anybody is met: the other side never even joins. */
    const refused = async (identities: readonly (string | null)[], message: RegExp) => {
      await expect(world.vault.keygen(caller, await request(identities))).rejects.toMatchObject({
        errType: 'bad_request_params',
        message: expect.stringMatching(message) as string,
      })
      expect(await world.vault.getKey(caller, keyId)).toMatchObject({ state: 'created' })
    }
    return { world, caller, client, party, keyId, run, refused }
  }

  it('makes a key with a keygen_id that is live on its owner’s sigchain, and records whose it was', async () => {
    const { world, client, party, run } = await begun()
    await party.add(`keygen:${client.keygenId}`)
    await run([party.primary])
    const [end] = (await records(world)).filter(
      ({ action, outcome }) => action === 'keygen' && outcome === 'done',
    )
    expect(end!.values).toContainEqual(['identity_1', hashOf(world, 'identity_1', party.primary)])
  })

  it('leaves a trace of a keygen_id that is not its owner’s, and none of what is no primary', async () => {
    const { world, client, party, refused } = await begun()
    const tried = async () => (await records(world)).filter(({ action }) => action === 'keygen')
    await refused(['ed25519:AB'], /is no primary/)
    await refused([], /an entry for each/)
    expect(await tried()).toEqual([])
    const cases: [RegExp, () => unknown][] = [
      [/no sigchain/, () => undefined],
      [/not live/, () => party.add('keygen:02ab')],
      [/does not verify/, () => party.forge(somebody(), `keygen:${client.keygenId}`)],
    ]
    for (const [refusal, happens] of cases) {
      await happens()
      const before = (await tried()).length
      await refused([party.primary], refusal)
      const [begin, end, ...more] = (await tried()).slice(before)
      expect(begin).toMatchObject({ outcome: 'begun' })
      expect(end).toMatchObject({ outcome: 'bad_request_params', of: begin!.seq })
      expect(more).toEqual([])
      for (const { values } of [begin!, end!])
        expect(values).toContainEqual(['identity_1', hashOf(world, 'identity_1', party.primary)])
    }
  })

  it('asks nothing where nothing is expected', async () => {
    const { world, run } = await begun()
    await run([null])
    const begin = (await records(world)).find(({ action }) => action === 'keygen')
    expect(begin!.values.map(([name]) => name)).toEqual(['key_id'])
  })

  it('refuses a keygen_id that was never said', async () => {
    const { party, refused } = await begun()
    await party.add('keygen:02ab', 'vertex:a.example')
    await refused([party.primary], /others_identities\[0\].*not live/)
  })

  it('refuses a keygen_id that was revoked, and takes it when it was added again', async () => {
    const { client, party, run, refused } = await begun()
    await party.add(`keygen:${client.keygenId}`)
    await party.revoke(`keygen:${client.keygenId}`)
    await refused([party.primary], /not live/)
    await party.add(`keygen:${client.keygenId}`)
    await run([party.primary])
  })

  it('refuses a keygen_id that stands on the chain of somebody else', async () => {
    const { world, client, party, refused } = await begun()
    const thief = new Writer(world.opened)
    await party.add('keygen:02ab')
    await thief.add(`keygen:${client.keygenId}`)
    await refused([party.primary], /not live/)
  })

  it('refuses a chain that was forged in the database', async () => {
    const { client, party, refused } = await begun()
    await party.forge(somebody(), `keygen:${client.keygenId}`)
    await refused([party.primary], /does not verify/)
  })

  it('refuses a party without a chain, what is no primary, and too many or too few of them', async () => {
    const { party, refused } = await begun()
    await refused([party.primary], /no sigchain/)
    await refused(['ed25519:AB'], /is no primary/)
    await refused([], /an entry for each/)
    await refused([null, null], /an entry for each/)
  })

  it('takes the chain of a party that signs as nostr does', async () => {
    const { world, client, run } = await begun()
    const party = new Writer(world.opened, { scheme: 'nostr', secret: somebody().secret })
    await party.add(`keygen:${client.keygenId}`)
    await run([party.primary])
  })

  it('is told that the database does not answer, and not that the party is another', async () => {
    const { world, caller, client, party, keyId } = await begun()
    await party.add(`keygen:${client.keygenId}`)
    const { roomUuid } = await world.vault.createRoom(caller, 2)
    const select = vi.spyOn(world.opened, 'select').mockRejectedValue(new StorageUnavailable())
    await expect(
      world.vault.keygen(caller, {
        keyId,
        roomUuid,
        numParties: 2,
        threshold: 2,
        othersKeygenIds: [client.keygenId],
        othersIdentities: [party.primary],
      }),
    ).rejects.toMatchObject({ errType: 'storage_unavailable' })
    select.mockRestore()
  })

  it('finds out which of several is not who they should be', async () => {
    const { world, caller, client, party, keyId } = await begun()
    const second = new Client()
    const other = new Writer(world.opened)
    await party.add(`keygen:${client.keygenId}`)
    await other.add('keygen:02ab')
    const { roomUuid } = await world.vault.createRoom(caller, 3)
    const asked = {
      keyId,
      roomUuid,
      numParties: 3,
      threshold: 2,
      othersKeygenIds: [client.keygenId, second.keygenId],
      othersIdentities: [party.primary, other.primary],
    }
    await expect(world.vault.keygen(caller, asked)).rejects.toThrow(/others_identities\[1\]/)
    // Both are live, but not of the party that stands in their place.
    await other.add(`keygen:${second.keygenId}`)
    const swapped = { ...asked, othersIdentities: [other.primary, party.primary] }
    await expect(world.vault.keygen(caller, swapped)).rejects.toThrow(/others_identities\[0\]/)
  })
})

describe('a backup that is sealed to a recipient', () => {
  const secret = new Uint8Array(32).fill(9)
  const key = bytesToHex(x25519.getPublicKey(secret))

  async function ready(options: Parameters<typeof openWorld>[0] = {}) {
    const world = await openWorld(options)
    const caller = await world.newCaller()
    const made = await makeKey(world, caller)
    const party = new Writer(world.opened)
    const seal = () => world.vault.exportBackupTo(caller, made.keyId, party.primary)
    return { world, vault: world.vault, caller, made, party, seal }
  }
  const refusal = (message: RegExp) => ({
    errType: 'bad_request_params',
    message: expect.stringMatching(message) as string,
  })
  const coverage = ({ vault }: World, caller: Caller) => vault.backupCoverage(caller, { limit: 10 })

  it.each(['encrypted', 'plaintext'] as const)(
    'opens with the recipient’s key only, and brings the key back: %s',
    async (mode) => {
      const { world, caller, made, party, seal } = await ready({ mode })
      await party.add(`recipient:${key}`)
      const sealed = await seal()
      expect(sealed).toEqual({
        exportType: mode,
        keyShare: expect.any(String) as string,
        recipient: { primary: party.primary, key, exportedAt: new Date(world.time.now) },
      })
      const { subject, ...head } = readSealedBackup(sealed.keyShare)
      expect(head).toEqual({
        recipient: party.primary,
        recipientKey: x25519.getPublicKey(secret),
        exportedAt: world.time.now,
      })
      expect(subject).toMatchObject({ keyId: made.keyId, userId: caller.userId })
      await expect(openSealedBackup(sealed.keyShare, new Uint8Array(32).fill(8))).rejects.toThrow()
      const backup = {
        exportType: sealed.exportType,
        keyShare: await openSealedBackup(sealed.keyShare, secret),
      }
      const fresh = await afterTotalLoss(world, { mode })
      const back =
        mode === 'encrypted'
          ? (await fresh.vault.authenticate(caller.apiKey), caller)
          : { ...caller, ...(await sameUser(fresh, caller)) }
      const { keyId } = await fresh.vault.importBackup(back, backup)
      const signature = await signTogether(fresh, back, { ...made, keyId })
      expect(verifies(made.pubkey, 'hello', signature)).toBe(true)
    },
  )

  /** Plaintext vaults do not take users over by their API keys: the operator does. */
  async function sameUser(world: World, { userId }: Caller) {
    const { apiKey } = await world.vault.createUser({ name: 'the same', userId })
    return world.vault.authenticate(apiKey)
  }

  it('is no backup to a Vertex before it was opened', async () => {
    const { vault, caller, party, seal } = await ready()
    await party.add(`recipient:${key}`)
    await expect(vault.importBackup(caller, await seal())).rejects.toMatchObject({
      errType: 'backup_invalid',
    })
  })

  it('goes to the key that was added last of those that are live', async () => {
    const { party, seal } = await ready()
    const [old, newer] = [1, 2].map((n) =>
      bytesToHex(x25519.getPublicKey(new Uint8Array(32).fill(n))),
    )
    await party.add(`recipient:${old!}`, `recipient:${newer!}`, 'recipient:', 'recipient:xyz')
    expect((await seal()).recipient.key).toBe(newer)
    await party.revoke(`recipient:${newer!}`)
    expect((await seal()).recipient.key).toBe(old)
    await party.revoke(`recipient:${old!}`)
    await expect(seal()).rejects.toMatchObject(refusal(/no live recipient key/))
  })

  it('goes to nobody whose chain is missing, forged or another’s, and to no key that is none', async () => {
    const { world, vault, caller, made, party, seal } = await ready()
    await expect(seal()).rejects.toMatchObject(refusal(/no sigchain/))
    await expect(vault.exportBackupTo(caller, made.keyId, 'ed25519:nobody')).rejects.toMatchObject(
      refusal(/is no primary/),
    )
    const thief = new Writer(world.opened)
    await thief.add(`recipient:${key}`)
    await expect(seal()).rejects.toMatchObject(refusal(/no sigchain/))
    await party.forge(somebody(), `recipient:${key}`)
    await expect(seal()).rejects.toMatchObject(refusal(/does not verify/))
    const small = new Writer(world.opened)
    await small.add(`recipient:${'0'.repeat(64)}`)
    await expect(vault.exportBackupTo(caller, made.keyId, small.primary)).rejects.toMatchObject(
      refusal(/nothing can be sealed/),
    )
  })

  it('leaves only for whoever may export the key', async () => {
    const { world, vault, made, party } = await ready()
    await party.add(`recipient:${key}`)
    const other = await world.newCaller()
    await expect(vault.exportBackupTo(other, made.keyId, party.primary)).rejects.toMatchObject({
      errType: 'key_id_not_exists',
    })
  })

  it('is recorded before and after, with whom it was for', async () => {
    const { world, party, seal } = await ready()
    await party.add(`recipient:${key}`)
    await seal()
    const exports = (await records(world)).filter(({ action }) => action === 'export')
    expect(exports.map(({ outcome }) => outcome)).toEqual(['begun', 'done'])
    for (const { values } of exports) {
      expect(values).toContainEqual(['recipient', hashOf(world, 'recipient', party.primary)])
      expect(values).toContainEqual(['recipient_key', hashOf(world, 'recipient_key', key)])
    }
    expect(world.events).toContainEqual(expect.objectContaining({ event: 'backup_sealed' }))
    expect(JSON.stringify(world.events)).not.toContain(party.primary)
  })

  it('leaves a trace where it was refused, and none for what is no primary', async () => {
    const { world, vault, caller, made, party, seal } = await ready()
    const tried = async () => (await records(world)).filter(({ action }) => action === 'export')
    await expect(vault.exportBackupTo(caller, made.keyId, 'ed25519:nobody')).rejects.toThrow()
    expect(await tried()).toEqual([])
    await expect(seal()).rejects.toMatchObject(refusal(/no sigchain/))
    await party.add('keygen:02ab')
    await expect(seal()).rejects.toMatchObject(refusal(/no live recipient key/))
    const all = await tried()
    expect(all.map(({ outcome }) => outcome)).toEqual([
      'begun',
      'bad_request_params',
      'begun',
      'bad_request_params',
    ])
    for (const { key: of, values } of all) {
      expect(of).toMatch(/^[0-9a-f]{64}$/)
      expect(values).toContainEqual(['recipient', hashOf(world, 'recipient', party.primary)])
    }
  })

  it('whose sealing fails on the server is not the caller’s fault', async () => {
    const { world, party, seal } = await ready()
    await party.add(`recipient:${key}`)
    const broken = vi.spyOn(crypto.subtle, 'encrypt').mockRejectedValue(new Error('no memory'))
    const error = await seal().catch((e: unknown) => e)
    broken.mockRestore()
    expect(error).toBeInstanceOf(Error)
    expect(error).not.toBeInstanceOf(VaultError)
    const last = (await records(world)).at(-1)
    expect(last).toMatchObject({ action: 'export', outcome: 'internal_problem' })
    expect((await seal()).recipient.key).toBe(key)
  })

  it('counts as nothing until it comes back opened, and then as any other', async () => {
    const { world, vault, caller, party, seal } = await ready()
    await party.add(`recipient:${key}`)
    const sealed = await seal()
    expect(await coverage(world, caller)).toMatchObject({
      keys: [{ state: 'none', exportedAt: null }],
      counts: { none: 1, exported: 0, verified: 0 },
      secrets: [],
    })
    const keyShare = await openSealedBackup(sealed.keyShare, secret)
    await vault.verifyBackup(caller, { exportType: 'encrypted', keyShare })
    expect(await coverage(world, caller)).toMatchObject({
      keys: [{ state: 'verified', exportedAt: new Date(world.time.now) }],
      counts: { none: 0, verified: 1 },
    })
  })

  it('does not take the place of an export that was noted', async () => {
    const { world, vault, caller, made, party, seal } = await ready()
    await party.add(`recipient:${key}`)
    await vault.exportBackup(caller, made.keyId)
    const before = await coverage(world, caller)
    world.time.now += 1_000
    await seal()
    expect(await coverage(world, caller)).toEqual(before)
  })

  it('counts among the exports of the key and of the user', async () => {
    const { vault, caller, made, party, seal } = await ready({ rates: { keyExports: 2 } })
    await party.add(`recipient:${key}`)
    await seal()
    await vault.exportBackup(caller, made.keyId)
    await expect(seal()).rejects.toMatchObject({ errType: 'rate_limited' })
  })

  it('does not leave in the clear when the share may not', async () => {
    const { world, caller, made, party } = await ready()
    const backup = await world.vault.exportBackup(caller, made.keyId)
    await party.add(`recipient:${key}`)
    const sealedOf = await world.vault.exportBackupTo(caller, made.keyId, party.primary)
    // What is inside is what leaves without a recipient: under the backup secret, not the share itself.
    const inside = Buffer.from(await openSealedBackup(sealedOf.keyShare, secret), 'base64')
    expect(inside[7]).toBe(Buffer.from(backup.keyShare, 'base64')[7])
    expect(inside[7]).toBe(1)
  })
})
