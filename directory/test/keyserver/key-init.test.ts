import { createDecipheriv, createHash } from 'node:crypto'
import { ed25519, x25519 } from '@noble/curves/ed25519.js'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  agreementKey,
  canonical,
  checkKeyInit,
  chooseFallback,
  flushBytes,
  makeKeyInit,
  MAX_KEY_INIT_LIFETIME,
  newUidSecrets,
  sealAnchor,
  sigKeyHash,
  toBase64,
  type KeyInit,
} from '@vertex/directory/keyserver'

const now = 1_800_000_000
const { sigKey } = newUidSecrets()
const sigPubKey = ed25519.getPublicKey(sigKey)
const expected = { sigPubKey: toBase64(sigPubKey), repoUris: ['mute.example'], now }
const made = makeKeyInit(sigKey, { repoUri: 'mute.example', now })

const signedAgain = (contents: object, seed = sigKey): KeyInit => {
  const Contents = { ...made.keyInit.Contents, ...contents }
  return { Contents, SIGNATURE: toBase64(ed25519.sign(canonical(Contents), seed)) }
}

describe('a KeyInit', () => {
  it('has a key that only who knows the SIGKEY finds', () => {
    const { anchor, bytes } = checkKeyInit(made.keyInit, expected)
    expect(agreementKey(anchor.PFKEYS)).toEqual(x25519.getPublicKey(made.secret))
    expect(Buffer.from(bytes).toString()).toMatch(/^\{"Contents":\{"FALLBACK":false,"MSGCOUNT":0,/)
    // By hand, with the primitives of another library.
    const sha512 = (data: Uint8Array) => createHash('sha512').update(data).digest()
    const sealed = Buffer.from(made.keyInit.Contents.SESSIONANCHOR, 'base64')
    const cipher = createDecipheriv(
      'aes-256-ctr',
      sha512(sigPubKey).subarray(0, 32),
      sealed.subarray(0, 16),
    )
    const text = cipher.update(sealed.subarray(16))
    expect(sha512(text).toString('base64')).toBe(made.keyInit.Contents.SESSIONANCHORHASH)
    expect(JSON.parse(text.toString())).toEqual(anchor)
    expect(sha512(sha512(sigPubKey)).toString('base64')).toBe(sigKeyHash(sigPubKey))
  })

  const other = newUidSecrets().sigKey
  const noKeys = sealAnchor(
    { MIXADDRESS: '', NYMADDRESS: '', PFKEYS: [] },
    sigPubKey,
    new Uint8Array(16),
  )
  it.each([
    ['an unknown version', { VERSION: '9' }, 'unknown Contents.VERSION'],
    ['another repository', { REPOURI: 'other.example' }, 'KeyInit has invalid repoURI'],
    [
      'the hash of another key',
      { SIGKEYHASH: sigKeyHash(ed25519.getPublicKey(other)) },
      'SIGKEYHASH does not match',
    ],
    [
      'times that cross',
      { NOTBEFORE: now + MAX_KEY_INIT_LIFETIME },
      'key init NOTBEFORE must be smaller than NOTAFTER',
    ],
    ['an end that has come', { NOTAFTER: now }, 'NOTAFTER has expired'],
    [
      'an end beyond 90 days',
      { NOTAFTER: now + MAX_KEY_INIT_LIFETIME + 86_401 },
      'too far in the future',
    ],
    [
      'the hash of another anchor',
      {
        SESSIONANCHORHASH: makeKeyInit(sigKey, { repoUri: 'x', now }).keyInit.Contents
          .SESSIONANCHORHASH,
      },
      'SESSIONANCHORHASH',
    ],
    [
      'an anchor for another key',
      {
        ...sealAnchor(
          checkKeyInit(made.keyInit, expected).anchor,
          ed25519.getPublicKey(other),
          new Uint8Array(16),
        ),
      },
      'SESSIONANCHORHASH',
    ],
    ['an anchor without a key', noKeys, 'KeyEntry not found'],
    ['an anchor that is none', { SESSIONANCHOR: 'AAAA' }, 'SESSIONANCHOR is not'],
    ['an unknown member', { EXTRA: true }, 'not known'],
  ])('with %s is refused', (_, contents, why) => {
    expect(() => checkKeyInit(signedAgain(contents), expected)).toThrow(why)
  })

  it('that somebody else has signed is refused', () => {
    expect(() => checkKeyInit(signedAgain({}, other), expected)).toThrow('signature is invalid')
    const SIGNATURE = made.keyInit.SIGNATURE
    const changed = { ...signedAgain({ FALLBACK: true }), SIGNATURE }
    expect(() => checkKeyInit(changed, expected)).toThrow('signature is invalid')
  })
})

it('flushes by the time in eight bytes, the lowest first', () => {
  expect(Buffer.from(flushBytes(1_795_248_428)).toString('hex')).toBe('2c51016b00000000')
})

describe('of KeyInits that may be given out again', () => {
  const some = fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 1, maxLength: 12 })
  const list = (lives: readonly number[]) => lives.map((left, id) => ({ id, notAfter: now + left }))

  it('one is given, and the last one is never deleted', () => {
    fc.assert(
      fc.property(some, fc.infiniteStream(fc.nat()), (lives, random) => {
        const below = (most: number) => (random.next().value as number) % most
        const valid = list(lives)
        const { chosen, remove } = chooseFallback(valid, now, below)
        expect(valid).toContain(chosen)
        if (valid.length === 1) expect(remove).toBe(false)
        // What lives longest is no candidate.
        if (remove) expect(chosen.notAfter - now).toBeLessThan(Math.max(...lives))
      }),
    )
  })

  it('what soon expires is given more often, and deleted more often', () => {
    let state = 1
    const below = (most: number) => (state = (state * 48_271) % 2_147_483_647) % most
    const counts = [0, 0]
    const deleted = [0, 0]
    for (let i = 0; i < 4000; i++) {
      const { chosen, remove } = chooseFallback(list([100, 1000]), now, below)
      counts[chosen.id]!++
      if (remove) deleted[chosen.id]!++
    }
    // A tenth of the time its own random number spares it, and then one of the two is taken.
    expect(counts[0]! / 4000).toBeGreaterThan(0.9)
    expect(counts[1]).toBeGreaterThan(0)
    expect(deleted[0]).toBeGreaterThan(3000)
    expect(deleted[1]).toBe(0)
  })
})
