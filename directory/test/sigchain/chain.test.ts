import { createHash, createPublicKey, verify } from 'node:crypto'
import fc from 'fast-check'
import { bech32 } from '@scure/base'
import { schnorr } from '@noble/curves/secp256k1.js'
import { hexToBytes, utf8ToBytes } from '@noble/hashes/utils.js'
import { describe, expect, it } from 'vitest'
import {
  canonical,
  checkEvent,
  liveSubjects,
  longestChain,
  parsePrimary,
  primaryOf,
  signEvent,
  SigchainRefusal,
  verifyChain,
} from '@vertex/directory/sigchain'
import {
  alice,
  altered,
  bob,
  chainOf,
  createdAt,
  hashOf,
  next,
  nora,
  primary,
  signedUnhashed,
  textOf,
} from './make.js'

/** The reason for which something is refused. */
function reason(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    if (error instanceof SigchainRefusal) return error.reason
    throw error
  }
  return 'taken'
}

const first = next(alice, undefined)
const second = next(alice, first.event, 'dns:jason.example')

describe('a primary', () => {
  it('is an Ed25519 key in lower-case hex', () => {
    const text = 'ed25519:1bc0d49f0c5992961dec3f92afb55c06c93e91e392529417faac08cec9504ed8'
    expect(parsePrimary(text)).toMatchObject({ scheme: 'ed25519', text })
    expect(primaryOf('ed25519', parsePrimary(text).key)).toEqual(parsePrimary(text))
  })

  it('is a nostr key as NIP-19 writes it', () => {
    // The example of NIP-19.
    const text = 'nostr:npub10elfcs4fr0l0r8af98jlmgdh9c8tcxjvz9qkw038js35mp4dma8qzvjptg'
    const key = hexToBytes('7e7e9c42a91bfef19fa929e5fda1b72e0ebc1a4c1141673e2794234d86addf4e')
    expect(parsePrimary(text).key).toEqual(key)
    expect(primaryOf('nostr', key).text).toBe(text)
  })

  it.each([
    '',
    'ed25519',
    'ed25519:',
    `ed25519:${'a'.repeat(63)}`,
    `ed25519:${'A'.repeat(64)}`,
    `ed25519:${'g'.repeat(64)}`,
    `ed25519:${'a'.repeat(64)}\n`,
    `Ed25519:${'a'.repeat(64)}`,
    `rsa:${'a'.repeat(64)}`,
    'nostr:',
    'nostr:npub10elfcs4fr0l0r8af98jlmgdh9c8tcxjvz9qkw038js35mp4dma8qzvjptq',
    'nostr:NPUB10ELFCS4FR0L0R8AF98JLMGDH9C8TCXJVZ9QKW038JS35MP4DMA8QZVJPTG',
    `nostr:${bech32.encodeFromBytes('nsec', new Uint8Array(32).fill(3))}`,
    `nostr:${bech32.encodeFromBytes('npub', new Uint8Array(31).fill(3))}`,
    `nostr:${bech32.encodeFromBytes('npub', new Uint8Array(33).fill(3))}`,
    `nostr:${'7'.repeat(64)}`,
    '__proto__:x',
    'constructor:x',
  ])('is not %j', (text) => {
    expect(reason(() => parsePrimary(text))).toBe('bad_primary')
  })

  it('is never anything else than what it was read from', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('ed25519:', 'nostr:npub1', 'nostr:'),
        fc.string(),
        (head, tail) => {
          const text = head + tail
          if (reason(() => parsePrimary(text)) !== 'taken') return
          const { scheme, key } = parsePrimary(text)
          expect(primaryOf(scheme, key).text).toBe(text)
        },
      ),
      { numRuns: 500, seed: 5 },
    )
  })
})

describe('an event', () => {
  it('is taken at the start of a chain and at its end, under both schemes', () => {
    for (const signer of [alice, nora]) {
      const chain = chainOf(signer, 3)
      let head
      for (const { bytes, event } of chain) {
        head = checkEvent(head, bytes, primary(signer))
        expect(head).toEqual(event)
        expect(head.hash).toBe(hashOf(bytes))
      }
    }
  })

  it('has the hash of the whole envelope in canonical form, whatever it was sent like', () => {
    const { kez, payload, signature } = JSON.parse(textOf(first.bytes)) as Record<string, object>
    const pretty = utf8ToBytes(JSON.stringify({ signature, payload, kez }, null, 2))
    const { hash } = checkEvent(undefined, pretty, primary(alice))
    expect(hash).toBe(first.event.hash)
    const digest = createHash('sha256').update(first.bytes).digest('hex')
    expect(hash).toBe(`sha256:${digest}`)
  })

  it('is verified by OpenSSL too, as what it is said to sign', () => {
    const { scheme, key } = primary(alice)
    expect(scheme).toBe('ed25519')
    const spki = Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), key])
    const publicKey = createPublicKey({ key: spki, format: 'der', type: 'spki' })
    const { payload, signature } = first.event.envelope
    const message = canonical(payload)
    const hashed = createHash('sha512').update(message).digest()
    const sig = Buffer.from(signature.sig, 'hex')
    expect(verify(null, hashed, publicKey, sig)).toBe(true)
    expect(verify(null, message, publicKey, sig)).toBe(false)
  })

  it('may be signed under either reading of its algorithm, and which one is known', () => {
    expect(first.event.signedBytes).toBe('sha512')
    const other = signedUnhashed(alice, first.bytes)
    expect(checkEvent(undefined, other, primary(alice)).signedBytes).toBe('canonical')
    expect(next(nora, undefined).event.signedBytes).toBe('sha256')
  })

  it('goes through the five checks in their order', () => {
    const at = (bytes: Uint8Array, head = second.event) =>
      reason(() => checkEvent(head, bytes, primary(alice)))
    const wrong = altered(
      alice,
      first.bytes,
      (envelope) => {
        envelope['signature'].sig = 'ab'.repeat(64)
        envelope['payload'].primary = primary(bob).text
        envelope['payload'].prev = 'sha256:00'
        envelope['kez'] = 'claim'
      },
      'as it was',
    )
    expect(at(wrong)).toBe('bad_envelope')
    const mend = (bytes: Uint8Array, change: Parameters<typeof altered>[2]) =>
      altered(alice, bytes, change, 'as it was')
    const tagged = mend(wrong, (envelope) => (envelope['kez'] = 'sigchain_event'))
    expect(at(tagged)).toBe('wrong_primary')
    const mine = mend(tagged, (envelope) => (envelope['payload'].primary = primary(alice).text))
    expect(at(mine)).toBe('wrong_seq')
    const numbered = mend(mine, (envelope) => (envelope['payload'].seq = 2))
    expect(at(numbered)).toBe('bad_prev')
    const linked = mend(numbered, (envelope) => (envelope['payload'].prev = second.event.hash))
    expect(at(linked)).toBe('bad_signature')
    expect(at(altered(alice, linked, () => undefined))).toBe('taken')
  })

  it.each([
    ['skips one', 2, undefined, 'wrong_seq'],
    ['is there already', 0, undefined, 'wrong_seq'],
    ['has no prev', 1, null, 'bad_prev'],
    ['has another prev', 1, `sha256:${'0'.repeat(64)}`, 'bad_prev'],
    ['has its prev in upper case', 1, first.event.hash.toUpperCase(), 'bad_prev'],
  ] as const)('that %s is refused', (_, seq, prev, expected) => {
    const bytes = altered(alice, second.bytes, ({ payload }) => {
      payload.seq = seq
      if (prev === null) delete payload.prev
      else if (prev !== undefined) payload.prev = prev
    })
    expect(reason(() => checkEvent(first.event, bytes, primary(alice)))).toBe(expected)
  })

  it('says which number was expected', () => {
    expect(() => checkEvent(undefined, second.bytes, primary(alice))).toThrow(
      'expected seq 0, got 1',
    )
  })

  it('that is the first has no prev', () => {
    const bytes = altered(alice, first.bytes, ({ payload }) => (payload.prev = first.event.hash))
    expect(reason(() => checkEvent(undefined, bytes, primary(alice)))).toBe('bad_prev')
  })

  const { sig } = first.event.envelope.signature
  it.each([
    ['of somebody else', next(bob, undefined).event.envelope.signature.sig],
    ['with one bit changed', `${sig.slice(0, -1)}${sig.endsWith('0') ? '1' : '0'}`],
    ['in upper case', sig.toUpperCase()],
    ['too short', sig.slice(2)],
    ['not hex', 'z'.repeat(128)],
    ['of zeros', '0'.repeat(128)],
    ['of the neutral point', `01${'0'.repeat(126)}`],
  ])('with a signature %s is refused', (_, wrong) => {
    const bytes = altered(
      alice,
      first.bytes,
      ({ signature }) => (signature.sig = wrong),
      'as it was',
    )
    expect(reason(() => checkEvent(undefined, bytes, primary(alice)))).toBe('bad_signature')
  })

  it.each([
    ['algorithm', { alg: 'nostr-secp256k1-schnorr-sha256-jcs' }],
    ['algorithm', { alg: 'toString' }],
    ['key', { key: primary(bob).text }],
  ])('whose signature names another %s is refused', (_, change) => {
    const bytes = altered(alice, first.bytes, ({ signature }) => Object.assign(signature, change))
    expect(reason(() => checkEvent(undefined, bytes, primary(alice)))).toBe('bad_signature')
  })

  it('under a key of small order is refused, though OpenSSL takes its signature', () => {
    const key = `01${'0'.repeat(62)}`
    const small = parsePrimary(`ed25519:${key}`)
    const neutral = `01${'0'.repeat(126)}`
    const bytes = altered(
      alice,
      first.bytes,
      ({ payload, signature }) => {
        payload.primary = small.text
        Object.assign(signature, { key: small.text, sig: neutral })
      },
      'as it was',
    )
    expect(reason(() => checkEvent(undefined, bytes, small))).toBe('bad_signature')
    const spki = Buffer.from(`302a300506032b6570032100${key}`, 'hex')
    const publicKey = createPublicKey({ key: spki, format: 'der', type: 'spki' })
    expect(verify(null, bytes, publicKey, Buffer.from(neutral, 'hex'))).toBe(true)
  })

  it('with a changed payload is refused, whatever was changed', () => {
    const changes: Parameters<typeof altered>[2][] = [
      ({ payload }) => (payload.op = 'revoke'),
      ({ payload }) => (payload.created_at = '2026-05-24T19:00:01Z'),
      ({ payload }) => (payload.payload.subject = 'github:other'),
      ({ payload }) => (payload.payload.more = 1),
    ]
    for (const change of changes) {
      const bytes = altered(alice, first.bytes, change, 'as it was')
      expect(reason(() => checkEvent(undefined, bytes, primary(alice)))).toBe('bad_signature')
    }
  })

  const parts: [string, Parameters<typeof altered>[2]][] = [
    ['a tag of something else', (it) => (it['kez'] = 'claim')],
    ['no payload', (it) => delete it['payload']],
    ['no signature', (it) => (it['signature'] = null)],
    ['a list for a payload', (it) => (it['payload'] = [])],
    ['another type', (it) => (it['payload'].type = 'kez.claim')],
    ['another version', (it) => (it['payload'].version = 2)],
    ['a version that is text', (it) => (it['payload'].version = '1')],
    ['a negative seq', (it) => (it['payload'].seq = -1)],
    ['a seq that is text', (it) => (it['payload'].seq = '0')],
    ['a seq with a fraction', (it) => (it['payload'].seq = 0.5)],
    ['a prev that is null', (it) => (it['payload'].prev = null)],
    ['a primary that is no text', (it) => (it['payload'].primary = 1)],
    ['no time', (it) => delete it['payload'].created_at],
    ['a time in words', (it) => (it['payload'].created_at = 'yesterday')],
    ['a day that no month has', (it) => (it['payload'].created_at = '2026-02-29T00:00:00Z')],
    ['a time without a zone', (it) => (it['payload'].created_at = '2026-02-28T00:00:00')],
    ['a reserved op', (it) => (it['payload'].op = 'rotate')],
    ['another reserved op', (it) => (it['payload'].op = 'add_device')],
    ['no subject', (it) => (it['payload'].payload = {})],
    ['an empty subject', (it) => (it['payload'].payload.subject = '')],
    ['a subject of two lines', (it) => (it['payload'].payload.subject = 'a\nb')],
    ['half a character', (it) => (it['payload'].payload.subject = '\ud800')],
    ['a member that is not signed', (it) => (it['more'] = 1)],
    ['a member beside the signature', (it) => (it['signature'].more = 1)],
    ['a member that payloads do not have', (it) => (it['payload'].more = 1)],
    ['a signature that is no text', (it) => (it['signature'].sig = [])],
  ]
  it.each(parts)('with %s is no event', (_, change) => {
    const bytes = altered(alice, first.bytes, change, 'as it was')
    expect(reason(() => checkEvent(undefined, bytes, primary(alice)))).toBe('bad_envelope')
  })

  const text = textOf(first.bytes)
  it.each([
    ['no JSON', 'hello'],
    ['nothing', ''],
    ['two events', `${text}${text}`],
    ['a byte order mark', `\ufeff${text}`],
    ['a member twice', text.replace('"seq":0', '"seq":1,"seq":0')],
    ['a member twice, once escaped', text.replace('"seq":0', '"s\\u0065q":1,"seq":0')],
    ['a seq with a point', text.replace('"seq":0', '"seq":0.0')],
    ['a seq with an exponent', text.replace('"seq":0', '"seq":0e0')],
    ['a seq of minus nothing', text.replace('"seq":0', '"seq":-0')],
    ['a seq beyond 2^53', text.replace('"seq":0', '"seq":9007199254740993')],
    ['a number beyond 2^53', text.replace('"subject"', '"n":18446744073709551615,"subject"')],
    ['__proto__', text.replace('"subject"', '"__proto__":{},"subject"')],
    ['depth', text.replace('"subject"', `"n":${'['.repeat(20)}${']'.repeat(20)},"subject"`)],
  ])('that has %s is no event', (_, body) => {
    expect(reason(() => checkEvent(undefined, utf8ToBytes(body), primary(alice)))).toBe(
      'bad_envelope',
    )
  })

  it('that is not UTF-8 is no event', () => {
    const bytes = utf8ToBytes(text)
    bytes[bytes.indexOf('g'.charCodeAt(0))] = 0xff
    expect(reason(() => checkEvent(undefined, bytes, primary(alice)))).toBe('bad_envelope')
  })

  it('is also what the original has for an example, but for a signature, of which that has none', () => {
    const owner = 'ed25519:1bc0d49f0c5992961dec3f92afb55c06c93e91e392529417faac08cec9504ed8'
    const example = {
      kez: 'sigchain_event',
      payload: {
        type: 'kez.sigchain.event',
        version: 1,
        primary: owner,
        seq: 0,
        created_at: '2026-05-24T19:00:00Z',
        op: 'add',
        payload: { subject: 'github:jason' },
      },
      signature: { alg: 'ed25519-sha512-jcs', key: owner, sig: '<128-char-hex>' },
    }
    const bytes = utf8ToBytes(JSON.stringify(example))
    expect(reason(() => checkEvent(undefined, bytes, parsePrimary(owner)))).toBe('bad_signature')
  })

  it('may say more beside its subject, and the signature covers it', () => {
    const bytes = altered(alice, first.bytes, ({ payload }) => {
      payload.payload.note = { 'ä€𐍈': [1, true, null] }
    })
    expect(reason(() => checkEvent(undefined, bytes, primary(alice)))).toBe('taken')
  })

  it('is never taken with any byte changed to another meaning', () => {
    fc.assert(
      fc.property(fc.nat(first.bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, by) => {
        const bytes = first.bytes.slice()
        bytes[at] = bytes[at]! ^ by
        expect(reason(() => checkEvent(undefined, bytes, primary(alice)))).not.toBe('taken')
      }),
      { numRuns: 300, seed: 7 },
    )
  })

  it('is not made when others would refuse it', () => {
    const making = (subject: string, time: string) =>
      reason(() => signEvent(alice, undefined, { op: 'add', subject, createdAt: time }))
    expect(making('', createdAt)).toBe('bad_envelope')
    expect(making('a:b', 'now')).toBe('bad_envelope')
    expect(making('a:b', createdAt)).toBe('taken')
  })
})

describe('canonical JSON', () => {
  it('is that of the example in RFC 8785, section 3.2.3', () => {
    const value = JSON.parse(
      String.raw`{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],"string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}`,
    ) as object
    expect(textOf(canonical(value))).toBe(
      String.raw`{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`,
    )
  })

  it('has its members in the order of their UTF-16 code units', () => {
    const value = { '\u20ac': 1, '\r': 2, '\ufb33': 3, 1: 4, '\u{1f600}': 5, '\u0080': 6, ö: 7 }
    expect(textOf(canonical(value))).toBe(
      '{"\\r":2,"1":4,"\u0080":6,"ö":7,"€":1,"\u{1f600}":5,"\ufb33":3}',
    )
  })
})

describe('nostr signatures', () => {
  // Of BIP-340's own test vectors, the first with a key and the first that must fail.
  it('are those of BIP-340', () => {
    const key = hexToBytes('F9308A019258C31049344F85F89D5229B531C845836F99B08601F113BCE036F9')
    const sig = hexToBytes(
      'E907831F80848D1069A5371B402410364BDF1C5F8307B0084C55F1CE2DCA8215' +
        '25F66A4A85EA8B71E482A74F382D2CE5EBEEE8FDB2172F477DF4900D310536C0',
    )
    expect(schnorr.verify(sig, new Uint8Array(32), key)).toBe(true)
    const negated = sig.slice()
    negated[63]! ^= 1
    expect(schnorr.verify(negated, new Uint8Array(32), key)).toBe(false)
  })

  it('under an x that is of no point are refused', () => {
    const nobody = primaryOf(
      'nostr',
      hexToBytes('EEFDEA4CDB677750A420FEE807EACF21EB9898AE79B9768766E4FAA04A2D4A34'),
    )
    const bytes = altered(
      nora,
      next(nora, undefined).bytes,
      ({ payload, signature }) => {
        payload.primary = nobody.text
        signature.key = nobody.text
      },
      'as it was',
    )
    expect(reason(() => checkEvent(undefined, bytes, nobody))).toBe('bad_signature')
  })
})

describe('a whole chain', () => {
  const lines = (made: readonly { readonly bytes: Uint8Array }[]) =>
    made.map(({ bytes }) => `${textOf(bytes)}\n`).join('')
  const chain = chainOf(alice, 5)

  it('is verified line by line', () => {
    expect(verifyChain(lines(chain), primary(alice))).toEqual(chain.map(({ event }) => event))
    expect(verifyChain('', primary(alice))).toEqual([])
  })

  it.each([
    ['changed', 3, (all: string[]) => (all[2] = all[2]!.replace('-2"', '-x"'))],
    ['left out', 3, (all: string[]) => all.splice(2, 1)],
    ['empty', 3, (all: string[]) => (all[2] = '')],
    ['twice', 4, (all: string[]) => all.splice(3, 0, all[2]!)],
    ['in another place', 2, (all: string[]) => all.splice(1, 0, all.splice(2, 1)[0]!)],
  ])('with a line %s is refused, and which one is told', (_, line, change) => {
    const all = lines(chain).split('\n')
    change(all)
    expect(() => verifyChain(all.join('\n'), primary(alice))).toThrow(
      expect.objectContaining({ name: 'SigchainRefusal', line }) as Error,
    )
  })

  it('of somebody else is refused', () => {
    expect(reason(() => verifyChain(lines(chain), primary(bob)))).toBe('wrong_primary')
  })

  it('says what is live: what was added and not revoked since', () => {
    const said: [string, 'add' | 'revoke'][] = [
      ['a:1', 'add'],
      ['b:2', 'add'],
      ['a:1', 'revoke'],
      ['c:3', 'revoke'],
      ['b:2', 'add'],
      ['d:4', 'add'],
      ['a:1', 'add'],
    ]
    const made: ReturnType<typeof next>[] = []
    for (const [subject, op] of said) made.push(next(alice, made.at(-1)?.event, subject, op))
    const live = liveSubjects(made.map(({ event }) => event))
    expect([...live].map(([subject, { seq }]) => [subject, seq])).toEqual([
      ['b:2', 1],
      ['d:4', 5],
      ['a:1', 6],
    ])
  })

  it('is the longest of several copies, and a fork is reported', () => {
    const events = chain.map(({ event }) => event)
    const short = events.slice(0, 2)
    expect(longestChain([short, events, []])).toEqual({ chain: events, forkAt: undefined })
    const fork = [...short, next(alice, short.at(-1), 'else:where').event]
    expect(longestChain([fork, events])).toEqual({ chain: events, forkAt: 2 })
    expect(longestChain([])).toEqual({ chain: [], forkAt: undefined })
  })
})
