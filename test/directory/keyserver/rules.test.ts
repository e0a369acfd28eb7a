import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { ed25519 } from '@noble/curves/ed25519.js'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import {
  canonical,
  flushBytes,
  makeUid,
  newEscrowKey,
  newUidSecrets,
  ROLLOVER,
  sigKeyHash,
  splitEntry,
  toBase64,
  updateUid,
  type ChainLink,
  type UidMessage,
} from '@vertex/directory/keyserver'
import { engines } from '../../store/engines.js'
import { Client, Owner } from './client.js'
import { DOMAIN, startKeyserver, type TestKeyserver } from './server.js'

const DAY = 24 * 3600
const [sqlite] = engines

const stops: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0)) await stop()
})
afterAll(() => sqlite!.cleanUp())

async function started(
  settings: Parameters<typeof startKeyserver>[1] = {},
  clock?: { ms: number },
): Promise<TestKeyserver> {
  const server = await startKeyserver(await sqlite!.create(), settings, clock)
  stops.push(() => server.stop())
  return server
}

const create = (server: TestKeyserver, UIDMessage: unknown) =>
  server.refusal('KeyRepository.CreateUID', { UIDMessage, Token: '' })
const update = (server: TestKeyserver, UIDMessage: unknown) =>
  server.refusal('KeyRepository.UpdateUID', { UIDMessage, Token: '' })
const positions = async (server: TestKeyserver, Identity: string) =>
  (await server.call('KeyHashchain.LookupUID', { Identity })).HCPositions as number[]

describe('a new identity', () => {
  it.each([
    ['at a domain that is not served', 'alice@other.example', 'domain is not served'],
    ['with the name of the keyserver', `keyserver@${DOMAIN}`, 'not given out'],
    ['with a reserved name', `admin@${DOMAIN}`, 'not given out'],
  ])('%s is refused', async (_, identity, why) => {
    const server = await started()
    const lastEntry = (await server.keyserver.last()).entry
    const now = Math.floor(server.clock.ms / 1000)
    const refusal = await create(server, makeUid(newUidSecrets(), { identity, lastEntry, now }))
    expect(refusal).toMatchObject({ code: -32000, message: expect.stringContaining(why) })
  })

  it('has a lifetime that has not ended and is not too long', async () => {
    const server = await started()
    const alice = new Owner(server, 'alice')
    const old = await alice.make({ now: alice.now - ROLLOVER })
    expect((await create(server, old)).message).toBe('uid: NOTAFTER has expired')
    const long = await alice.make({ now: alice.now + 2 * DAY })
    expect((await create(server, long)).message).toBe('uid: NOTAFTER is too far in the future')
  })

  it('knows the end of this very chain, as it was within a day', async () => {
    const server = await started()
    const [alice, other] = [new Owner(server, 'alice'), await started()]
    const foreign = (await other.keyserver.last()).entry
    expect((await create(server, await alice.make({ lastEntry: foreign }))).message).toContain(
      'not an entry of this hashchain',
    )
    // The same hash with another rest.
    const bytes = Buffer.from((await server.keyserver.last()).entry, 'base64')
    bytes[152]! ^= 1
    const changed = await alice.make({ lastEntry: bytes.toString('base64') })
    expect((await create(server, changed)).message).toContain('not an entry of this hashchain')

    const first = (await server.keyserver.last()).entry
    server.clock.ms += 30 * DAY * 1000
    // Nothing came since: it is the last one still.
    await new Owner(server, 'bob').register({ lastEntry: first })
    server.clock.ms += (DAY - 1) * 1000
    await new Owner(server, 'carol').register({ lastEntry: first })
    server.clock.ms += 2 * 1000
    expect((await create(server, await alice.make({ lastEntry: first }))).message).toContain(
      'not fresh',
    )
    await alice.register()
  })

  it('is one only while it is known, and its last message may be sent again', async () => {
    const server = await started()
    const alice = new Owner(server, 'alice')
    const message = await alice.register()
    const again = await server.call('KeyRepository.CreateUID', { UIDMessage: message })
    expect(again.UIDMessageReply.ENTRY.HASHCHAINPOS).toBe(1)
    const thief = new Owner(server, 'alice')
    const other = await thief.make()
    expect(await create(server, other)).toMatchObject({
      code: -32002,
      message: 'uid: the identity is already known',
    })
    expect(await positions(server, 'Alice@mute.example')).toEqual([1])
    // Updatable for one year more, known for two.
    server.clock.ms += (2 * ROLLOVER + 1) * 1000
    const late = updateUid(message, newUidSecrets(), alice.secrets, {
      lastEntry: await alice.sync(),
      now: alice.now,
    })
    expect((await update(server, late)).message).toContain('can no longer be updated')
    expect((await create(server, await thief.make())).code).toBe(-32002)
    server.clock.ms += ROLLOVER * 1000
    const later = { lastEntry: await alice.sync(), now: alice.now }
    const tooLate = updateUid(message, newUidSecrets(), alice.secrets, later)
    expect((await update(server, tooLate)).message).toContain('not known')
    await thief.register()
    const reader = new Client(server)
    await reader.sync()
    expect((await reader.current(alice.identity)).UIDContent.SIGKEY.PUBKEY).toBe(thief.sigPubKey)
  })
})

describe('a later message', () => {
  it('goes on from the one before, and may be sent again', async () => {
    const server = await started()
    const alice = new Owner(server, 'alice')
    const before = await alice.register()
    const next = newUidSecrets()
    // As the client of the original makes it: nothing but the keys is new.
    const UIDContent = {
      ...updateUid(before, next, alice.secrets, { lastEntry: '', now: 0 }).UIDContent,
      NOTAFTER: before.UIDContent.NOTAFTER,
      LASTENTRY: before.UIDContent.LASTENTRY,
    }
    const signature = (seed: Uint8Array) => toBase64(ed25519.sign(canonical(UIDContent), seed))
    const UIDMessage: UidMessage = {
      ...before,
      UIDContent,
      SELFSIGNATURE: signature(next.sigKey),
      USERSIGNATURE: signature(alice.secrets.sigKey),
    }
    for (let i = 0; i < 2; i++) {
      const { UIDMessageReply } = await server.call('KeyRepository.UpdateUID', { UIDMessage })
      expect(UIDMessageReply.ENTRY.HASHCHAINPOS).toBe(2)
    }
    // What came before is not the last one any more.
    expect((await create(server, before)).code).toBe(-32002)
    expect((await update(server, before)).message).toContain('not incremented by one')
    expect(await positions(server, alice.identity)).toEqual([1, 2])
  })

  it('is refused where a party cheats', async () => {
    const server = await started()
    const alice = new Owner(server, 'alice')
    const escrow = newEscrowKey()
    const before = await alice.register({ escrow })
    await new Owner(server, 'bob').register()
    const bob = await new Owner(server, 'bobby').register()
    const lastEntry = await alice.sync()
    const now = alice.now
    const at = { lastEntry, now }
    const cheats: [UidMessage, string][] = [
      [updateUid(before, newUidSecrets(), newUidSecrets(), at), 'user-signature invalid'],
      [updateUid(before, newUidSecrets(), { escrow: newEscrowKey() }, at), 'escrow-signature'],
      [
        updateUid(before, newUidSecrets(), alice.secrets, { ...at, escrow: newEscrowKey() }),
        'another SIGESCROW',
      ],
      [updateUid(bob, newUidSecrets(), alice.secrets, at), 'user-signature invalid'],
      [
        updateUid(before, newUidSecrets(), alice.secrets, { ...at, now: now - ROLLOVER }),
        'has expired',
      ],
      [updateUid(before, newUidSecrets(), alice.secrets, { ...at, now: now + 2 * DAY }), 'too far'],
    ]
    for (const [message, why] of cheats)
      expect((await update(server, message)).message).toContain(why)
    const unknown = await new Owner(server, 'nobody').make()
    expect((await update(server, { ...unknown })).code).toBe(-32001)
    // An older LASTENTRY than before.
    const second = updateUid(before, alice.secrets, alice.secrets, at)
    await server.call('KeyRepository.UpdateUID', { UIDMessage: second })
    const older = updateUid(second, alice.secrets, alice.secrets, {
      ...at,
      lastEntry: alice.entries[0]!,
    })
    expect((await update(server, older)).message).toContain('older than that')
  })

  it('deletes the KeyInits of a key that it replaces, and of no other', async () => {
    const server = await started()
    const [alice, bob] = [new Owner(server, 'alice'), new Owner(server, 'bob')]
    const before = await alice.register()
    await bob.register()
    await alice.publish(2)
    await bob.publish(2)
    const at = { lastEntry: await alice.sync(), now: alice.now }
    const same = updateUid(before, alice.secrets, alice.secrets, at)
    await server.call('KeyRepository.UpdateUID', { UIDMessage: same })
    const hash = (by: Owner) => sigKeyHash(ed25519.getPublicKey(by.secrets.sigKey))
    const fetch = (by: Owner) =>
      server.call('KeyInitRepository.FetchKeyInit', { SigKeyHash: hash(by) })
    await fetch(alice)
    const other = updateUid(same, newUidSecrets(), alice.secrets, at)
    await server.call('KeyRepository.UpdateUID', { UIDMessage: other })
    await expect(fetch(alice)).rejects.toThrow('no key init')
    await fetch(bob)
  })
})

describe('links to other chains', () => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const escrowKey = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }).subarray(-32))

  async function linked(server: TestKeyserver, by: Owner, link: Partial<ChainLink>, signed = true) {
    const message = await by.make()
    const LAST = (await server.keyserver.last()).entry
    const CHAINLINK = {
      URI: ['https://keys.other.example/'],
      LAST,
      AUTHORITATIVE: false,
      DOMAINS: [],
      IDENTITY: '',
      ...link,
    }
    const UIDContent = { ...message.UIDContent, CHAINLINK }
    const bytes = canonical(UIDContent)
    const LINKAUTHORITY =
      CHAINLINK.AUTHORITATIVE && signed ? sign(null, bytes, privateKey).toString('base64') : ''
    const SELFSIGNATURE = toBase64(ed25519.sign(bytes, by.secrets.sigKey))
    return { ...message, UIDContent, SELFSIGNATURE, LINKAUTHORITY }
  }
  const authoritative = {
    AUTHORITATIVE: true,
    DOMAINS: ['other.example'],
    IDENTITY: 'keyserver@other.example',
  }

  it('bind, and speak for domains where the operator has signed that they do', async () => {
    const server = await started({ escrowKey })
    const bound = await linked(server, new Owner(server, 'alice'), {})
    await server.call('KeyRepository.CreateUID', { UIDMessage: bound })
    const other = new Owner(server, 'other-keys')
    const UIDMessage = await linked(server, other, authoritative)
    await server.call('KeyRepository.CreateUID', { UIDMessage })
    expect(await server.call('KeyRepository.GetLink', { domain: 'Other.example' })).toEqual({
      Identity: other.identity,
      HCPos: 2,
    })
    expect(await server.refusal('KeyRepository.GetLink', { domain: 'x' })).toMatchObject({
      code: -32001,
    })
    // Somebody else, for the same domain, even with the operator's signature.
    const rival = await linked(server, new Owner(server, 'rival'), authoritative)
    expect((await create(server, rival)).message).toContain('another identity has claimed')
    expect((await server.keyserver.last()).position).toBe(2)
  })

  it.each([
    ['without the signature', authoritative, false, 'LINKAUTHORITY'],
    [
      'for a domain that is served here',
      { ...authoritative, DOMAINS: [DOMAIN] },
      true,
      'served here',
    ],
    [
      'to an identity that was never connected',
      { IDENTITY: 'alice@other.example' },
      true,
      'not connected',
    ],
  ] as const)('are refused %s', async (_, link, signed, why) => {
    const server = await started({ escrowKey })
    const message = await linked(server, new Owner(server, 'alice'), link, signed)
    expect((await create(server, message)).message).toContain(why)
  })

  it('are refused by a keyserver without an escrow key', async () => {
    const server = await started()
    const message = await linked(server, new Owner(server, 'alice'), authoritative)
    expect((await create(server, message)).message).toContain('LINKAUTHORITY')
  })

  it('may go on without authority once they were connected', async () => {
    const server = await started({ escrowKey })
    const alice = new Owner(server, 'alice')
    const connected = { AUTHORITATIVE: true, DOMAINS: [], IDENTITY: 'alice@other.example' }
    const before = await linked(server, alice, connected)
    await server.call('KeyRepository.CreateUID', { UIDMessage: before })
    const at = { lastEntry: await alice.sync(), now: alice.now }
    const { UIDContent } = updateUid(before, alice.secrets, alice.secrets, at)
    const CHAINLINK = { ...UIDContent.CHAINLINK!, AUTHORITATIVE: false }
    const content = { ...UIDContent, CHAINLINK }
    const signature = toBase64(ed25519.sign(canonical(content), alice.secrets.sigKey))
    const both = { USERSIGNATURE: signature, SELFSIGNATURE: signature, LINKAUTHORITY: '' }
    const UIDMessage = { ...before, ...both, UIDContent: content }
    await server.call('KeyRepository.UpdateUID', { UIDMessage })
  })
})

describe('KeyInits', () => {
  const add = (server: TestKeyserver, by: Owner, KeyInits: readonly unknown[]) =>
    server.call('KeyInitRepository.AddKeyInit', { SigPubKey: by.sigPubKey, KeyInits })
  const fetch = async (server: TestKeyserver, by: Owner) => {
    const SigKeyHash = sigKeyHash(ed25519.getPublicKey(by.secrets.sigKey))
    const { KeyInit } = await server.call('KeyInitRepository.FetchKeyInit', { SigKeyHash })
    return by.check(KeyInit as string).keyInit
  }
  async function alices(settings = {}) {
    const server = await started(settings)
    const alice = new Owner(server, 'alice')
    await alice.register()
    return { server, alice }
  }

  it('are given out by the end of their lives, and those that may be shared at the end', async () => {
    const { server, alice } = await alices()
    await alice.publish(1, { fallback: true, lifetime: 100 })
    for (const lifetime of [5000, 300, 2000]) await alice.publish(1, { lifetime })
    const ends: number[] = []
    for (let i = 0; i < 3; i++)
      ends.push((await fetch(server, alice)).Contents.NOTAFTER - alice.now)
    expect(ends).toEqual([300, 2000, 5000])
    expect((await fetch(server, alice)).Contents.FALLBACK).toBe(true)
    // What has expired is not given out, nor what is not valid yet.
    server.clock.ms += 100_000
    await expect(fetch(server, alice)).rejects.toThrow('no key init')
    await server.keyserver.prune()
    const kept = await server.store.select('SELECT count(*) AS n FROM keyserver_key_inits', [])
    expect(Number(kept[0]!['n'])).toBe(0)
    const [later] = alice.keyInits(1)
    const Contents = { ...later!.keyInit.Contents, NOTBEFORE: alice.now + 10 }
    const SIGNATURE = toBase64(ed25519.sign(canonical(Contents), alice.secrets.sigKey))
    await add(server, alice, [{ Contents, SIGNATURE }])
    await expect(fetch(server, alice)).rejects.toThrow('no key init')
    server.clock.ms += 10_000
    expect((await fetch(server, alice)).Contents.NOTBEFORE).toBe(alice.now)
  })

  it('that are shared are thinned out, and one always stays', async () => {
    const { server, alice } = await alices()
    for (const lifetime of [10, 20, 50_000]) await alice.publish(1, { fallback: true, lifetime })
    for (let i = 0; i < 60; i++) expect((await fetch(server, alice)).Contents.FALLBACK).toBe(true)
    const rows = await server.store.select('SELECT not_after FROM keyserver_key_inits', [])
    expect(rows.map((row) => Number(row['not_after']))).toEqual([alice.now + 50_000])
  })

  it('that are shared are read one by one, however much there is of them', async () => {
    const { server, alice } = await alices()
    for (let i = 0; i < 3; i++) await alice.publish(100, { fallback: true })
    let read = 0
    const select = server.store.select.bind(server.store)
    server.store.select = async (sql, values) => {
      const rows = await select(sql, values)
      read += JSON.stringify(rows).length
      return rows
    }
    expect((await fetch(server, alice)).Contents.FALLBACK).toBe(true)
    expect(read).toBeLessThan(30_000)
  })

  it('are never given out again, whoever sends them again', async () => {
    const { server, alice } = await alices()
    const [made] = await alice.publish(1)
    const sent = [made!.keyInit]
    const once = await add(server, alice, sent)
    await fetch(server, alice)
    // Bob has fetched it, and wants it to be given to Carol too.
    expect(await add(server, alice, sent)).toEqual(once)
    await expect(fetch(server, alice)).rejects.toThrow('no key init')
    server.clock.ms += 1000
    await server.keyserver.prune()
    await add(server, alice, sent)
    await expect(fetch(server, alice)).rejects.toThrow('no key init')
  })

  it('count upwards, or not at all', async () => {
    const { server, alice } = await alices()
    const of = (messageCount: number) => alice.keyInits(1, { messageCount })[0]!.keyInit
    await add(server, alice, [of(3), of(7), of(0)])
    for (const count of [7, 3, 1])
      await expect(add(server, alice, [of(count)])).rejects.toThrow('not increased')
    await expect(add(server, alice, [of(9), of(8)])).rejects.toThrow('not increased')
    await add(server, alice, [of(0), of(8)])
  })

  it.each([
    ['none', (alice: Owner) => alice.keyInits(0), '1 to 100'],
    ['too many', (alice: Owner) => alice.keyInits(101), '1 to 100'],
    [
      'one twice',
      (alice: Owner) => {
        const [one] = alice.keyInits(1)
        return [one!, one!]
      },
      'twice',
    ],
    [
      'one for another repository',
      (alice: Owner) => alice.keyInits(1, { repoUri: 'other.example' }),
      'invalid repoURI',
    ],
    [
      'one that lives too long',
      (alice: Owner) => alice.keyInits(1, { lifetime: 92 * DAY }),
      'too far in the future',
    ],
  ])('are refused where there is %s', async (_, make, why) => {
    const { server, alice } = await alices()
    await expect(
      add(
        server,
        alice,
        make(alice).map(({ keyInit }) => keyInit),
      ),
    ).rejects.toThrow(why)
    const rows = await server.store.select('SELECT 1 AS one FROM keyserver_taken', [])
    expect(rows).toEqual([])
  })

  it('are those of a SIGKEY that an identity has now', async () => {
    const { server, alice } = await alices()
    const stranger = new Owner(server, 'stranger')
    const keyInits = stranger.keyInits(1).map(({ keyInit }) => keyInit)
    await expect(add(server, stranger, keyInits)).rejects.toThrow('not the SIGKEY of an identity')
    await expect(add(server, alice, keyInits)).rejects.toThrow('SIGKEYHASH does not match')
    for (const none of [null, 'x', [], {}])
      await expect(add(server, alice, [none])).rejects.toThrow('uid: ')
    const [signed] = alice.keyInits(1)
    const SIGNATURE = toBase64(randomBytes(64))
    await expect(add(server, alice, [{ ...signed!.keyInit, SIGNATURE }])).rejects.toThrow(
      'signature is invalid',
    )
  })

  it('are at most 500 of one SIGKEY', async () => {
    const { server, alice } = await alices()
    for (let i = 0; i < 5; i++) await alice.publish(100)
    await expect(alice.publish(1)).rejects.toThrow('at most 500')
    await fetch(server, alice)
    await alice.publish(1)
  }, 120_000)

  it('are flushed by their owner, once for each time', async () => {
    const { server, alice } = await alices()
    await alice.publish(3)
    const signature = (nonce: number, seed = alice.secrets.sigKey) =>
      toBase64(ed25519.sign(flushBytes(nonce), seed))
    const flush = (Nonce: number, Signature = signature(Nonce), SigPubKey = alice.sigPubKey) =>
      server.call('KeyInitRepository.FlushKeyInit', { SigPubKey, Nonce, Signature })
    const { now } = alice
    await expect(flush(now, signature(now + 1))).rejects.toThrow('nonce signature invalid')
    await expect(flush(now, signature(now, newUidSecrets().sigKey))).rejects.toThrow('invalid')
    await expect(flush(now - 601)).rejects.toThrow('not the time')
    await expect(flush(now + 601)).rejects.toThrow('not the time')
    expect(await flush(now)).toEqual({})
    await expect(fetch(server, alice)).rejects.toThrow('no key init')
    await alice.publish(1)
    await expect(flush(now)).rejects.toThrow('used before')
    await fetch(server, alice)
    const stranger = newUidSecrets().sigKey
    const key = toBase64(ed25519.getPublicKey(stranger))
    await expect(flush(now, signature(now, stranger), key)).rejects.toThrow('not the SIGKEY')
  })
})

describe('the keyserver itself', () => {
  it('begins the chain, renews its messages in time, and signs with one key', async () => {
    const clock = { ms: Date.now() }
    const server = await started({ domains: [DOMAIN, 'second.example'] }, clock)
    expect((await server.keyserver.last()).position).toBe(1)
    const reader = new Client(server)
    for (let halves = 1; halves <= 5; halves++) {
      clock.ms += (ROLLOVER / 2 + DAY) * 1000
      await server.keyserver.open()
      await reader.sync()
      for (const domain of [DOMAIN, 'second.example']) {
        const { UIDContent } = await reader.current(`keyserver@${domain}`)
        expect(UIDContent.MSGCOUNT).toBe(halves)
        expect(UIDContent.SIGKEY.PUBKEY).toBe(server.keyserver.keys.publicKey)
      }
    }
    await server.keyserver.open()
    expect((await server.keyserver.last()).position).toBe(11)
  })

  it('refuses a database that was begun with another seed, or another escrow key', async () => {
    const database = await sqlite!.create()
    const first = await startKeyserver(database)
    await first.stop()
    const other = { seed: new Uint8Array(32) }
    await expect(startKeyserver(database, other)).rejects.toThrow('begun with another key')
    const { publicKey } = generateKeyPairSync('ed25519')
    const escrowKey = new Uint8Array(
      publicKey.export({ format: 'der', type: 'spki' }).subarray(-32),
    )
    await expect(startKeyserver(database, { escrowKey })).rejects.toThrow('another escrow key')
    const again = await startKeyserver(database)
    stops.push(() => again.stop())
    expect((await again.keyserver.last()).position).toBe(0)
    expect(splitEntry((await again.keyserver.last()).entry).hash).toHaveLength(32)
  })
})
