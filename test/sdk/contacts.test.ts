import { randomBytes } from 'node:crypto'
import {
  createRecipientKey,
  IdentityError,
  MemoryShareStore,
  primaryOfIdentity,
  RequestError,
  UnavailableError,
  Vertex,
  type Fetch,
  type PublishedContact,
  type Signer,
  type VertexError,
} from '@vertex/sdk'
import {
  decodeFetched,
  decodePayload,
  decodeRequest,
  decodeResponse,
  encodeFetched,
  encodePayload,
  encodeResponse,
  fingerprintOf,
  operations,
  statuses,
  type ContactShare,
  type Fetched,
} from '@vertex/directory/share'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { startShares } from '../directory/share/server.js'
import { engines } from '../store/engines.js'
import { linkIn, startSmtpSink, type SmtpSink } from '../support/smtp-sink.js'
import { sendBySmtp } from '../../src/mail/index.js'
import { hex } from './support/harness.js'

const [sqlite] = engines
let sink: SmtpSink
let server: Awaited<ReturnType<typeof startShares>>
let vertex: Vertex
const clients: Vertex[] = []

const client = (fetch?: Fetch) => {
  const made = new Vertex({
    url: server.url,
    apiKey: 'any',
    store: new MemoryShareStore(),
    allowHttpOnLoopback: true,
    ...(fetch === undefined ? {} : { fetch }),
  })
  clients.push(made)
  return made
}

beforeAll(async () => {
  sink = await startSmtpSink()
  const send = sendBySmtp({ url: sink.url, from: 'keys@example.net' })
  server = await startShares(await sqlite!.create(), {
    send,
    settings: { ratePerMinute: 0, mailsPerSource: 0, mailsPerEmail: 0 },
  })
  vertex = client()
})
afterAll(async () => {
  await Promise.all(clients.map((each) => each.close()))
  await server.stop()
  await sink.stop()
  await sqlite!.cleanUp()
})

const somebody = (): Signer => ({ scheme: 'ed25519', secret: new Uint8Array(randomBytes(32)) })
const errorOf = (work: Promise<unknown>) =>
  work.then(
    () => undefined,
    (error: unknown) => error as VertexError,
  )

/** Opens the link in the mail for a code. */
async function openLink(code: string): Promise<void> {
  const mail = await vi.waitFor(() => {
    const found = sink.mails.find(({ text }) => text.includes(`code=${code}`))
    expect(found).toBeDefined()
    return found
  }, 10_000)
  const { search } = new URL(linkIn(mail))
  expect((await fetch(`${server.url}/v1/verify${search}`)).status).toBe(200)
}

async function alice(verified = true) {
  const identity = somebody()
  const { subject } = createRecipientKey()
  const recipientKey = subject.slice('recipient:'.length)
  const published = await vertex.directory.publishContact('Alice@Example.com', {
    identity,
    recipientKey,
  })
  if (verified) await openLink(published.code)
  return { identity, recipientKey, published }
}

/** A client whose server gives out something else than it has. */
function lied(change: (fetched: Fetched, payload: ContactShare) => Fetched): Vertex {
  return client(async (input, init) => {
    const response = await fetch(input, init)
    const answer = new Uint8Array(await response.arrayBuffer())
    const asked = decodeRequest(new Uint8Array(init.body as Uint8Array))
    if (asked.operation !== operations.fetchShare) return new Response(answer, response)
    const fetched = decodeFetched(decodeResponse(answer).body)
    const other = change(fetched, decodePayload(fetched.payload) as ContactShare)
    const bytes = encodeResponse(statuses.success, operations.fetchShare, encodeFetched(other))
    return new Response(new Uint8Array(bytes), { status: 200 })
  })
}

describe('a contact', () => {
  it('is published, verified, and added with the fingerprint that was heard', async () => {
    const { identity, recipientKey, published } = await alice()
    expect(published.code).toMatch(/^01\d{12}$/)
    expect(published.fingerprint).toMatch(/^(?:[0-9a-f]{2} ){15}[0-9a-f]{2}$/)
    const heard = published.fingerprint.toUpperCase().replaceAll(' ', '-')
    const contact = await vertex.directory.addContact(` ${published.code}\n`, heard, {
      email: 'alice@example.com',
    })
    expect(contact).toMatchObject({
      email: 'alice@example.com',
      primary: primaryOfIdentity(identity),
      fingerprint: published.fingerprint,
    })
    expect(hex(contact.publicKey)).toBe(recipientKey)
    expect(contact.verifiedAt.getTime()).toBeGreaterThan(Date.now() - 60_000)
    expect(await errorOf(vertex.directory.addContact(published.code, heard))).toMatchObject({
      errType: 'code_not_found',
    })
  })

  it('is not added before the address was verified', async () => {
    const { published } = await alice(false)
    const error = await errorOf(vertex.directory.addContact(published.code, published.fingerprint))
    expect(error).toBeInstanceOf(IdentityError)
    expect(error).toMatchObject({ errType: 'contact_unverified' })
  })

  it('is not added without the fingerprint, or with another one', async () => {
    const { published } = await alice()
    const add = (heard: string) => errorOf(vertex.directory.addContact(published.code, heard))
    for (const heard of [
      '',
      'yes',
      published.fingerprint.slice(0, -1),
      `${published.fingerprint}0`,
    ])
      expect(await add(heard)).toBeInstanceOf(RequestError)
    const other = published.fingerprint.replace(/^./, (digit) => (digit === '0' ? '1' : '0'))
    expect(await add(other)).toMatchObject({ errType: 'contact_mismatch' })
  })

  it('is not added under the name of somebody else', async () => {
    const { published } = await alice()
    const { code, fingerprint } = published
    const error = await errorOf(
      vertex.directory.addContact(code, fingerprint, { email: 'bob@example.com' }),
    )
    expect(error).toMatchObject({ errType: 'contact_mismatch' })
  })

  it('is taken back', async () => {
    const { published } = await alice(false)
    expect(await published.delete()).toBe(true)
    expect(await published.delete()).toBe(false)
    const error = await errorOf(vertex.directory.addContact(published.code, published.fingerprint))
    expect(error).toMatchObject({ errType: 'code_not_found' })
  })

  it('asks for nothing that cannot be', async () => {
    const identity = somebody()
    const recipientKey = '00'.repeat(32)
    const { directory } = vertex
    for (const asked of [
      () => directory.publishContact('a@b, c@d', { identity, recipientKey }),
      () => directory.publishContact('nobody', { identity, recipientKey }),
      () => directory.publishContact('a@b', { identity, recipientKey: 'AB' }),
      () => directory.publishContact('a@b', { identity, recipientKey, fetches: 9 }),
      () => directory.publishContact('a@b', { identity, recipientKey, lifeMs: -1 }),
      () =>
        directory.publishContact('a@b', {
          identity: { ...identity, scheme: 'nostr' },
          recipientKey,
        }),
      () => directory.addContact('01', '00'.repeat(16)),
    ])
      expect(await errorOf(asked())).toBeInstanceOf(RequestError)
  })
})

describe('a server of share codes that cheats', () => {
  const other = (payload: ContactShare, email = payload.identity) => {
    const publicKey = new Uint8Array(randomBytes(32))
    const { signingKey } = payload
    const fingerprint = fingerprintOf({ email, publicKey, signingKey })
    return encodePayload({ ...payload, identity: email, publicKey, fingerprint })
  }
  type Cheat = (fetched: Fetched, payload: ContactShare) => Fetched
  const cheats: readonly (readonly [string, Cheat, string])[] = [
    ['with other keys', (fetched, p) => ({ ...fetched, payload: other(p) }), 'contact_mismatch'],
    [
      'with other keys under the fingerprint of the right ones',
      (fetched, p) => ({
        ...fetched,
        payload: encodePayload({ ...p, publicKey: new Uint8Array(randomBytes(32)) }),
      }),
      'contact_mismatch',
    ],
    [
      'with the right keys under a fingerprint of its own',
      (fetched, p) => ({
        ...fetched,
        payload: encodePayload({ ...p, fingerprint: new Uint8Array(16) }),
      }),
      'contact_mismatch',
    ],
    [
      'with another address in the payload',
      (fetched, p) => ({
        ...fetched,
        payload: encodePayload({ ...p, identity: 'mallory@example.com' }),
      }),
      'contact_mismatch',
    ],
    [
      'with another address that was verified',
      (fetched) => ({
        ...fetched,
        verification: { ...fetched.verification!, email: 'mallory@example.com' },
      }),
      'contact_mismatch',
    ],
    [
      'with keys that are over',
      (fetched, p) => ({
        ...fetched,
        payload: encodePayload({ ...p, createdAt: 1n, expiresAt: 2n }),
      }),
      'contact_mismatch',
    ],
    [
      'that says nothing of an address',
      (fetched) => ({ ...fetched, verification: undefined }),
      'contact_unverified',
    ],
    [
      'with a replacement in the place of a contact',
      (fetched, p) => ({
        ...fetched,
        payload: encodePayload({
          ...p,
          type: 'unsigned-replacement',
          oldFingerprint: new Uint8Array(16),
        }),
      }),
      'bad_response',
    ],
    [
      'with a payload that is none',
      (fetched) => ({ ...fetched, payload: fetched.payload.slice(0, -1) }),
      'bad_response',
    ],
  ]
  it.each(cheats)('%s makes no contact', async (_, change, errType) => {
    const { published } = await alice()
    const { directory } = lied(change)
    const error = await errorOf(directory.addContact(published.code, published.fingerprint))
    expect(error).toMatchObject({ errType })
    // The code was used up by it, whatever came of it.
    expect(
      await errorOf(vertex.directory.addContact(published.code, published.fingerprint)),
    ).toMatchObject({ errType: 'code_not_found' })
  })

  const answering = (body: BodyInit | null, status = 200) =>
    client(() => Promise.resolve(new Response(body, { status })))
  it.each([
    ['nothing', null, 200],
    ['a page', '<html>', 200],
    ['half an answer', new Uint8Array([0x4c, 0x42, 0x53, 0x52, 0, 1, 0, 0, 0, 2, 0, 0, 0, 9]), 200],
    ['that there is no such route', 'not found', 404],
  ])('with %s is no server of share codes', async (_, body, status) => {
    const asked = answering(body, status).directory.addContact(
      '01'.padEnd(14, '0'),
      '00'.repeat(16),
    )
    expect(await errorOf(asked)).toMatchObject({ errType: 'bad_response' })
  })

  it('with a code that is none is not believed', async () => {
    const identity = somebody()
    const { directory } = client(async (input, init) => {
      const bytes = new Uint8Array(await (await fetch(input, init)).arrayBuffer())
      // The first character of the code.
      bytes[20] = 0x20
      return new Response(bytes)
    })
    const asked = directory.publishContact('a@b', { identity, recipientKey: '00'.repeat(32) })
    expect(await errorOf(asked)).toMatchObject({ errType: 'bad_response' })
  })
})

it('says when to come back', async () => {
  const busy = await startShares(await sqlite!.create(), { settings: { rateBurst: 1 } })
  const at = new Vertex({
    url: busy.url,
    apiKey: 'any',
    store: new MemoryShareStore(),
    allowHttpOnLoopback: true,
  })
  try {
    const publish = (): Promise<PublishedContact> =>
      at.directory.publishContact('a@b', { identity: somebody(), recipientKey: '00'.repeat(32) })
    // It has no mail.
    const first = await errorOf(publish())
    expect(first).toBeInstanceOf(UnavailableError)
    expect(first?.message).toContain('sends no e-mail')
    expect(await errorOf(publish())).toMatchObject({ errType: 'rate_limited' })
  } finally {
    await at.close()
    await busy.stop()
  }
})
