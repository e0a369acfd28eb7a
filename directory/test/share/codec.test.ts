import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  decodeDeleted,
  decodeError,
  decodeFetched,
  decodePayload,
  decodeRequest,
  decodeResponse,
  decodeShared,
  decodeShareRequest,
  encodeDeleted,
  encodeError,
  encodeFetched,
  encodePayload,
  encodeResponse,
  encodeShared,
  encodeShareRequest,
  isCode,
  isMailable,
  normaliseEmail,
  operations,
  readFingerprint,
  ShareFault,
  showFingerprint,
  statuses,
  type SharePayload,
} from '@vertex/directory/share'

const bytes = (minLength: number, maxLength: number) => fc.uint8Array({ minLength, maxLength })
const time = fc.bigInt({ min: 1n, max: 2n ** 63n })
const payloads = fc
  .record({
    type: fc.constantFrom('contact', 'signed-replacement', 'unsigned-replacement'),
    identity: fc.stringMatching(/^[!-~]{1,254}$/),
    oldFingerprint: bytes(16, 128),
    publicKey: bytes(1, 200),
    signingKey: bytes(1, 200),
    fingerprint: bytes(16, 128),
    nonce: bytes(16, 64),
    signature: bytes(1, 100),
    createdAt: time,
    life: time,
  })
  .map(({ type, oldFingerprint, signature, life, createdAt, ...fields }): SharePayload => {
    const all = { ...fields, createdAt, expiresAt: createdAt + life }
    if (type === 'contact') return { type, ...all }
    if (type === 'signed-replacement') return { type, oldFingerprint, signature, ...all }
    return { type: 'unsigned-replacement', oldFingerprint, signature: undefined, ...all }
  })
const moment = fc.nat(2 ** 31 - 1).map((seconds) => seconds * 1000)
const word = fc.string({ unit: 'binary', maxLength: 40 })

describe('what is written', () => {
  it('is read as it was', () => {
    fc.assert(
      fc.property(payloads, (payload) => {
        expect(decodePayload(encodePayload(payload))).toEqual(payload)
      }),
    )
    fc.assert(
      fc.property(fc.nat(2 ** 31), fc.nat(65_535), bytes(0, 50), fc.option(word), (...asked) => {
        const [ttlSeconds, maxFetches, payload, email] = asked
        const whole = { ttlSeconds, maxFetches, payload, email: email ?? undefined }
        const { operation, body } = decodeRequest(encodeShareRequest(whole))
        expect([operation, decodeShareRequest(body)]).toEqual([operations.share, whole])
      }),
    )
    fc.assert(
      fc.property(word, bytes(32, 32), moment, fc.option(word), (code, deleteToken, at, url) => {
        const shared = { code, deleteToken, expiresAt: at, maxFetches: 3 }
        const whole = { ...shared, verificationUrl: url ?? undefined }
        expect(decodeShared(encodeShared(whole))).toEqual(whole)
      }),
    )
    const verification = fc.option(
      fc.record({
        email: word,
        verified: fc.boolean(),
        verifiedAt: moment,
        attestation: bytes(0, 32),
      }),
    )
    fc.assert(
      fc.property(bytes(0, 50), moment, verification, (payload, expiresAt, verified) => {
        const whole = { payload, expiresAt, remaining: 2, verification: verified ?? undefined }
        expect(decodeFetched(encodeFetched(whole))).toEqual(whole)
      }),
    )
    for (const deleted of [true, false]) expect(decodeDeleted(encodeDeleted(deleted))).toBe(deleted)
  })

  it('stands in an envelope with its tail', () => {
    fc.assert(
      fc.property(bytes(0, 50), bytes(0, 50), (body, tail) => {
        const answer = encodeResponse(statuses.success, operations.fetchShare, body, tail)
        expect(decodeResponse(answer)).toEqual({ status: 0, operation: 2, body, tail })
      }),
    )
    const { status, operation, body, tail } = decodeResponse(
      encodeError(statuses.rateLimited, operations.share, 'too many', Uint8Array.of(1)),
    )
    expect([status, operation, tail]).toEqual([9, 1, Uint8Array.of(1)])
    expect(decodeError(body)).toEqual({ code: 9, message: 'too many' })
  })
})

it('bytes that mean nothing are faults, and nothing else', () => {
  const readers = [
    decodeRequest,
    decodeResponse,
    decodePayload,
    decodeShareRequest,
    decodeShared,
    decodeFetched,
    decodeError,
  ]
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.constantFrom(...readers), (bytes, read) => {
      try {
        read(bytes)
      } catch (error) {
        expect(error).toBeInstanceOf(ShareFault)
      }
    }),
    { numRuns: 2_000 },
  )
})

describe('addresses', () => {
  it.each([
    [' Alice@Example.COM\t', 'alice@example.com'],
    ['\u0085a@b\u3000', 'a@b'],
    ['ÄB@x', 'Äb@x'],
    ['a b@c', 'a b@c'],
    ['\ufeffa@b', '\ufeffa@b'],
  ])('%j is %j', (given, normal) => {
    expect(normaliseEmail(given)).toBe(normal)
  })

  it('have 254 bytes at most', () => {
    expect(normaliseEmail(`${'a'.repeat(252)}@b`)).toBeDefined()
    expect(normaliseEmail(`${'a'.repeat(253)}@b`)).toBeUndefined()
    expect(normaliseEmail(`${'ä'.repeat(127)}@b`)).toBeUndefined()
  })

  it('to which mail is sent have nothing in them that a mail or a command could mean', () => {
    for (const email of ['a@b', "o'neil+x@mail.example.co", 'a.b-c_d@1.example', 'x@localhost'])
      expect(isMailable(email), email).toBe(true)
    const put = fc.tuple(fc.string({ unit: 'binary', maxLength: 2 }), fc.nat(14))
    fc.assert(
      fc.property(put, ([sign, at]) => {
        const text = `${'ab@example.com'.slice(0, at)}${sign}${'ab@example.com'.slice(at)}`
        if (!isMailable(text)) return
        expect(text).toMatch(
          /^[!#$%&'*+/=?^_`{|}~a-z0-9][!#$%&'*+/=?^_`{|}~a-z0-9.-]*@[a-z0-9.-]+$/,
        )
      }),
      { numRuns: 2_000 },
    )
    for (const sign of ' \t\r\n\0,;:<>()[]"\\@')
      expect(isMailable(`a${sign}b@example.com`), JSON.stringify(sign)).toBe(false)
  })
})

describe('fingerprints', () => {
  it('are read as they are shown, and as people type them', () => {
    fc.assert(
      fc.property(bytes(16, 16), (fingerprint) => {
        const shown = showFingerprint(fingerprint)
        for (const typed of [
          shown,
          shown.toUpperCase(),
          shown.replaceAll(' ', ''),
          shown.replaceAll(' ', ':'),
        ])
          expect(readFingerprint(` ${typed}\n`)).toEqual(fingerprint)
      }),
    )
  })

  it.each(['', '00', '0'.repeat(31), '0'.repeat(33), 'g'.repeat(32), '0 '.repeat(16)])(
    '%j is none',
    (typed) => expect(readFingerprint(typed)).toBeUndefined(),
  )
})

it('a code is two servers and twelve digits', () => {
  for (const code of ['00123456789012', 'zz000000000000']) expect(isCode(code)).toBe(true)
  for (const text of ['', '0012345678901', '001234567890123', 'A0123456789012', '0a12345678901x'])
    expect(isCode(text), text).toBe(false)
})
