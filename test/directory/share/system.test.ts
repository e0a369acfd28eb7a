import fc from 'fast-check'
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest'
import {
  decodeDeleted,
  encodeDeleteRequest,
  encodeFetchRequest,
  encodePayload,
  encodeRequest,
  encodeShareRequest,
  decodePayload,
  operations,
  type ContactShare,
} from '@vertex/directory/share'
import { StorageUnavailable } from '../../../src/vault/ports.js'
import { engines } from '../../store/engines.js'
import { missingPostgres, startFragilePostgres } from '../../support/postgres.js'
import { contactPayload } from './payloads.js'
import { startShares, TAIL, type ShareServerOptions } from './server.js'

const [sqlite] = engines
const stopping: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const stop of stopping.splice(0)) await stop()
})
afterAll(() => sqlite!.cleanUp())

const open = { ratePerMinute: 0 }
async function started(options: ShareServerOptions = {}) {
  const server = await startShares(await sqlite!.create(), {
    ...options,
    settings: { ...open, ...options.settings },
  })
  stopping.push(() => server.stop())
  return server
}

const asked = (over: object = {}) =>
  encodeShareRequest({ ttlSeconds: 900, maxFetches: 1, payload: contactPayload(), ...over })
const changed = (bytes: Uint8Array, at: number, value: number) => {
  const copy = bytes.slice()
  copy[at] = value
  return copy
}
/** The length of the payload in the header is made true again. */
const withBody = (operation: 1 | 2 | 3, body: number[]) =>
  encodeRequest({ operation, body: Uint8Array.from(body) })

describe('the share route', () => {
  it('shares, gives once, and says no more than that there is nothing', async () => {
    const { said, share, take } = await started()
    const { code, deleteToken, payload, maxFetches, verificationUrl } = await share()
    expect(code).toMatch(/^01\d{12}$/)
    expect([deleteToken.length, maxFetches, verificationUrl]).toEqual([32, 1, undefined])
    expect(await take(code)).toMatchObject({ payload, remaining: 0, verification: undefined })
    const gone = await said(encodeFetchRequest(code))
    const never = await said(encodeFetchRequest('00000000000000'))
    expect(gone).toEqual(never)
    expect(gone).toMatchObject({ http: 200, status: 5, operation: 2, tail: TAIL.length })
  })

  it('has its own bounds for the life of a share and its fetches', async () => {
    const { share } = await started({ now: () => 1_000 })
    const of = async (ttlSeconds: number, maxFetches: number) => {
      const shared = await share({ ttlSeconds, maxFetches })
      return [shared.expiresAt, shared.maxFetches]
    }
    expect(await of(0, 0)).toEqual([901_000, 1])
    expect(await of(1, 8)).toEqual([2_000, 8])
    expect(await of(4_294_967_295, 65_535)).toEqual([901_000, 8])
  })

  it('deletes for who has the token', async () => {
    const { said, share, take } = await started()
    const { code, deleteToken } = await share()
    const wrong = await said(encodeDeleteRequest({ code, deleteToken: new Uint8Array(32) }))
    expect(wrong).toMatchObject({ status: 8, operation: 3, message: 'delete token invalid' })
    const deleted = async () => {
      const { status, body } = await said(encodeDeleteRequest({ code, deleteToken }))
      return [status, decodeDeleted(body)]
    }
    expect(await deleted()).toEqual([0, true])
    expect(await deleted()).toEqual([0, false])
    expect(await take(code)).toBe(5)
  })

  it.each([
    ['nothing', new Uint8Array(), 'TooShort'],
    ['less than a header', asked().slice(0, 13), 'TooShort'],
    ['another magic', changed(asked(), 0, 0x58), 'BadMagic'],
    ['another version', changed(asked(), 5, 2), 'UnsupportedVersion'],
    ['an unknown operation', changed(asked(), 7, 9), 'UnknownOperation'],
    ['a byte less', asked().slice(0, -1), 'LengthMismatch'],
    ['a byte more', Uint8Array.of(...asked(), 0), 'LengthMismatch'],
    ['text', new TextEncoder().encode('{"op":"share","payload":null}'), 'BadMagic'],
  ])('answers %s as the original does', async (_, bytes, kind) => {
    const { said } = await started()
    expect(await said(bytes)).toMatchObject({
      http: 200,
      type: 'application/octet-stream',
      status: 1,
      operation: 1,
      message: kind,
      tail: 0,
    })
  })

  it.each([
    [
      'a message of another version',
      withBody(2, [0, 2, 0, 0, 0, 0]),
      2,
      'UnsupportedMessageVersion',
    ],
    ['an empty message', withBody(1, []), 1, 'TooShort'],
    ['a text that ends too early', withBody(2, [0, 1, 0, 0, 0, 9, 65]), 2, 'TooShort'],
    ['a length beyond everything', withBody(3, [0, 1, 255, 255, 255, 255]), 3, 'TooShort'],
    ['what is no UTF-8', withBody(2, [0, 1, 0, 0, 0, 1, 255]), 2, 'InvalidText'],
  ] as const)('answers %s as a fault of its operation', async (_, bytes, operation, kind) => {
    const { said } = await started()
    expect(await said(bytes)).toMatchObject({
      http: 200,
      status: 1,
      operation,
      message: kind,
      tail: TAIL.length,
    })
  })

  const contact = decodePayload(contactPayload()) as ContactShare
  const payload = (over: Partial<ContactShare>) => encodePayload({ ...contact, ...over })
  it.each([
    ['no payload', new Uint8Array(), 'TooShort'],
    ['another magic', changed(contactPayload(), 0, 0), 'BadMagic'],
    ['another version', changed(contactPayload(), 5, 2), 'UnsupportedVersion'],
    ['another type', changed(contactPayload(), 7, 4), 'UnknownType'],
    ['a byte more', Uint8Array.of(...contactPayload(), 0), 'TrailingBytes'],
    ['no identity', payload({ identity: '' }), 'InvalidField'],
    ['an identity with a space', payload({ identity: 'a b@c' }), 'InvalidField'],
    ['a long identity', payload({ identity: 'a'.repeat(255) }), 'FieldTooLarge'],
    ['no key', payload({ publicKey: new Uint8Array() }), 'MissingField'],
    ['a long key', payload({ signingKey: new Uint8Array(4097) }), 'FieldTooLarge'],
    ['a short fingerprint', payload({ fingerprint: new Uint8Array(15) }), 'InvalidField'],
    ['a long fingerprint', payload({ fingerprint: new Uint8Array(129) }), 'FieldTooLarge'],
    ['a short nonce', payload({ nonce: new Uint8Array(15) }), 'InvalidField'],
    ['a long nonce', payload({ nonce: new Uint8Array(65) }), 'FieldTooLarge'],
    ['no time', payload({ createdAt: 0n }), 'InvalidField'],
    ['an end at its beginning', payload({ expiresAt: contact.createdAt }), 'InvalidField'],
  ])('refuses a payload with %s', async (_, bytes, kind) => {
    const { said } = await started()
    expect(await said(asked({ payload: bytes }))).toMatchObject({
      status: 1,
      operation: 1,
      message: `payload invalid: ${kind}`,
    })
  })

  it('has two bounds for what is too large', async () => {
    const { said } = await started({ settings: { maxPayloadBytes: 300 } })
    const long = (length: number) => asked({ payload: new Uint8Array(length) })
    expect(await said(long(301))).toMatchObject({
      status: 4,
      operation: 1,
      message: 'payload too large',
      tail: TAIL.length,
    })
    expect(await said(long(403))).toMatchObject({
      http: 200,
      status: 4,
      operation: 1,
      message: 'too large',
      tail: 0,
    })
    expect(await said(new Uint8Array(500_000))).toMatchObject({ status: 4, message: 'too large' })
  })

  it('takes nothing that servers tell each other', async () => {
    const { said } = await started()
    const request = encodeRequest({ operation: operations.replicate, body: new Uint8Array() })
    expect(await said(request)).toMatchObject({ status: 3, operation: 4, tail: 0 })
  })

  it('answers for codes of its own only', async () => {
    const { take, shares } = await started()
    const elsewhere = await shares.create({
      locator: { primary: 5, secondary: 6 },
      payload: contactPayload(),
      ttlMs: 1_000_000,
      maxFetches: 1,
    })
    expect(await take(elsewhere.code)).toBe(5)
    expect(await shares.take(elsewhere.code)).toBeDefined()
  })

  it.each([
    ['GET', '/v1/share'],
    ['GET', '/v1/else'],
    ['PUT', '/v1/share'],
    ['HEAD', '/v1/verify?code=00000000000000&token=00'],
    ['GET', '/'],
  ])('finds nothing at %s %s', async (method, path) => {
    const { url } = await started()
    const response = await fetch(`${url}${path}`, { method })
    expect(response.status).toBe(404)
    expect(await response.text()).toBe(method === 'HEAD' ? '' : 'not found')
  })

  it('says in an envelope that the database is away', async () => {
    const { said, share, shares, url } = await started()
    const { code } = await share()
    vi.spyOn(shares, 'take').mockRejectedValue(new StorageUnavailable())
    vi.spyOn(shares, 'verify').mockRejectedValue(new StorageUnavailable())
    expect(await said(encodeFetchRequest(code))).toMatchObject({
      http: 200,
      status: 10,
      operation: 2,
      wait: '2',
    })
    const link = `${url}/v1/verify?code=${code}&token=${'0'.repeat(64)}`
    const verified = await fetch(link)
    expect([verified.status, verified.headers.get('retry-after')]).toEqual([503, '2'])
  })

  it('tells nobody of an error that nobody expected', async () => {
    const { said, shares, log } = await started()
    vi.spyOn(shares, 'take').mockRejectedValue(new Error('inside'))
    const answer = await said(encodeFetchRequest('00000000000000'))
    expect(answer).toMatchObject({ status: 11, message: 'internal error' })
    expect(log.join('')).toContain('inside')
  })

  it('has neither codes nor addresses in its log', async () => {
    const { share, take, log } = await started({ settings: { developer: true } })
    const { code } = await share({ email: 'alice@example.com' })
    await take(code)
    expect(log.length).toBeGreaterThan(0)
    expect(log.join('')).not.toMatch(new RegExp(`${code}|alice`))
  })
})

const missing = missingPostgres()
it.skipIf(missing !== undefined)(
  'a database that goes away and comes back is no error',
  async () => {
    const postgres = await startFragilePostgres()
    const url = await postgres.createDatabase()
    const server = await startShares({ kind: 'postgres', url }, { settings: open })
    try {
      const { code } = await server.share()
      await postgres.end('SIGQUIT')
      expect(await server.said(encodeFetchRequest(code))).toMatchObject({ http: 200, status: 10 })
      expect(await server.said(asked())).toMatchObject({ http: 200, status: 10, wait: '2' })
      await postgres.start()
      expect(await server.take(code)).toMatchObject({ remaining: 0 })
      expect(await server.take(code)).toBe(5)
    } finally {
      await server.stop()
      await postgres.stop()
    }
  },
)

it('answers whatever comes in an envelope, and never with an error of its own', async () => {
  const server = await started()
  const { code, deleteToken } = await server.share()
  const whole = [
    asked(),
    asked({ email: 'a@example.com' }),
    encodeFetchRequest(code),
    encodeDeleteRequest({ code, deleteToken: deleteToken.slice(1) }),
  ]
  const byte = fc.integer({ min: 0, max: 255 })
  const damage = fc.array(fc.tuple(fc.nat(400), byte), { minLength: 1, maxLength: 6 })
  const damaged = fc
    .tuple(fc.constantFrom(...whole), damage, fc.nat(20))
    .map(([request, places, cut]) => {
      const bytes = request.slice(0, cut > 15 ? cut : undefined)
      for (const [at, value] of places) bytes[at % bytes.length] = value
      return bytes
    })
  await fc.assert(
    fc.asyncProperty(fc.oneof(damaged, fc.uint8Array({ maxLength: 60 })), async (bytes) => {
      const { http, status } = await server.said(bytes)
      expect([http, status]).not.toContain(11)
      expect(http).toBe(200)
    }),
    { numRuns: 400 },
  )
  expect(server.log.join('')).not.toContain('unexpected')
})

describe('the limits of the share route', () => {
  const limited = () => {
    const clock = { at: 0 }
    return { clock, ticks: () => clock.at }
  }

  it('answers 40 requests at once and then two in each second, exactly', async () => {
    const { clock, ticks } = limited()
    const { said } = await started({ settings: { ratePerMinute: 120 }, more: { ticks } })
    const status = async () => (await said(new Uint8Array())).status
    for (let i = 0; i < 40; i++) expect(await status(), String(i)).toBe(1)
    expect(await said(new Uint8Array())).toMatchObject({
      http: 200,
      status: 9,
      operation: 1,
      message: 'rate limited',
      tail: 0,
    })
    clock.at = 499
    expect(await status()).toBe(9)
    clock.at = 500
    expect(await status()).toBe(1)
    expect(await status()).toBe(9)
    clock.at += 3_600_000
    for (let i = 0; i < 40; i++) expect(await status(), String(i)).toBe(1)
    expect(await status()).toBe(9)
  })

  it('tells who guesses codes nothing after forty of them, not even of one that is there', async () => {
    const { clock, ticks } = limited()
    const { share, take } = await started({
      settings: { ratePerMinute: 1e6, rateBurst: 1e6 },
      more: { ticks },
    })
    const { code } = await share()
    for (let i = 0; i < 40; i++) expect(await take(`00${String(i).padStart(12, '0')}`)).toBe(5)
    expect(await take(code)).toBe(9)
    clock.at += 30_000
    expect(await take(code)).toMatchObject({ remaining: 0 })
  })
})
