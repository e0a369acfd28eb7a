import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest'
import { encodeShareRequest } from '@vertex/directory/share'
import { directoryTables } from '../../../src/compose/directory.js'
import { addMail, Mails, type MailEvent } from '../../../src/directory/share/mails.js'
import { verificationPage } from '../../../src/directory/share/page.js'
import { sendByCommand, sendBySmtp } from '../../../src/mail/index.js'
import { openUnsealed, type Database, type UnitStore } from '../../../src/store/index.js'
import { engines, sql } from '../../store/engines.js'
import { linkIn, startSmtpSink, type SmtpSink } from '../../support/smtp-sink.js'
import { contactPayload } from './payloads.js'
import { startShares, type ShareServerOptions } from './server.js'

const folder = mkdtempSync(join(tmpdir(), 'vertex-share-mail-'))
const stopping: (() => unknown)[] = []
afterEach(async () => {
  for (const stop of stopping.splice(0).reverse()) await stop()
})
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  for (const engine of engines) await engine.cleanUp()
})

const sender = (sink: SmtpSink, url = sink.url) => {
  const send = sendBySmtp({ url, from: 'keys@example.net' })
  stopping.push(() => send.close())
  return send
}
const sinkOf = async (...options: Parameters<typeof startSmtpSink>) => {
  const sink = await startSmtpSink(...options)
  stopping.push(() => sink.stop())
  return sink
}
const [sqlite] = engines
async function started(options: ShareServerOptions, database?: Database) {
  const server = await startShares(database ?? (await sqlite!.create()), {
    ...options,
    settings: { ratePerMinute: 0, ...options.settings },
  })
  stopping.push(() => server.stop())
  return server
}
const requested = (email: string) =>
  encodeShareRequest({ ttlSeconds: 900, maxFetches: 1, payload: contactPayload(), email })

describe.each(engines)('verified addresses on $name', (engine) => {
  describe.skipIf(engine.missing !== undefined)('with a real mail server', () => {
    it('are those whose owner has opened the link that came by mail', async () => {
      const sink = await sinkOf()
      const server = await started({ send: sender(sink) }, await engine.create())
      const { code, verificationUrl } = await server.share({
        email: ' Alice@Example.COM ',
        maxFetches: 3,
      })
      // Who publishes is not shown what only the mailbox is to see.
      expect(verificationUrl).toBeUndefined()
      await vi.waitFor(() => expect(sink.mails).toHaveLength(1), 10_000)
      const [mail] = sink.mails
      expect([mail?.from, mail?.to]).toEqual(['keys@example.net', ['alice@example.com']])
      expect(mail?.raw).toMatch(/^Auto-Submitted: auto-generated\r$/m)
      const link = new URL(linkIn(mail))
      expect(`${link.origin}${link.pathname}`).toBe('https://keys.example/v1/verify')
      expect(link.searchParams.get('code')).toBe(code)

      const open = (query = link.search) => fetch(`${server.url}/v1/verify${query}`)
      const wrong = await open(`?code=${code}&token=${'0'.repeat(64)}`)
      expect(wrong.status).toBe(400)
      expect(await server.take(code)).toMatchObject({
        verification: { email: 'alice@example.com', verified: false, verifiedAt: 0 },
      })
      // A mail scanner that only looks has verified nothing.
      expect(
        (await fetch(`${server.url}/v1/verify${link.search}`, { method: 'HEAD' })).status,
      ).toBe(404)
      expect(await server.take(code)).toMatchObject({ verification: { verified: false } })

      const page = await open()
      expect(page.headers.get('connection')).toBe('close')
      expect([page.status, page.headers.get('content-type')]).toEqual([
        200,
        'text/html; charset=utf-8',
      ])
      expect(await page.text()).toContain('alice@example.com')
      expect(page.headers.get('content-security-policy')).toContain("default-src 'none'")
      expect(page.headers.get('referrer-policy')).toBe('no-referrer')
      expect(page.headers.get('cache-control')).toBe('no-store')
      expect((await open()).status).toBe(200)
      const taken = await server.take(code)
      expect(taken).toMatchObject({ remaining: 0, verification: { verified: true } })
      expect((await open()).status).toBe(400)
      await server.mails!.sendDue()
      expect(sink.mails).toHaveLength(1)
      expect(server.log.join('') + JSON.stringify(server.mailEvents)).not.toMatch(/alice|token=/i)
    })

    it('wait for a mail server that is away, and for a server that was stopped', async () => {
      const database = await engine.create()
      const clock = { at: Date.now() }
      const now = () => clock.at
      const sink = await startSmtpSink()
      await sink.stop()
      const first = await startShares(database, {
        send: sender(sink),
        now,
        settings: { ratePerMinute: 0 },
      })
      await first.share({ email: 'alice@example.com' })
      await vi.waitFor(() => expect(first.mailEvents).toHaveLength(1), 10_000)
      expect(first.mailEvents[0]).toMatchObject({ event: 'share_mail_failed', attempts: 1 })
      expect(JSON.stringify(first.mailEvents)).toMatch(/ESOCKET|ECONN/)
      await first.stop()

      const back = await sinkOf({}, sink.port)
      back.refuse = 1
      const second = await started({ send: sender(back), now }, database)
      await second.mails!.sendDue()
      expect(back.mails).toHaveLength(0)
      clock.at += 10_000
      await second.mails!.sendDue()
      expect(second.mailEvents).toMatchObject([{ event: 'share_mail_failed', attempts: 2 }])
      clock.at += 20_000
      await second.mails!.sendDue()
      expect(back.mails).toHaveLength(1)
      expect(await sql(database, 'SELECT * FROM share_mails')).toEqual([])
    })

    it('are not asked for after the end of the share', async () => {
      const clock = { at: Date.now() }
      const sink = await sinkOf()
      sink.refuse = 1
      const server = await started(
        { send: sender(sink), now: () => clock.at },
        await engine.create(),
      )
      await server.share({ email: 'alice@example.com' })
      await vi.waitFor(() => expect(server.mailEvents).toHaveLength(1), 10_000)
      clock.at += 900_000
      await server.mails!.sendDue()
      expect(sink.mails).toHaveLength(0)
    })

    it('are sent one mail each by several servers together', async () => {
      const sink = await sinkOf()
      const database = await engine.create()
      const server = await started({}, database)
      for (let i = 0; i < 45; i++)
        await server.shares.create({
          locator: { primary: 0, secondary: 0 },
          payload: contactPayload(),
          ttlMs: 900_000,
          maxFetches: 1,
          verification: {
            email: `a${i}@example.com`,
            source: String(i),
            linkOf: (code) => `https://keys.example/${code}`,
          },
        })
      // On SQLite there is one process; its queues still meet.
      const others = [server.store, server.store, server.store]
      if (database.kind === 'postgres')
        for (const i of [1, 2]) {
          const other = await openUnsealed(database, directoryTables)
          stopping.push(() => other.close())
          others[i] = other
        }
      const events: MailEvent[] = []
      const smtp = sender(sink)
      await Promise.all(
        others.map((store) =>
          new Mails(
            store,
            () => Date.now(),
            (to, url) => smtp({ to, subject: 'x', text: url }),
            (event) => events.push(event),
          ).sendDue(),
        ),
      )
      expect(new Set(sink.mails.map(({ to }) => to[0])).size).toBe(45)
      expect(sink.mails).toHaveLength(45)
      expect(events.filter(({ event }) => event === 'share_mail_sent')).toHaveLength(45)
    })
  })
})

describe('the mails of share codes', () => {
  it('are five to one address in an hour, and thirty for one who asks', async () => {
    const clock = { at: Date.now() }
    const { said } = await started({ send: () => Promise.resolve(), now: () => clock.at })
    const status = async (email: string) => (await said(requested(email))).status
    for (let i = 0; i < 5; i++) expect(await status('alice@example.com')).toBe(0)
    expect(await said(requested('ALICE@example.com'))).toMatchObject({
      http: 200,
      status: 9,
      operation: 1,
    })
    for (let i = 0; i < 25; i++) expect(await status(`a${i}@example.com`)).toBe(0)
    expect(await status('bob@example.com')).toBe(9)
    clock.at += 3_600_000
    expect(await status('alice@example.com')).toBe(0)
  })

  it.each([
    '',
    'noat',
    '@x',
    'x@',
    'a@b@c',
    'a@b\r\nBcc: all@example.com',
    'a\n@example.com',
    'a\0@example.com',
    'a@example.com,b@example.com',
    'a@example.com;b@example.com',
    'a@example.com b@example.com',
    'Alice <a@example.com>',
    '"a@example.com, b"@example.com',
    '"a b"@example.com',
    'a(comment)@example.com',
    'a@[127.0.0.1]',
    'a@-example.com',
    'a@example..com',
    '.a@example.com',
    '-oQ/tmp/x@example.com',
    '--help@example.com',
    'ä@example.com',
    'a@exämple.com',
    `${'a'.repeat(65)}@example.com`,
    `a@${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(63)}.${'e'.repeat(63)}`,
  ])('are not sent to %j', async (email) => {
    const sent: unknown[] = []
    const { said } = await started({ send: (mail) => Promise.resolve(void sent.push(mail)) })
    expect(await said(requested(email))).toMatchObject({
      http: 200,
      status: 1,
      operation: 1,
      message: 'payload invalid: verification email is invalid',
    })
    expect(sent).toEqual([])
  })

  it('are not promised where none can be sent', async () => {
    const { said } = await started({})
    const answer = await said(requested('a@example.com'))
    expect(answer).toMatchObject({ http: 200, status: 10, operation: 1 })
    expect(answer.message).toContain('sends no e-mail')
  })

  it('are in the place of a link in the answer, but for developers', async () => {
    const { share } = await started({ settings: { developer: true } })
    const { code, verificationUrl } = await share({ email: 'a@example.com' })
    expect(verificationUrl).toMatch(
      new RegExp(`^https://keys\\.example/v1/verify\\?code=${code}&token=[0-9a-f]{64}$`),
    )
  })

  it('are given to a command as its arguments, and to no shell', async () => {
    const out = join(folder, 'arguments')
    const command = join(folder, 'send mail.sh')
    writeFileSync(command, `#!/bin/sh\nprintf '%s\\n' "$#" "$1" "$2" "$SECRET" > '${out}'\n`)
    chmodSync(command, 0o755)
    vi.stubEnv('SECRET', 'not for it')
    const trap = join(folder, 'trap')
    const url = `https://keys.example/v1/verify?code=1&token=2;touch ${trap}`
    await sendByCommand(command)('`touch$IFS' + "trap`'|&@example.com", url)
    vi.unstubAllEnvs()
    expect(readFileSync(out, 'utf8')).toBe(`2\n\`touch$IFStrap\`'|&@example.com\n${url}\n\n`)
    expect(existsSync(trap)).toBe(false)
  })

  it('are tried again when the command fails or is not there', async () => {
    await expect(sendByCommand('/bin/false')('a@b', 'u')).rejects.toThrow(
      'the command ended with 1',
    )
    await expect(sendByCommand(join(folder, 'none'))('a@b', 'u')).rejects.toThrow('ENOENT')
  })

  it('are due again once it is said that one failed, and not only when its lease has run out', async () => {
    const store = await openUnsealed(await sqlite!.create(), directoryTables)
    stopping.push(() => store.close())
    const at = Date.now()
    await store.inUnit((unit) =>
      addMail(unit, { code: 'c', email: 'e', url: 'u', now: at, expiresAt: at + 900_000 }),
    )
    const order: string[] = []
    const noting: UnitStore = {
      select: (...asked) => store.select(...asked),
      inUnit: (work) => store.inUnit(work),
      inLog: (work) => store.inLog(work),
      inChain: (work) => store.inChain(work),
      change: async (statement, values) => {
        const rows = await store.change(statement, values)
        if (statement.startsWith('UPDATE')) order.push(`due in ${Number(values[0]) - at}`)
        return rows
      },
    }
    const refuse = () => Promise.reject(new Error('refused'))
    await new Mails(
      noting,
      () => at,
      refuse,
      ({ event }) => order.push(event),
    ).sendDue()
    expect(order).toEqual(['due in 120000', 'due in 10000', 'share_mail_failed'])
  })

  it('go over TLS or not at all, except on this machine', async () => {
    const plain = await sinkOf({ hideSTARTTLS: true })
    const mail = { to: 'a@example.com', subject: 's', text: 't' }
    await sender(plain)(mail)
    expect(plain.mails).toMatchObject([{ secure: false }])
    // Another name of this machine, which the sender does not know for one.
    await expect(sender(plain, plain.url.replace('127.0.0.1', '0.0.0.0'))(mail)).rejects.toThrow(
      'the mail server: ',
    )
    expect(plain.mails).toHaveLength(1)
  })

  it('are sent in the name of the user in the URL', async () => {
    const sink = await sinkOf({
      authOptional: false,
      hideSTARTTLS: true,
      allowInsecureAuth: true,
      onAuth: ({ username, password }, _, callback) => {
        callback(null, password === 'p@ss word' ? { user: username } : {})
      },
    })
    const at = (login: string) => sink.url.replace('//', `//${login}@`)
    const mail = { to: 'a@example.com', subject: 's', text: 't' }
    await sender(sink, at('keys:p%40ss%20word'))(mail)
    expect(sink.mails).toMatchObject([{ user: 'keys' }])
    const failed: unknown = await sender(
      sink,
      at('keys:wrong'),
    )(mail).catch((error: unknown) => error)
    expect(String(failed)).toMatch(/EAUTH 535/)
    expect(String(failed)).not.toMatch(/wrong|keys/)
  })

  it('lead to a page on which nothing can be put', () => {
    const page = verificationPage(true, `"><script>alert('1')</script>&`)
    expect(page).not.toMatch(/<script|alert\('|"></)
    expect(page).toContain('&#60;script&#62;')
  })
})
