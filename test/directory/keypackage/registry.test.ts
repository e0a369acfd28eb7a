import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { createHash } from 'node:crypto'
import { encodeAccount } from '@vertex/directory/keypackage'
import { decodeEntry, subjectHash } from '@vertex/directory/log'
import { engines, sql } from '../../store/engines.js'
import { base64, signer, startRegistry, type Registry } from './registry.js'

const alice = signer(1)
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const bob = signer(2)
const payload = (...bytes: number[]) => Uint8Array.from(bytes)
const account = (lamport: bigint) => encodeAccount({ lamport, devices: [alice.seed] })

describe.each(engines)('a registry on $name', (engine) => {
  describe.skipIf(engine.missing !== undefined)('', () => {
    let registry: Registry | undefined
    afterEach(async () => {
      await registry?.stop()
      registry = undefined
    })
    afterAll(() => engine.cleanUp())
    const start = async (now?: () => number) =>
      (registry = await startRegistry(await engine.create(), now))

    it('takes a key package and gives it back as it was signed', async () => {
      const { post, get } = await start()
      const posted = alice.bundle(payload(1, 2, 3))
      expect(await post('/v0/keypackage', posted)).toEqual({ status: 204, type: null, text: '' })
      const got = await get(`/v0/keypackage/${alice.id}`)
      expect([got.status, got.type]).toEqual([200, 'application/json'])
      // Members and their order as in the original.
      expect(got.text).toBe(`{"payload":"${posted.payload}","signature":"${posted.signature}"}`)
    })

    it('gives the same one again, and after it the one that came last', async () => {
      const { post, get } = await start()
      for (const byte of [1, 2, 3]) await post('/v0/keypackage', alice.bundle(payload(byte)))
      await post('/v0/keypackage', bob.bundle(payload(9)))
      for (let i = 0; i < 2; i++) {
        const got = await get(`/v0/keypackage/${alice.id}`)
        expect(JSON.parse(got.text)).toEqual(alice.signed(payload(3)))
      }
    })

    it('knows nobody by a name that was not posted', async () => {
      const { post, get } = await start()
      await post('/v0/keypackage', alice.bundle(payload(1)))
      for (const id of [bob.id, 'x', '%00', 'a%2Fb', '%F0%9F%94%91', alice.id.slice(1)])
        expect(await get(`/v0/keypackage/${id}`)).toEqual({
          status: 404,
          type: 'application/json',
          text: '{"error":"no keypackage for device"}',
        })
    })

    it('keeps the name as it was written: each case is another name', async () => {
      const { post, get } = await start()
      const upper = alice.id.toUpperCase()
      const bundle = { ...alice.bundle(payload(1)), device_id: upper }
      expect((await post('/v0/keypackage', bundle)).status).toBe(204)
      expect((await get(`/v0/keypackage/${upper}`)).status).toBe(200)
      expect((await get(`/v0/keypackage/${alice.id}`)).status).toBe(404)
    })

    it('takes every one of many that come in the same millisecond, and gives the last', async () => {
      const { post, get } = await start(() => 1_000_000)
      const one = alice.bundle(payload(1))
      const statuses = await Promise.all(
        Array.from({ length: 20 }, () => post('/v0/keypackage', one).then(({ status }) => status)),
      )
      expect(statuses).toEqual(Array.from({ length: 20 }, () => 204))
      const last = alice.bundle(payload(2))
      expect((await post('/v0/keypackage', last)).status).toBe(204)
      const { text } = await get(`/v0/keypackage/${alice.id}`)
      expect(JSON.parse(text)).toMatchObject({ payload: last.payload })
    })

    it('takes an empty payload, and one of a megabyte', async () => {
      const { post, get } = await start()
      for (const each of [new Uint8Array(0), new Uint8Array(1_000_000).fill(7)]) {
        expect((await post('/v0/keypackage', alice.bundle(each))).status).toBe(204)
        const { text } = await get(`/v0/keypackage/${alice.id}`)
        expect(JSON.parse(text)).toEqual(alice.signed(each))
      }
    })

    it('drops what is too old and what is too much, and nothing else', async () => {
      let now = 0
      const { post, get, bundles } = await start(() => now)
      const day = 24 * 3_600_000
      await post('/v0/keypackage', bob.bundle(payload(0)))
      await post('/v0/account', bob.account(account(1n)))
      now = 2 * day
      for (let byte = 1; byte <= 7; byte++)
        await post('/v0/keypackage', alice.bundle(payload(byte)))
      await post('/v0/account', alice.account(account(1n)))
      now = 3 * day
      const kept = async () => {
        const rows = await Promise.all([
          ...[alice, bob].map(({ id }) => get(`/v0/keypackage/${id}`)),
          ...[alice, bob].map(({ id }) => get(`/v0/account/${id}`)),
        ])
        return rows.map(({ status }) => status)
      }
      await bundles.prune({ retentionMs: 3 * day, maxPerIdentity: 5 })
      expect(await kept()).toEqual([200, 200, 200, 200])
      await bundles.prune({ retentionMs: 3 * day - 1, maxPerIdentity: 5 })
      expect(await kept()).toEqual([200, 404, 200, 404])
      const { text } = await get(`/v0/keypackage/${alice.id}`)
      expect(JSON.parse(text)).toMatchObject({ payload: base64(payload(7)) })
    })

    it('keeps of each device the last ones, however many there are to drop', async () => {
      const database = await engine.create()
      const { bundles } = (registry = await startRegistry(database))
      const bundle = (id: string, byte: number) => ({
        id,
        payload: payload(byte),
        signature: new Uint8Array(64),
      })
      // More than one step has.
      for (let i = 0; i < 450; i++) await bundles.addKeyPackage(bundle('one', i % 256))
      for (let i = 0; i < 3; i++) await bundles.addKeyPackage(bundle('two', i))
      await bundles.prune({ retentionMs: 1e9, maxPerIdentity: 2 })
      const left = await sql(
        database,
        'SELECT device_id, count(*) AS n FROM key_packages GROUP BY device_id ORDER BY device_id',
      )
      expect(left.map(({ device_id: id, n }) => [id, Number(n)])).toEqual([
        ['one', 2],
        ['two', 2],
      ])
      expect((await bundles.latestKeyPackage('one'))?.payload).toEqual(Buffer.from([449 % 256]))
    })

    it('takes the devices of an account only with a higher lamport', async () => {
      let now = 1_700_000_000_000
      const { post, get } = await start(() => now)
      const stale = {
        status: 409,
        type: 'application/json',
        text: '{"error":"stale bundle: lamport is not newer than the stored one"}',
      }
      expect((await post('/v0/account', alice.account(account(5n)))).status).toBe(204)
      for (const lamport of [5n, 4n, 0n]) {
        now++
        expect(await post('/v0/account', alice.account(account(lamport)))).toEqual(stale)
      }
      const { text } = await get(`/v0/account/${alice.id}`)
      const { payload: sent, signature } = alice.signed(account(5n))
      expect(text).toBe(
        `{"payload":"${sent}","signature":"${signature}","updated_at":1700000000000}`,
      )
      // Not in the order of their digits, and to the end of 64 bits.
      for (const lamport of [10n, 2n ** 53n + 1n, 2n ** 63n, 2n ** 64n - 1n])
        expect((await post('/v0/account', alice.account(account(lamport)))).status).toBe(204)
      expect(await post('/v0/account', alice.account(account(2n ** 63n)))).toEqual(stale)
      expect((await get(`/v0/account/${bob.id}`)).text).toBe(
        '{"error":"no account bundle for account_id"}',
      )
    })

    it('lets one of many with the same lamport win', async () => {
      const { post } = await start()
      for (const lamport of [1n, 2n]) {
        const posts = Array.from({ length: 8 }, () =>
          post('/v0/account', alice.account(account(lamport))),
        )
        const statuses = (await Promise.all(posts)).map(({ status }) => status)
        expect(statuses.sort()).toEqual([204, ...Array.from({ length: 7 }, () => 409)])
      }
    })

    it('takes the older name of an account, and says it in its errors', async () => {
      const { post, get } = await start()
      const { account_pub: id, ...rest } = alice.account(account(1n))
      expect((await post('/v0/account', { account_id: id, ...rest })).status).toBe(204)
      expect((await get(`/v0/account/${alice.id}`)).status).toBe(200)
      const answers = await Promise.all([
        post('/v0/account', { account_id: 'x', ...rest }),
        post('/v0/account', { account_pub: 'x', account_id: alice.id, ...rest }),
        post('/v0/account', { ...alice.account(payload(1)) }),
      ])
      expect(answers.map(({ status, text }) => [status, text])).toEqual([
        [400, '{"error":"account_id: must be hex of a 32-byte key"}'],
        [400, '{"error":"account_pub: must be hex of a 32-byte key"}'],
        [400, '{"error":"payload: too short to contain a lamport header"}'],
      ])
    })

    it('puts each new list of an account into the log, and takes back what leads to an erased one', async () => {
      const database = await engine.create()
      let now = 1000
      const { post, bundles } = (registry = await startRegistry(database, () => now))
      const entries = async () => {
        const rows = await sql(database, 'SELECT source, salt, entry FROM log_leaves ORDER BY id')
        return rows.map((row) => {
          const [entry, salt] = [row['entry'] as Buffer, row['salt'] as Buffer | null]
          const { subject, digest } = decodeEntry(new Uint8Array(entry))!
          const known =
            salt &&
            hex(subjectHash('account-bundle', new Uint8Array(salt), alice.id)) === hex(subject)
          return { source: row['source'], known, digest: hex(digest) }
        })
      }
      const digestOf = (lamport: bigint) => {
        const { payload: sent, signature } = alice.signed(account(lamport))
        return createHash('sha256')
          .update(Buffer.from(sent, 'base64'))
          .update(Buffer.from(signature, 'base64'))
          .digest('hex')
      }
      await post('/v0/account', alice.account(account(1n)))
      await post('/v0/account', alice.account(account(1n)))
      const first = { source: `${alice.id}/1`, known: true, digest: digestOf(1n) }
      expect(await entries()).toEqual([first])
      await post('/v0/account', alice.account(account(7n)))
      const erased = { ...first, source: null, known: null }
      const second = { source: `${alice.id}/7`, known: true, digest: digestOf(7n) }
      expect(await entries()).toEqual([erased, second])
      now = 5000
      await bundles.prune({ retentionMs: 1000, maxPerIdentity: 5 })
      expect(await entries()).toEqual([erased, { ...second, source: null, known: null }])
      // The same list again, after it was forgotten, is a new entry.
      expect((await post('/v0/account', alice.account(account(7n)))).status).toBe(204)
      expect(await entries()).toHaveLength(3)
      // Key packages are not in it.
      await post('/v0/keypackage', alice.bundle(payload(1)))
      expect(await entries()).toHaveLength(3)
    })
  })
})
