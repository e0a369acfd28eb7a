import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { directoryTables } from '../../../src/compose/directory.js'
import {
  MOST_FAILURES,
  ShareStore,
  TooManyMails,
  type NewShare,
  type ShareStoreOptions,
} from '../../../src/directory/share/store.js'
import { openUnsealed, type UnsealedStore } from '../../../src/store/index.js'
import { engines, sql } from '../../store/engines.js'
import { contactPayload } from './payloads.js'

const TTL = 900_000
const start = 1_800_000_000_000

describe.each(engines)('shares on $name', (engine) => {
  describe.skipIf(engine.missing !== undefined)('kept in a database', () => {
    const opened: UnsealedStore[] = []
    afterEach(async () => {
      for (const store of opened.splice(0)) await store.close()
    })
    afterAll(() => engine.cleanUp())

    const begin = async (more: Partial<ShareStoreOptions> = {}) => {
      const database = await engine.create()
      const store = await openUnsealed(database, directoryTables)
      opened.push(store)
      const clock = { at: start }
      const mailLimits = { perEmail: 5, perSource: 30 }
      const shares = new ShareStore(store, { now: () => clock.at, mailLimits, ...more })
      const share = (over: Partial<NewShare> = {}) =>
        shares.create({
          locator: { primary: 0, secondary: 1 },
          payload: contactPayload(),
          ttlMs: TTL,
          maxFetches: 1,
          ...over,
        })
      const mailed = (email = 'alice@example.com', source = '192.0.2.1') => ({
        email,
        source,
        linkOf: (code: string, token: string) => `${code}/${token}`,
      })
      return { database, store, shares, clock, share, mailed }
    }
    const tokenOf = (link: string | undefined) => link!.split('/')[1]!

    it('gives a share out once, and nothing of it is left', async () => {
      const { shares, share, database } = await begin()
      const payload = contactPayload()
      const { code, expiresAt } = await share({ payload })
      expect(code).toMatch(/^01\d{12}$/)
      const taken = await shares.take(code)
      expect(taken).toEqual({ payload: Buffer.from(payload), expiresAt: start + TTL, remaining: 0 })
      expect(expiresAt).toBe(start + TTL)
      expect(await shares.take(code)).toBeUndefined()
      expect(await sql(database, 'SELECT * FROM share_codes')).toEqual([])
      expect(shares.counts).toMatchObject({ created: 1, fetched: 1, misses: 1 })
    })

    it('gives it out as often as it says, and not after its end', async () => {
      const { shares, share, clock } = await begin()
      const { code } = await share({ maxFetches: 3 })
      expect((await shares.take(code))?.remaining).toBe(2)
      expect((await shares.take(code))?.remaining).toBe(1)
      clock.at += TTL
      expect(await shares.take(code)).toBeUndefined()
      expect(await shares.live()).toBe(0)
    })

    it.each([1, 3])('gives it to %i of many who ask at once', async (maxFetches) => {
      const { shares, share } = await begin()
      const { code } = await share({ maxFetches })
      const all = await Promise.all(Array.from({ length: 12 }, () => shares.take(code)))
      expect(all.filter((taken) => taken !== undefined)).toHaveLength(maxFetches)
    })

    it.each([
      ['a short text', '00'],
      ['no code', 'nonsense'],
      ['a code of nobody', '01123456789012'],
      ['what no database takes', '\0'],
      ['a long text', 'x'.repeat(10_000)],
    ])('finds nothing under %s', async (_, code) => {
      const { shares } = await begin()
      expect(await shares.take(code)).toBeUndefined()
      expect(await shares.delete(code, new Uint8Array(32))).toBe('missing')
      expect(await shares.verify(code, 'aa')).toEqual({ outcome: 'missing' })
    })

    it('deletes for who has the token, and nobody else', async () => {
      const { shares, share } = await begin()
      const { code, deleteToken } = await share()
      expect(await shares.delete(code, new Uint8Array(32))).toBe('wrong_token')
      expect(await shares.delete(code, deleteToken)).toBe('done')
      expect(await shares.delete(code, deleteToken)).toBe('missing')
      expect(await shares.take(code)).toBeUndefined()
    })

    it('looks at no token of a code after so many wrong ones', async () => {
      const { shares, share, mailed } = await begin()
      const { code, deleteToken, link } = await share({ verification: mailed() })
      for (let i = 0; i < MOST_FAILURES; i++)
        expect(
          i % 2 === 0
            ? await shares.delete(code, new Uint8Array(i))
            : (await shares.verify(code, String(i))).outcome,
        ).toBe('wrong_token')
      expect(await shares.delete(code, deleteToken)).toBe('locked')
      expect(await shares.verify(code, tokenOf(link))).toEqual({ outcome: 'locked' })
      // Who has the code may still have the share.
      expect(await shares.take(code)).toBeDefined()
    })

    it('keeps no token', async () => {
      const { share, mailed, database } = await begin()
      const { deleteToken, link } = await share({ verification: mailed() })
      const rows = JSON.stringify(await sql(database, 'SELECT * FROM share_codes'))
      expect(rows).not.toContain(Buffer.from(deleteToken).toString('hex'))
      expect(rows).not.toContain(tokenOf(link))
    })

    it('takes an address for verified when the link is followed, also twice', async () => {
      const { shares, share, mailed, clock, database } = await begin()
      const { code, link } = await share({ verification: mailed(), maxFetches: 2 })
      const before = await shares.take(code)
      expect(before?.verification).toEqual({
        email: 'alice@example.com',
        verifiedAt: 0,
        attestation: new Uint8Array(),
      })
      clock.at += 1000
      for (let i = 0; i < 2; i++)
        expect(await shares.verify(code, tokenOf(link))).toEqual({
          outcome: 'done',
          email: 'alice@example.com',
        })
      const leaves = () =>
        sql(database, `SELECT source, salt FROM log_leaves WHERE kind = 'contact-verification'`)
      expect(await leaves()).toMatchObject([{ source: code }])
      clock.at += 1000
      const after = await shares.take(code)
      expect(after?.verification).toMatchObject({ verifiedAt: start + 1000 })
      expect(after?.verification?.attestation).toHaveLength(32)
      // It was given out for the last time: nothing leads from the log to the person any more.
      expect(await leaves()).toEqual([{ source: null, salt: null }])
      expect(await shares.verify(code, tokenOf(link))).toEqual({ outcome: 'missing' })
    })

    it('has so many mails sent to one address, and for one who asks', async () => {
      const { share, mailed, clock, database } = await begin({
        mailLimits: { perEmail: 2, perSource: 3 },
      })
      const to = (email: string, source: string) => share({ verification: mailed(email, source) })
      await to('a@example.com', '1')
      await to('a@example.com', '2')
      await expect(to('a@example.com', '3')).rejects.toThrow(TooManyMails)
      await to('b@example.com', '1')
      await to('c@example.com', '1')
      await expect(to('d@example.com', '1')).rejects.toThrow(TooManyMails)
      // What was refused left nothing behind.
      expect(await sql(database, 'SELECT code FROM share_codes')).toHaveLength(4)
      expect(await sql(database, 'SELECT id FROM share_mails')).toHaveLength(4)
      const counted = JSON.stringify(await sql(database, 'SELECT who FROM share_mail_counts'))
      expect(counted).not.toContain('example')
      clock.at += 3_600_000
      await to('a@example.com', '1')
    })

    it('counts mails of many who ask at once', async () => {
      const { share, mailed } = await begin()
      const asked = await Promise.allSettled(
        Array.from({ length: 9 }, (_, i) =>
          share({ verification: mailed('a@example.com', String(i)) }),
        ),
      )
      expect(asked.filter(({ status }) => status === 'fulfilled')).toHaveLength(5)
    })

    it('forgets what is over', async () => {
      const { shares, share, mailed, clock, database } = await begin()
      const { code, link } = await share({ verification: mailed() })
      await share({ ttlMs: 10 * TTL })
      await shares.verify(code, tokenOf(link))
      clock.at += 3_600_000
      await shares.purge()
      expect(await sql(database, 'SELECT code FROM share_codes')).toHaveLength(1)
      for (const table of ['share_mails', 'share_mail_counts'])
        expect(await sql(database, `SELECT * FROM ${table}`)).toEqual([])
      expect(await sql(database, 'SELECT source FROM log_leaves')).toEqual([{ source: null }])
      expect(shares.counts.expired).toBe(1)
    })

    it('tells of each change in its own unit, and applies what it is told', async () => {
      const told: unknown[] = []
      const here = await begin({
        tell: (_, event) => {
          told.push(event)
          return Promise.resolve()
        },
      })
      const there = await begin()
      const { code } = await here.share({ maxFetches: 2 })
      await here.shares.take(code)
      await here.shares.take(code)
      expect(told).toMatchObject([
        { kind: 'put', code, maxFetches: 2, fetches: 0 },
        { kind: 'fetches', code, fetches: 1 },
        { kind: 'tombstone', code },
      ])
      const [put, fetches, tombstone] = told as Parameters<ShareStore['apply']>[1][]
      const apply = (event: Parameters<ShareStore['apply']>[1]) =>
        there.store.inUnit((unit) => there.shares.apply(unit, event))
      await apply(put!)
      await apply(fetches!)
      // Told of once more, it is not given out more often.
      await apply(put!)
      expect(await there.shares.liveAfter('', 10)).toMatchObject([{ code, fetches: 1 }])
      expect((await there.shares.take(code))?.remaining).toBe(0)
      await apply(put!)
      await apply(tombstone!)
      expect(await there.shares.take(code)).toBeUndefined()
    })

    it('keeps nothing of which others could not be told', async () => {
      const { share, shares } = await begin({
        tell: () => Promise.reject(new Error('not told')),
      })
      await expect(share()).rejects.toThrow('not told')
      expect(await shares.live()).toBe(0)
    })
  })
})
