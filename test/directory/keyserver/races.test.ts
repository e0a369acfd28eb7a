import { constants, generateKeyPairSync, privateDecrypt } from 'node:crypto'
import { ed25519 } from '@noble/curves/ed25519.js'
import { followingEntries, newUidSecrets, sigKeyHash, updateUid } from '@vertex/directory/keyserver'
import { finishTokens, prepareTokens } from '@vertex/directory/tokens'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { engines } from '../../store/engines.js'
import { Client, Owner } from './client.js'
import { startKeyserver, type TestKeyserver } from './server.js'

const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const tokenKey = publicKey.export({ format: 'der', type: 'spki' }).toString('base64')
const pem = publicKey.export({ format: 'pem', type: 'spki' })

async function issue(count: number): Promise<readonly string[]> {
  const pending = await prepareTokens(tokenKey, count)
  const padding = constants.RSA_NO_PADDING
  const signatures = pending.map(({ blinded }) =>
    privateDecrypt({ key: privateKey, padding }, Buffer.from(blinded, 'base64')).toString('base64'),
  )
  return finishTokens(tokenKey, pending, signatures)
}

describe.each(engines)('on $name', (engine) => {
  const servers: TestKeyserver[] = []
  /** On one Postgres there are two servers, asked in turn. */
  const either = (i: number) => servers[i % servers.length]!
  let settings = {}
  async function start() {
    const database = await engine.create()
    servers.push(await startKeyserver(database, settings))
    if (database.kind === 'postgres')
      servers.push(await startKeyserver(database, settings, servers[0]!.clock))
  }
  beforeEach(() => {
    settings = {}
  })
  afterEach(async () => {
    for (const server of servers.splice(0)) await server.stop()
  })
  afterAll(() => engine.cleanUp())
  const outcomes = async (work: readonly Promise<unknown>[]) => {
    const settled = await Promise.allSettled(work)
    const won = settled.filter(({ status }) => status === 'fulfilled')
    const lost = settled
      .filter((each) => each.status === 'rejected')
      .map(({ reason }) => (reason as Error).message)
    return { won: won.length, lost }
  }

  it.skipIf(engine.missing !== undefined)(
    'of those who want one name one gets it',
    async () => {
      await start()
      for (let round = 0; round < 3; round++) {
        const owners = Array.from(
          { length: 16 },
          (_, i) => new Owner(either(i), `name-${'abc'[round]!}`),
        )
        const messages = await Promise.all(owners.map((owner) => owner.make()))
        const { won, lost } = await outcomes(
          messages.map((UIDMessage, i) =>
            either(i).call('KeyRepository.CreateUID', { UIDMessage }),
          ),
        )
        expect(won).toBe(1)
        expect(new Set(lost)).toEqual(new Set(['uid: the identity is already known']))
        const reader = new Client(either(0))
        await reader.sync(1000)
        expect(await reader.find(owners[0]!.identity)).toHaveLength(1)
      }
    },
    120_000,
  )

  it.skipIf(engine.missing !== undefined)(
    'all who come at one time stand in one chain, each once',
    async () => {
      await start()
      const owners = Array.from(
        { length: 24 },
        (_, i) => new Owner(either(i), `owner-${String.fromCharCode(97 + i).replace('j', 'zz')}`),
      )
      await Promise.all(owners.map((owner) => owner.register()))
      const reader = new Client(either(1))
      await reader.sync(1000)
      expect(followingEntries(reader.entries)).toHaveLength(25)
      for (const owner of owners) expect(await reader.find(owner.identity)).toHaveLength(1)
      const leaves = await servers[0]!.store.select(
        `SELECT source FROM log_leaves WHERE kind = 'keyserver-entry' ORDER BY id`,
        [],
      )
      expect(leaves.map(({ source }) => Number(source))).toEqual(
        Array.from({ length: 25 }, (_, i) => i),
      )
    },
    120_000,
  )

  it.skipIf(engine.missing !== undefined)(
    'of two next messages one is taken',
    async () => {
      await start()
      const alice = new Owner(either(0), 'alice')
      const before = await alice.register({})
      const at = { lastEntry: await alice.sync(), now: alice.now }
      const { won, lost } = await outcomes(
        Array.from({ length: 8 }, (_, i) => {
          const UIDMessage = updateUid(before, newUidSecrets(), alice.secrets, at)
          return either(i).call('KeyRepository.UpdateUID', { UIDMessage })
        }),
      )
      expect(won).toBe(1)
      // Against the one that won, the signature by the key before is not by the key before any more.
      for (const each of lost) expect(each).toMatch(/not incremented by one|user-signature invalid/)
    },
    120_000,
  )

  it.skipIf(engine.missing !== undefined)(
    'a KeyInit is given to one, however many ask',
    async () => {
      await start()
      const alice = new Owner(either(0), 'alice')
      await alice.register()
      await alice.publish(20)
      const SigKeyHash = sigKeyHash(ed25519.getPublicKey(alice.secrets.sigKey))
      const fetched = await Promise.allSettled(
        Array.from({ length: 32 }, (_, i) =>
          either(i).call('KeyInitRepository.FetchKeyInit', { SigKeyHash }),
        ),
      )
      const got = fetched.flatMap((each) =>
        each.status === 'fulfilled' ? [each.value.KeyInit as string] : [],
      )
      expect(got).toHaveLength(20)
      expect(new Set(got).size).toBe(20)
    },
    120_000,
  )

  it.skipIf(engine.missing !== undefined)(
    'a token pays for one call',
    async () => {
      settings = { tokenKeys: [pem] }
      await start()
      const [token, ...others] = await issue(4)
      const names = Array.from(
        { length: 6 },
        (_, i) => new Owner(either(i), `payer-${'abcdef'[i]!}`),
      )
      const messages = await Promise.all(names.map((owner) => owner.make()))
      const { won, lost } = await outcomes(
        messages.map((UIDMessage, i) =>
          either(i).call('KeyRepository.CreateUID', { UIDMessage, Token: token }),
        ),
      )
      expect(won).toBe(1)
      expect(new Set(lost)).toEqual(new Set(['the payment token was used before']))
      // What was refused has used none up.
      const alice = new Owner(either(0), 'alice')
      const UIDMessage = await alice.make()
      const changed = { ...UIDMessage, SELFSIGNATURE: '' }
      const call = (method: string, params: object) => either(0).call(method, params)
      await expect(
        call('KeyRepository.CreateUID', { UIDMessage: changed, Token: others[0] }),
      ).rejects.toThrow('self-signature')
      await call('KeyRepository.CreateUID', { UIDMessage, Token: others[0] })
      // The same message again costs nothing more.
      await call('KeyRepository.CreateUID', { UIDMessage, Token: '' })
      const KeyInits = alice.keyInits(3).map(({ keyInit }) => keyInit)
      const add = (Tokens: readonly string[] | undefined) =>
        call('KeyInitRepository.AddKeyInit', {
          SigPubKey: alice.sigPubKey,
          KeyInits,
          ...(Tokens && { Tokens }),
        })
      for (const bad of [undefined, [], [''], [others[0]!], ['AAAA']])
        await expect(add(bad)).rejects.toThrow(/payment token/)
      await add(['', others[1]!])
      await add(undefined)
      const next = updateUid(UIDMessage, alice.secrets, alice.secrets, {
        lastEntry: await alice.sync(),
        now: alice.now,
      })
      await expect(
        call('KeyRepository.UpdateUID', { UIDMessage: next, Token: others[1] }),
      ).rejects.toThrow('used before')
      await call('KeyRepository.UpdateUID', { UIDMessage: next, Token: others[2] })
      const capabilities = await call('KeyRepository.Capabilities', {})
      expect(capabilities.CAPABILITIES.TKNPUBKEY).toBe(tokenKey)
    },
    120_000,
  )

  it.skipIf(engine.missing !== undefined)(
    'tokens of a former key are good, of another not',
    async () => {
      const newer = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey
      settings = { tokenKeys: [newer.export({ format: 'pem', type: 'spki' }), pem] }
      await start()
      const [token] = await issue(1)
      const UIDMessage = await new Owner(either(0), 'alice').make()
      const call = (Token: string) =>
        either(0).call('KeyRepository.CreateUID', { UIDMessage, Token })
      const bytes = Buffer.from(token!, 'base64')
      for (const at of [0, 31, 32, bytes.length - 1]) {
        const changed = Buffer.from(bytes)
        changed[at]! ^= 1
        await expect(call(changed.toString('base64'))).rejects.toThrow('none of these is good')
      }
      await call(token!)
    },
    120_000,
  )
})
