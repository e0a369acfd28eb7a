import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import {
  canonical,
  canonicalText,
  checkMessage,
  currentOf,
  decryptMessage,
  encryptMessage,
  makeUid,
  newEscrowKey,
  newUidSecrets,
  printEscrowKey,
  readEscrowKey,
  ROLLOVER,
  sortedKeys,
  stateOf,
  updateUid,
  type UidMessage,
} from '@vertex/directory/keyserver'
import { testEntry } from './vectors.js'

const now = 1_800_000_000
const keys = newUidSecrets()
const escrow = newEscrowKey()
const alice = (more: Partial<Parameters<typeof makeUid>[1]> = {}) =>
  makeUid(keys, { identity: 'Alice@mute.example', lastEntry: testEntry, now, ...more })
const withEscrow = () => alice({ escrow })
const next = { lastEntry: testEntry, now }

/** Changes the content, and has it signed again by its own SIGKEY, as somebody who wants it so would. */
function signedAgain(message: UidMessage, content: object, seed = keys.sigKey): UidMessage {
  const UIDContent = { ...message.UIDContent, ...content }
  return { ...message, UIDContent, SELFSIGNATURE: signatureOf(UIDContent, seed) }
}

/** With OpenSSL: what is signed is not made by the code that checks it. */
function signatureOf(content: object, seed: Uint8Array): string {
  const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed])
  return sign(null, Buffer.from(goJson(content)), {
    key: der,
    format: 'der',
    type: 'pkcs8',
  }).toString('base64')
}

/** By hand: sorted, as Go's json.Marshal writes it. */
function goJson(value: unknown): string {
  return JSON.stringify(value, (_, member: unknown) =>
    typeof member === 'object' && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  )
    .replaceAll('<', '\\u003c')
    .replaceAll('>', '\\u003e')
    .replaceAll('&', '\\u0026')
}

/** As the client of the original sends it: the order of Go's struct. */
const inClientsOrder = (message: UidMessage) => {
  const { UIDContent: of } = message
  const content = {
    VERSION: of.VERSION,
    MSGCOUNT: of.MSGCOUNT,
    NOTAFTER: of.NOTAFTER,
    NOTBEFORE: of.NOTBEFORE,
    MIXADDRESS: of.MIXADDRESS,
    NYMADDRESS: of.NYMADDRESS,
    IDENTITY: of.IDENTITY,
    SIGKEY: of.SIGKEY,
    PUBKEYS: of.PUBKEYS,
    SIGESCROW: of.SIGESCROW,
    LASTENTRY: of.LASTENTRY,
    REPOURIS: of.REPOURIS,
    PREFERENCES: { FORWARDSEC: 'strict', CIPHERSUITES: of.PREFERENCES.CIPHERSUITES },
    CHAINLINK: of.CHAINLINK,
  }
  const { ESCROWSIGNATURE, USERSIGNATURE, SELFSIGNATURE, LINKAUTHORITY } = message
  return { UIDContent: content, ESCROWSIGNATURE, USERSIGNATURE, SELFSIGNATURE, LINKAUTHORITY }
}

describe('a message', () => {
  it('has one form, whatever order it comes in', () => {
    const { bytes, identity, content } = checkMessage(inClientsOrder(alice()))
    expect(Buffer.from(bytes).toString()).toBe(goJson(alice()))
    expect(Buffer.from(content).toString()).toBe(goJson(alice().UIDContent))
    expect(identity).toEqual({
      text: 'alice@mute.example',
      localpart: 'alice',
      domain: 'mute.example',
    })
    expect(Buffer.from(bytes).toString()).toMatch(/^\{"ESCROWSIGNATURE":"","LINKAUTHORITY":""/)
    expect(Buffer.from(content).toString()).toMatch(/^\{"CHAINLINK":null,"IDENTITY":/)
  })

  it('writes what Go writes', () => {
    expect(canonicalText({ b: '<>&\u2028"\\é', a: [null, true, 0], UI: 1, US: 2 })).toBe(
      '{"UI":1,"US":2,"a":[null,true,0],"b":"\\u003c\\u003e\\u0026\\u2028\\"\\\\é"}',
    )
  })

  it('may leave out what has no value, and is the same with it', () => {
    const without = (from: object, ...names: string[]) =>
      Object.fromEntries(Object.entries(from).filter(([name]) => !names.includes(name)))
    const rest = without(alice().UIDContent, 'CHAINLINK', 'SIGESCROW', 'MIXADDRESS')
    const message = without(alice(), 'LINKAUTHORITY')
    expect(checkMessage({ ...message, UIDContent: rest }).bytes).toEqual(
      checkMessage(alice()).bytes,
    )
  })

  it.each([
    ['of the document', { VERSION: '0.1a' }],
    [
      'with a link of nothing',
      { CHAINLINK: { URI: null, LAST: '', AUTHORITATIVE: false, DOMAINS: null, IDENTITY: '' } },
    ],
    [
      'with an escrow key of nothing',
      { SIGESCROW: { CIPHERSUITE: '', FUNCTION: '', HASH: '', PUBKEY: '' } },
    ],
    ['that names no suites', { PREFERENCES: { FORWARDSEC: 'mandatory', CIPHERSUITES: null } }],
    ['with addresses that say NULL', { MIXADDRESS: 'NULL', NYMADDRESS: 'NULL' }],
    [
      'with addresses, if they may be used',
      {
        MIXADDRESS: 'mix@a.example',
        NYMADDRESS: 'AAAA',
        PREFERENCES: { FORWARDSEC: 'optional', CIPHERSUITES: [] },
      },
    ],
    [
      'in the spelling of the document',
      {
        SIGKEY: {
          ...alice().UIDContent.SIGKEY,
          CIPHERSUITE: 'NACL HKDF AES-CTR256 SHA512-HMAC ED25519 ECDHE25519',
        },
      },
    ],
    [
      'with several keys',
      {
        PUBKEYS: sortedKeys(
          [1, 2, 3].map(
            () =>
              makeUid(newUidSecrets(), { identity: 'alice@x', lastEntry: testEntry, now })
                .UIDContent.PUBKEYS[0]!,
          ),
        ),
      },
    ],
    [
      'bound to another chain',
      {
        CHAINLINK: {
          URI: ['https://a.example/', 'https://b.example/'],
          LAST: testEntry,
          AUTHORITATIVE: false,
          DOMAINS: [],
          IDENTITY: '',
        },
      },
    ],
  ])('%s is taken', (_, content) => {
    expect(checkMessage(signedAgain(alice(), content)).message.UIDContent).toMatchObject(content)
  })

  const other = newUidSecrets()
  const keyOf = (seed: Uint8Array) =>
    makeUid(
      { sigKey: seed, encryption: keys.encryption },
      { identity: 'alice@x', lastEntry: testEntry, now },
    ).UIDContent.SIGKEY
  it.each([
    ['an unknown version', { VERSION: '2.0' }, 'unknown UIDContent.VERSION'],
    ['a name that is not mapped', { IDENTITY: 'Alice@mute.example' }, 'not mapped'],
    ['times that cross', { NOTBEFORE: now + ROLLOVER }, 'NOTBEFORE must be smaller'],
    ['a number that is none', { MSGCOUNT: 1.5 }, 'whole number'],
    ['a number that JSON cannot carry', { MSGCOUNT: 2 ** 53 }, 'whole number'],
    [
      'an unknown suite',
      { SIGKEY: { ...keyOf(keys.sigKey), CIPHERSUITE: 'ROT13' } },
      'CIPHERSUITE',
    ],
    ['a SIGKEY that does not sign', { SIGKEY: alice().UIDContent.PUBKEYS[0] }, 'FUNCTION'],
    [
      'a wrong hash',
      { SIGKEY: { ...keyOf(keys.sigKey), HASH: keyOf(other.sigKey).HASH } },
      'SHA512',
    ],
    ['a key that is too short', { SIGKEY: { ...keyOf(keys.sigKey), PUBKEY: 'AAAA' } }, '32 bytes'],
    ['an escrow key that is the SIGKEY', { SIGESCROW: keyOf(keys.sigKey) }, 'must not be SIGKEY'],
    ['an escrow key that does not sign', { SIGESCROW: alice().UIDContent.PUBKEYS[0] }, 'FUNCTION'],
    ['no key', { PUBKEYS: [] }, 'must contain a key'],
    [
      'a key twice',
      { PUBKEYS: [alice().UIDContent.PUBKEYS[0], alice().UIDContent.PUBKEYS[0]] },
      'order of their hashes',
    ],
    ['a LASTENTRY that is none', { LASTENTRY: 'AAAA' }, '153 bytes'],
    ['no LASTENTRY', { LASTENTRY: '' }, '153 bytes'],
    ['no repository', { REPOURIS: null }, 'REPOURIS'],
    [
      'an unknown preference',
      { PREFERENCES: { FORWARDSEC: 'perhaps', CIPHERSUITES: null } },
      'FORWARDSEC',
    ],
    ['an address in spite of the preference', { MIXADDRESS: 'mix@a.example' }, 'MIXADDRESS'],
    [
      'a link without a URI',
      { CHAINLINK: { URI: [], LAST: testEntry, AUTHORITATIVE: false, DOMAINS: [], IDENTITY: 'x' } },
      'needs a URI',
    ],
    [
      'six URIs',
      {
        CHAINLINK: {
          URI: ['a', 'b', 'c', 'd', 'e', 'f'].map((a) => `https://${a}/`),
          LAST: testEntry,
          AUTHORITATIVE: false,
          DOMAINS: [],
          IDENTITY: '',
        },
      },
      'at most 5',
    ],
    [
      'URIs out of order',
      {
        CHAINLINK: {
          URI: ['https://b/', 'https://a/'],
          LAST: testEntry,
          AUTHORITATIVE: false,
          DOMAINS: [],
          IDENTITY: '',
        },
      },
      'in order',
    ],
    [
      'domains without authority',
      {
        CHAINLINK: {
          URI: ['https://a/'],
          LAST: testEntry,
          AUTHORITATIVE: false,
          DOMAINS: ['a'],
          IDENTITY: '',
        },
      },
      'DOMAINS',
    ],
    ['an unknown member', { EXTRA: 1 }, 'not known'],
    ['a control character', { LASTENTRY: `${testEntry.slice(1)}\n` }, 'control characters'],
    ['half of a sign', { IDENTITY: 'alice\ud800@mute.example' }, 'control characters'],
  ])('with %s is refused', (_, content, why) => {
    expect(() => checkMessage(signedAgain(alice(), content))).toThrow(why)
  })

  it('is refused when its self-signature is not its own', () => {
    const message = alice()
    const wrong = [
      { ...message, SELFSIGNATURE: '' },
      { ...message, SELFSIGNATURE: 'A'.repeat(86) + '==' },
      signedAgain(message, {}, other.sigKey),
      { ...message, UIDContent: { ...message.UIDContent, NOTAFTER: now + 1 } },
    ]
    for (const each of wrong) expect(() => checkMessage(each)).toThrow('self-signature invalid')
  })

  it('is refused under a key under which one signature fits everything', () => {
    // The point of order 1, and the signature that is good for every message under it, where small orders are let be.
    const point = Buffer.concat([Buffer.from([1]), Buffer.alloc(31)])
    const SIGKEY = {
      ...keyOf(keys.sigKey),
      PUBKEY: point.toString('base64'),
      HASH: createHash('sha512').update(point).digest('base64'),
    }
    const SELFSIGNATURE = Buffer.concat([point, Buffer.alloc(32)]).toString('base64')
    const message = { ...alice(), UIDContent: { ...alice().UIDContent, SIGKEY }, SELFSIGNATURE }
    expect(() => checkMessage(message)).toThrow('self-signature invalid')
  })

  it('is refused with two signatures, and with an authority for nothing', () => {
    const both = { ...alice(), USERSIGNATURE: 'AA', ESCROWSIGNATURE: 'AA' }
    expect(() => checkMessage(both)).toThrow('at the same time')
    expect(() => checkMessage({ ...alice(), LINKAUTHORITY: 'AA' })).toThrow('LINKAUTHORITY')
  })

  it.each([null, [], 'x', 1, {}, { UIDContent: {} }, { UIDContent: [] }])('is not %j', (value) => {
    expect(() => checkMessage(value)).toThrow('uid: ')
  })

  it('opens with its own hash, and nothing else comes out', () => {
    const { bytes } = checkMessage(alice())
    const { uidHash, encrypted } = encryptMessage(bytes, new Uint8Array(randomBytes(16)))
    expect(decryptMessage(encrypted, uidHash).message).toEqual(alice())
    for (const at of [0, 31, 32, 48, encrypted.length - 1]) {
      const changed = Uint8Array.from(encrypted)
      changed[at]! ^= 1
      expect(() => decryptMessage(changed, uidHash)).toThrow('not the one of its entry')
    }
    const cut = encrypted.slice(0, -1)
    expect(() => decryptMessage(cut, uidHash)).toThrow('not the one of its entry')
  })
})

describe('messages of one identity', () => {
  const found = (...messages: UidMessage[]) =>
    messages.map((message, position) => ({ position, checked: checkMessage(message) }))
  const fresh = newUidSecrets()

  it('follow each other by the key before', () => {
    const second = updateUid(alice(), fresh, keys, next)
    const third = updateUid(second, newUidSecrets(), fresh, next)
    expect(currentOf(found(alice(), second, third), now)!.position).toBe(2)
  })

  it('follow by the key on paper, which may put another in its place', () => {
    const another = newEscrowKey()
    const second = updateUid(withEscrow(), fresh, { escrow }, { ...next, escrow: another })
    const third = updateUid(second, newUidSecrets(), { escrow: another }, next)
    expect(currentOf(found(withEscrow(), second, third), now)!.position).toBe(2)
    const former = updateUid(second, newUidSecrets(), { escrow }, next)
    expect(() => currentOf(found(withEscrow(), second, former), now)).toThrow('escrow-signature')
  })

  it.each([
    [
      'by a key that is not the one before',
      () => updateUid(alice(), fresh, fresh, next),
      'user-signature invalid',
    ],
    [
      'by nobody',
      () => ({ ...updateUid(alice(), fresh, keys, next), USERSIGNATURE: '' }),
      'user-signature invalid',
    ],
    [
      'by an escrow key where there is none',
      () => updateUid(alice(), fresh, { escrow }, next),
      'escrow-signature invalid',
    ],
    [
      'by SIGKEY with an escrow key that was not there',
      () => updateUid(alice(), fresh, keys, { ...next, escrow }),
      'another SIGESCROW',
    ],
  ])('do not follow %s', (_, make, why) => {
    expect(() => currentOf(found(alice(), make()), now)).toThrow(why)
  })

  it.each([
    [
      'by SIGKEY with another escrow key',
      () => updateUid(withEscrow(), fresh, keys, { ...next, escrow: newEscrowKey() }),
      'another SIGESCROW',
    ],
    [
      'by another escrow key',
      () => updateUid(withEscrow(), fresh, { escrow: newEscrowKey() }, next),
      'escrow-signature invalid',
    ],
    [
      'by the escrow key as if it were the user',
      () => {
        const { ESCROWSIGNATURE: USERSIGNATURE, ...rest } = updateUid(
          withEscrow(),
          fresh,
          { escrow },
          next,
        )
        return { ...rest, USERSIGNATURE, ESCROWSIGNATURE: '' }
      },
      'user-signature invalid',
    ],
  ])('with an escrow key do not follow %s', (_, make, why) => {
    expect(() => currentOf(found(withEscrow(), make()), now)).toThrow(why)
  })

  it('count by one', () => {
    const skipped = updateUid(
      { ...alice(), UIDContent: { ...alice().UIDContent, MSGCOUNT: 1 } },
      fresh,
      keys,
      next,
    )
    expect(() => currentOf(found(alice(), skipped), now)).toThrow('not incremented by one')
    expect(() => currentOf(found(skipped), now)).toThrow('must be 0')
  })

  it('begin with a proof of the escrow key, or none, and nothing else', () => {
    expect(withEscrow().ESCROWSIGNATURE).not.toBe('')
    expect(currentOf(found({ ...withEscrow(), ESCROWSIGNATURE: '' }), now)!.position).toBe(0)
    const wrong = { ...withEscrow(), ESCROWSIGNATURE: alice().SELFSIGNATURE }
    expect(() => currentOf(found(wrong), now)).toThrow('escrow-signature invalid')
    const user = { ...alice(), USERSIGNATURE: alice().SELFSIGNATURE }
    expect(() => currentOf(found(user), now)).toThrow('no USERSIGNATURE')
  })

  it('are one for readers, the servers and nobody, as time goes on', () => {
    const end = alice().UIDContent.NOTAFTER
    const at = (seconds: number) => Object.values(stateOf(end, seconds))
    expect(at(end)).toEqual([true, true, true])
    expect(at(end + 1)).toEqual([true, true, false])
    expect(at(end + ROLLOVER + 1)).toEqual([true, false, false])
    expect(at(end + 2 * ROLLOVER + 1)).toEqual([false, false, false])
    expect(currentOf(found(alice()), end + 1)).toBeUndefined()
  })

  it('are not given to somebody else while they are taken', () => {
    const thief = makeUid(fresh, { identity: 'alice@mute.example', lastEntry: testEntry, now })
    expect(() => currentOf(found(alice(), thief), now)).toThrow('somebody else')
    const later = now + 4 * ROLLOVER
    const heir = makeUid(fresh, {
      identity: 'alice@mute.example',
      lastEntry: testEntry,
      now: later,
    })
    expect(currentOf(found(alice(), heir), later)!.position).toBe(1)
  })
})

describe('an escrow key on paper', () => {
  it('is read as it was printed, in any spacing', () => {
    const printed = printEscrowKey(escrow)
    expect(printed).toMatch(/^(?:[0-9a-f]{8} ){8}[0-9a-f]{8}$/)
    expect(readEscrowKey(printed)).toEqual(escrow)
    expect(readEscrowKey(` ${printed.toUpperCase().replaceAll(' ', '\n')}\n`)).toEqual(escrow)
  })

  it('shows a wrong digit wherever it is', () => {
    const digits = printEscrowKey(escrow).replaceAll(' ', '')
    for (let at = 0; at < digits.length; at++) {
      const wrong = digits[at] === '0' ? '1' : '0'
      const typed = digits.slice(0, at) + wrong + digits.slice(at + 1)
      expect(() => readEscrowKey(typed)).toThrow('a digit')
    }
    expect(() => readEscrowKey(digits.slice(1))).toThrow('72 digits')
  })
})

it('verifies what Go signs, by keys of another library', () => {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519')
  const key = publicKey.export({ format: 'der', type: 'spki' }).subarray(12)
  const SIGKEY = {
    ...alice().UIDContent.SIGKEY,
    PUBKEY: key.toString('base64'),
    HASH: createHash('sha512').update(key).digest('base64'),
  }
  const UIDContent = { ...alice().UIDContent, SIGKEY }
  const SELFSIGNATURE = sign(null, canonical(UIDContent), privateKey).toString('base64')
  expect(checkMessage({ ...alice(), UIDContent, SELFSIGNATURE }).identity.localpart).toBe('alice')
})
