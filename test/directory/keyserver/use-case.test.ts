import { x25519 } from '@noble/curves/ed25519.js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  agreementKey,
  canonical,
  checkKeyInit,
  checkMessage,
  isServerSignature,
  newEscrowKey,
  newUidSecrets,
  openReply,
  printEscrowKey,
  readEscrowKey,
  sigKeyHash,
  splitEntry,
  toBase64,
  uidHashIn,
  uidReply,
  updateUid,
  fromBase64,
} from '@vertex/directory/keyserver'
import { engines } from '../../store/engines.js'
import { Client, Owner } from './client.js'
import { DOMAIN, startKeyserver, type Json, type TestKeyserver } from './server.js'

describe.each(engines)('the use case of the document, on $name', (engine) => {
  let server: TestKeyserver
  beforeAll(async () => {
    if (engine.missing === undefined) server = await startKeyserver(await engine.create())
  })
  afterAll(async () => {
    if (engine.missing === undefined) await server.stop()
    await engine.cleanUp()
  })

  it.skipIf(engine.missing !== undefined)(
    'Alice gets a name, Bob finds her by it, and a paper brings her back',
    async () => {
      // Key Hashchain initialization: Bob and Alice.
      const [alice, bob] = [new Owner(server, 'alice'), new Client(server)]
      const { CAPABILITIES, SIGNATURE } = await server.call('KeyRepository.Capabilities')
      expect(CAPABILITIES).toMatchObject({ DOMAINS: [DOMAIN], TKNPUBKEY: '' })
      expect(CAPABILITIES.METHODS).toContain('KeyRepository.FetchHashChain')
      const [serverKey] = CAPABILITIES.SIGPUBKEYS as [string]
      expect(isServerSignature(SIGNATURE, serverKey, canonical(CAPABILITIES))).toBe(true)
      await alice.sync()
      await bob.sync()
      const keyserver = await bob.current(`keyserver@${DOMAIN}`)
      expect(keyserver.UIDContent.SIGKEY.PUBKEY).toBe(serverKey)
      expect(alice.entries[0]).toBe(CAPABILITIES.KEYHASHCHAINENTRY)

      // Becoming a user: Alice. The name is not on the chain yet.
      expect(await alice.find(alice.identity)).toEqual([])
      const escrow = newEscrowKey()
      const paper = printEscrowKey(escrow)
      const UIDMessage = await alice.make({ escrow })
      const { UIDMessageReply } = await server.call('KeyRepository.CreateUID', {
        UIDMessage,
        Token: 'of no use here',
      })
      const reply = uidReply(UIDMessageReply, 'reply')
      expect(reply.ENTRY.HASHCHAINPOS).toBe(1)
      const uidHash = uidHashIn(splitEntry(reply.ENTRY.HASHCHAINENTRY), alice.identity)!
      const expected = { entry: reply.ENTRY.HASHCHAINENTRY, position: 1, uidHash }
      expect(openReply(reply, expected).bytes).toEqual(checkMessage(UIDMessage).bytes)
      expect(isServerSignature(reply.SERVERSIGNATURE, serverKey, canonical(reply.ENTRY))).toBe(true)

      // Others come after her, and she publishes KeyInits meanwhile.
      await new Owner(server, 'carol').register()
      const made = await alice.publish(2)
      const [fallback] = await alice.publish(1, { fallback: true })

      // Her own copy of the chain has what she demanded.
      await alice.sync()
      const own = await alice.find(alice.identity)
      expect(own.map(({ checked }) => checked.message)).toEqual([UIDMessage])

      // Starting a session: Bob.
      await bob.sync()
      const found = await bob.current('alice@mute.example')
      expect(found).toEqual(UIDMessage)
      const sigPubKey = found.UIDContent.SIGKEY.PUBKEY
      const fetch = async () => {
        const SigKeyHash = sigKeyHash(fromBase64(sigPubKey)!)
        const got = await server.call('KeyInitRepository.FetchKeyInit', { SigKeyHash })
        const { keyInit, anchor } = checkKeyInit(JSON.parse(got.KeyInit as string), {
          sigPubKey,
          repoUris: [DOMAIN],
          now: bob.now,
        })
        return { key: agreementKey(anchor.PFKEYS)!, fallback: keyInit.Contents.FALLBACK }
      }
      const keys = [await fetch(), await fetch()]
      expect(keys.map(({ key }) => toBase64(key)).sort()).toEqual(
        made.map(({ secret }) => toBase64(x25519.getPublicKey(secret))).sort(),
      )
      // Both agree on a secret.
      const ephemeral = x25519.utils.randomSecretKey()
      const secret = made.find(
        (each) => toBase64(x25519.getPublicKey(each.secret)) === toBase64(keys[0]!.key),
      )!.secret
      expect(x25519.getSharedSecret(secret, x25519.getPublicKey(ephemeral))).toEqual(
        x25519.getSharedSecret(ephemeral, keys[0]!.key),
      )
      // Those that are used once are used up; the other one stands in, as often as it takes.
      for (let i = 0; i < 3; i++) {
        const last = await fetch()
        expect(last.fallback).toBe(true)
        expect(last.key).toEqual(x25519.getPublicKey(fallback!.secret))
      }

      // Alice loses her device. What she has is the paper, and the public chain.
      const device = new Client(server)
      const lastEntry = await device.sync()
      const before = await device.current('alice@mute.example')
      const secrets = newUidSecrets()
      const by = { escrow: readEscrowKey(paper) }
      const back = updateUid(before, secrets, by, { lastEntry, now: device.now })
      await server.call('KeyRepository.UpdateUID', { UIDMessage: back, Token: '' })
      await bob.sync()
      const again = await bob.current('alice@mute.example')
      expect(again.UIDContent.SIGKEY).toEqual(back.UIDContent.SIGKEY)
      expect(again.UIDContent.MSGCOUNT).toBe(1)
      // The KeyInits of the lost device are gone, and it can say nothing any more.
      await expect(fetch()).rejects.toThrow('no key init')
      const thief = updateUid(back, newUidSecrets(), alice.secrets, { lastEntry, now: bob.now })
      expect(await server.refusal('KeyRepository.UpdateUID', { UIDMessage: thief })).toMatchObject({
        message: 'uid: user-signature invalid',
      })
      expect(
        await server.refusal('KeyInitRepository.AddKeyInit', {
          SigPubKey: alice.sigPubKey,
          KeyInits: alice.keyInits(1).map(({ keyInit }) => keyInit),
        }),
      ).toMatchObject({ code: -32001 })
    },
  )

  it.skipIf(engine.missing !== undefined)(
    'a dump of the chain, and of the database, says no name',
    async () => {
      const names = ['perdita.longname', 'florizel.longname'].map((name) => `${name}@${DOMAIN}`)
      for (const name of names) await new Owner(server, name.split('@')[0]!).register()
      const reader = new Client(server)
      await reader.sync(1000)
      const { HCEntries } = await server.call('KeyHashchain.FetchHashChain', {
        StartPosition: 0,
        EndPosition: 1_000_000,
      })
      const dump = Buffer.concat(
        (HCEntries as string[]).map((entry) => Buffer.from(entry, 'base64')),
      )
      const replies = await Promise.all(
        (HCEntries as string[]).map((entry) =>
          server.call('KeyRepository.FetchUID', {
            UIDIndex: toBase64(splitEntry(entry).uidIndex),
          }),
        ),
      )
      const stored = await Promise.all(
        ['entries', 'key_inits', 'taken', 'sig_keys', 'tokens', 'links', 'chain'].map((table) =>
          server.store.select(`SELECT * FROM keyserver_${table}`, []),
        ),
      )
      const leaves = await server.store.select('SELECT * FROM log_leaves', [])
      const everything = [
        dump.toString('latin1'),
        JSON.stringify(replies),
        ...replies.map(({ UIDMessageReply }) =>
          Buffer.from(UIDMessageReply.ENTRY.UIDMESSAGEENCRYPTED as string, 'base64').toString(
            'latin1',
          ),
        ),
        ...[...stored.flat(), ...leaves].map((row) =>
          Object.values(row)
            .map((value) =>
              value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : String(value),
            )
            .join('\n'),
        ),
        server.log.join('\n'),
      ].join('\n')
      expect(everything.length).toBeGreaterThan(10_000)
      for (const word of ['perdita', 'florizel', 'longname', 'alice'])
        expect(everything.toLowerCase()).not.toContain(word)
      // Who knows a name finds it; no two entries of one name look alike.
      for (const name of names) expect(await reader.find(name)).toHaveLength(1)
      const [first, second] = await reader.find('alice@mute.example')
      const parts = [first, second].map(({ position }: Json) =>
        splitEntry(reader.entries[position]!),
      )
      expect(parts[0]!.hashId).not.toEqual(parts[1]!.hashId)
    },
  )
})
