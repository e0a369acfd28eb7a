import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createRecipientKey, primaryOfIdentity, type Signer } from '@vertex/sdk'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { Harness } from '../../sdk/support/harness.js'
import { sql } from '../../store/engines.js'
import { vertexCommand } from '../../support/command.js'
import type { TestServer } from '../../support/server.js'
import { linkIn, startSmtpSink, type SmtpSink } from '../../support/smtp-sink.js'

vi.setConfig({ testTimeout: 240_000, hookTimeout: 120_000 })

const harness = new Harness()
const config = join(harness.folder, 'share.toml')
let sink: SmtpSink
let server: TestServer
beforeAll(async () => {
  sink = await startSmtpSink()
  writeFileSync(config, `smtp_url = "${sink.url}"\nsmtp_from = "keys@example.net"\n`)
  server = await harness.server('one', {
    settings: { VERTEX_SHARE_CONFIG: config, VERTEX_PUBLIC_HOST: 'vertex.example' },
  })
})
afterAll(async () => {
  await harness.end()
  await sink.stop()
})

const linkTo = (code: string) =>
  vi.waitFor(() => {
    const mail = sink.mails.find(({ text }) => text.includes(`code=${code}`))
    expect(mail).toBeDefined()
    return new URL(linkIn(mail))
  }, 20_000)

it('two people meet through a Vertex, and one seals a backup for the other', async () => {
  const [alice, bob] = [await harness.client(server), await harness.client(server)]
  const identity: Signer = { scheme: 'ed25519', secret: new Uint8Array(randomBytes(32)) }
  const { subject } = createRecipientKey()
  await alice.directory.publishIdentity(identity, { add: [subject] })
  const { code, fingerprint } = await alice.directory.publishContact('alice@example.com', {
    identity,
    recipientKey: subject.slice('recipient:'.length),
  })
  const link = await linkTo(code)
  expect(link.origin).toBe('https://vertex.example')
  expect((await fetch(`${server.url}${link.pathname}${link.search}`)).status).toBe(200)
  const contact = await bob.directory.addContact(code, fingerprint)
  expect(contact.primary).toBe(primaryOfIdentity(identity))
  const key = await bob.ecdsa.createKey()
  const sealed = await bob.directory.sealBackupTo(contact.primary!, key)
  expect(sealed.recipient).toBe(contact.primary)
})

it('a verified address is in the log, and what was slipped into its row is found', async () => {
  const client = await harness.client(server)
  const identity: Signer = { scheme: 'ed25519', secret: new Uint8Array(randomBytes(32)) }
  const keys = { identity, recipientKey: '11'.repeat(32) }
  const published = await client.directory.publishContact('carol@example.com', keys)
  const { pathname, search } = await linkTo(published.code)
  expect((await fetch(`${server.url}${pathname}${search}`)).status).toBe(200)
  const verify = () => {
    const { status, stdout } = vertexCommand(['log', 'verify', '--json'], {
      folder: server.folder,
    })
    return { status, ...(JSON.parse(stdout) as object) }
  }
  await vi.waitFor(
    () =>
      // The one of the first test was erased with its share.
      expect(verify()).toMatchObject({
        status: 0,
        kinds: { 'contact-verification': 2 },
        database: { erased: 1 },
      }),
    { timeout: 60_000, interval: 2_000 },
  )
  const database = { kind: 'sqlite', dataDir: join(server.folder, 'data') } as const
  const change = (email: string) =>
    sql(database, `UPDATE share_codes SET email = '${email}' WHERE code = '${published.code}'`)
  await change('mallory@example.com')
  expect(verify()).toMatchObject({
    status: 1,
    problem: 'row_changed',
    what: expect.stringContaining(`contact-verification ${published.code}`) as string,
  })
  await change('carol@example.com')
  // Nobody can ask the log which codes there are.
  const asked = await fetch(`${server.url}/log/proof/contact-verification/${published.code}`)
  expect(asked.status).toBe(404)
  expect(await published.delete()).toBe(true)
  expect(verify()).toMatchObject({ status: 0, database: { erased: 2 } })
})

it('a Vertex whose file of settings is wrong does not start, and says where', async () => {
  const wrong = join(harness.folder, 'wrong.toml')
  writeFileSync(wrong, 'smtp_ulr = "x"\n')
  for (const [file, message] of [
    [wrong, `VERTEX_SHARE_CONFIG: ${wrong}:1: unknown config key`],
    [join(harness.folder, 'none'), 'cannot be read (ENOENT)'],
  ] as const)
    await expect(
      harness.server('two', { settings: { VERTEX_SHARE_CONFIG: file } }),
    ).rejects.toThrow(message)
})

it('a Vertex that says nothing of share codes sends no mail, and shares without', async () => {
  const plain = await harness.server('three')
  const client = await harness.client(plain)
  const identity: Signer = { scheme: 'ed25519', secret: new Uint8Array(randomBytes(32)) }
  await expect(
    client.directory.publishContact('a@example.com', { identity, recipientKey: '11'.repeat(32) }),
  ).rejects.toThrow('sends no e-mail')
  const off = await harness.server('four', { settings: { VERTEX_DIRECTORY: 'off' } })
  expect((await fetch(`${off.url}/v1/share`, { method: 'POST' })).status).toBe(404)
})
