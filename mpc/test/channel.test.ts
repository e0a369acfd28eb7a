import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import fc from 'fast-check'
import { nodeChannelCrypto } from '../native/channel.js'
import { fromDer, fromJwk, readPrivateKey } from '../native/x25519-key.js'
import { bytesToHex, hexToBytes } from '../src/bytes.js'
import { ephemeralOf, type ChannelCrypto } from '../src/channel/crypto.js'
import { IdentityKey } from '../src/channel/identity-key.js'
import { channelKey, createIdentity, identityOf, type Identity } from '../src/channel/identity.js'
import { nobleChannelCrypto } from '../src/channel/noble.js'
import { initiate, initiateWith, respond, respondWith } from '../src/channel/noise.js'
import { LAST_COUNTER, Transport } from '../src/channel/transport.js'

interface Vector {
  source: string
  init_prologue: string
  init_static: string
  init_ephemeral: string
  init_remote_static: string
  resp_prologue: string
  resp_static: string
  resp_ephemeral: string
  resp_remote_static: string
  handshake_hash?: string
  messages: { payload: string; ciphertext: string }[]
}

const file = new URL('./vectors/noise-kk.json', import.meta.url)
const { vectors } = JSON.parse(readFileSync(file, 'utf8')) as { vectors: Vector[] }
const backends: ChannelCrypto[] = [nobleChannelCrypto, nodeChannelCrypto]
const pairs = backends.flatMap((a) => backends.map((b) => [a, b] as const))
const prologue = hexToBytes('0102')

const keysOf = (crypto: ChannelCrypto, { secret, keygenId }: Identity) => ({
  identity: new IdentityKey(crypto, secret),
  own: channelKey(keygenId),
})

function parties(a: ChannelCrypto, b: ChannelCrypto = a) {
  const alice = createIdentity(a, 'client')
  const bob = createIdentity(b, 'vertex')
  return {
    alice: { crypto: a, prologue, ...keysOf(a, alice), peer: channelKey(bob.keygenId) },
    bob: { crypto: b, prologue, ...keysOf(b, bob), peer: channelKey(alice.keygenId) },
  }
}

function handshake(a: ChannelCrypto, b: ChannelCrypto = a) {
  const { alice, bob } = parties(a, b)
  const initiator = initiate(alice)
  const answered = respond(bob, initiator.message).reply(Uint8Array.of(7))
  const finished = initiator.finish(answered.message)
  return { initiator, answered, finished }
}

describe('the channel', () => {
  it('has vectors to be measured by', () => {
    expect(vectors.length).toBeGreaterThanOrEqual(2)
  })

  for (const [a, b] of pairs)
    it(`gives the published bytes, initiator on ${a.name}, responder on ${b.name}`, () => {
      for (const v of vectors) {
        const sides = {
          init: {
            crypto: a,
            prologue: hexToBytes(v.init_prologue),
            identity: new IdentityKey(a, hexToBytes(v.init_static)),
            own: a.x25519Public(hexToBytes(v.init_static)),
            peer: hexToBytes(v.init_remote_static),
          },
          resp: {
            crypto: b,
            prologue: hexToBytes(v.resp_prologue),
            identity: new IdentityKey(b, hexToBytes(v.resp_static)),
            own: b.x25519Public(hexToBytes(v.resp_static)),
            peer: hexToBytes(v.resp_remote_static),
          },
        }
        const [one, two, ...rest] = v.messages
        const initiator = initiateWith(
          sides.init,
          ephemeralOf(a, hexToBytes(v.init_ephemeral)),
          hexToBytes(one!.payload),
        )
        expect(bytesToHex(initiator.message)).toBe(one!.ciphertext)
        const responder = respondWith(
          sides.resp,
          () => ephemeralOf(b, hexToBytes(v.resp_ephemeral)),
          initiator.message,
        )
        expect(bytesToHex(responder.payload)).toBe(one!.payload)
        const answered = responder.reply(hexToBytes(two!.payload))
        expect(bytesToHex(answered.message)).toBe(two!.ciphertext)
        const finished = initiator.finish(answered.message)
        expect(bytesToHex(finished.payload)).toBe(two!.payload)
        expect(finished.handshakeHash).toEqual(answered.handshakeHash)
        expect(finished.contributions).toEqual(answered.contributions)
        if (v.handshake_hash !== undefined)
          expect(bytesToHex(finished.handshakeHash)).toBe(v.handshake_hash)
        expect(rest.length).toBeGreaterThan(0)
        rest.forEach(({ payload, ciphertext }, at) => {
          const [from, to] = at % 2 === 0 ? [finished, answered] : [answered, finished]
          const sealed = from.transport.seal(hexToBytes(payload))
          expect(bytesToHex(sealed)).toBe(ciphertext)
          expect(bytesToHex(to.transport.open(sealed))).toBe(payload)
        })
      }
    })

  for (const crypto of backends)
    describe(`on ${crypto.name}`, () => {
      it('drops a handshake answer that does not decrypt and still takes the true one, once', () => {
        const { alice, bob } = parties(crypto)
        const initiator = initiate(alice)
        const { message } = respond(bob, initiator.message).reply(new Uint8Array(0))
        for (const at of [0, 31, 32, message.length - 1]) {
          const forged = message.slice()
          forged[at]! ^= 1
          expect(() => initiator.finish(forged)).toThrow('does not decrypt')
        }
        expect(() => initiator.finish(message.subarray(0, 47))).toThrow('too short')
        expect(initiator.finish(message).handshakeHash).toHaveLength(32)
        expect(() => initiator.finish(message)).toThrow('used already')
      })

      it('answers a handshake message once', () => {
        const { alice, bob } = parties(crypto)
        const responder = respond(bob, initiate(alice).message)
        responder.reply(new Uint8Array(0))
        expect(() => responder.reply(new Uint8Array(0))).toThrow('used already')
      })

      it('does not meet when prologue or static keys differ', () => {
        const { alice, bob } = parties(crypto)
        const { message } = initiate(alice)
        const other = createIdentity(crypto, 'client')
        expect(() => respond({ ...bob, prologue: hexToBytes('0103') }, message)).toThrow()
        expect(() => respond({ ...bob, peer: channelKey(other.keygenId) }, message)).toThrow()
        expect(() => respond({ ...bob, ...keysOf(crypto, other) }, message)).toThrow()
        expect(respond(bob, message).payload).toHaveLength(0)
      })

      it('refuses public keys of small order, as static and as ephemeral keys', () => {
        const { alice, bob } = parties(crypto)
        // RFC 7748, section 6.1; the points of order 1, 2, 4 and 8 as X25519 accepts them.
        for (const hex of [
          '00'.repeat(32),
          '01' + '00'.repeat(31),
          'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
          '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
          'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
          'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
          'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
        ]) {
          const peer = hexToBytes(hex)
          expect(() => initiate({ ...alice, peer })).toThrow('small order')
          const message = initiate(alice).message.slice()
          message.set(peer)
          expect(() => respond(bob, message)).toThrow('small order')
          const initiator = initiate(alice)
          const answer = respond(bob, initiator.message).reply(new Uint8Array(0)).message.slice()
          answer.set(peer)
          expect(() => initiator.finish(answer)).toThrow('small order')
        }
      })

      it('opens messages in order only, each once, and only unchanged', () => {
        const { finished, answered } = handshake(crypto)
        const one = finished.transport.seal(Uint8Array.of(1))
        const two = finished.transport.seal(Uint8Array.of(2))
        expect(() => answered.transport.open(two)).toThrow('does not decrypt')
        const bent = one.slice()
        bent[16]! ^= 0x80
        expect(() => answered.transport.open(bent)).toThrow('does not decrypt')
        expect(() => answered.transport.open(one.subarray(0, 15))).toThrow('does not decrypt')
        expect(answered.transport.open(one)).toEqual(Uint8Array.of(1))
        expect(() => answered.transport.open(one)).toThrow('does not decrypt')
        expect(answered.transport.open(two)).toEqual(Uint8Array.of(2))
      })

      it('has a key of its own for each direction', () => {
        const { finished, answered } = handshake(crypto)
        const sent = finished.transport.seal(Uint8Array.of(9))
        expect(answered.transport.seal(Uint8Array.of(9))).not.toEqual(sent)
        expect(() => finished.transport.open(sent)).toThrow('does not decrypt')
      })

      it('refuses to go on when its counter is used up, and after it was closed', () => {
        const key = () => new Uint8Array(32).fill(3)
        const from = { sent: LAST_COUNTER, received: LAST_COUNTER }
        const a = new Transport(crypto, key(), key(), from)
        const b = new Transport(crypto, key(), key(), from)
        const last = a.seal(Uint8Array.of(1))
        expect(b.open(last)).toEqual(Uint8Array.of(1))
        expect(() => a.seal(Uint8Array.of(1))).toThrow('used up')
        expect(() => b.open(last)).toThrow('used up')
        const { finished } = handshake(crypto)
        finished.transport.close()
        expect(() => finished.transport.seal(Uint8Array.of(1))).toThrow('closed')
        expect(() => finished.transport.open(new Uint8Array(16))).toThrow('closed')
      })

      it('makes a new ephemeral key each time, which agrees with everybody until it is forgotten', () => {
        const [one, two] = [crypto.ephemeral(), crypto.ephemeral()]
        expect(one.publicKey).toHaveLength(32)
        expect(one.publicKey).not.toEqual(two.publicKey)
        const { secret } = createIdentity(nobleChannelCrypto, 'client')
        const shared = nobleChannelCrypto.secretKey(secret).agree(one.publicKey)
        expect(one.agree(nobleChannelCrypto.x25519Public(secret))).toEqual(shared)
        expect(one.agree(two.publicKey)).toEqual(two.agree(one.publicKey))
        expect(() => one.agree(new Uint8Array(32))).toThrow()
        one.forget()
        one.forget()
        let after: Uint8Array | undefined
        try {
          after = one.agree(nobleChannelCrypto.x25519Public(secret))
        } catch {
          // Refusing is as good as another answer.
        }
        expect(after).not.toEqual(shared)
      })

      it('reads a secret once: what becomes of its array changes nothing, until it is forgotten', () => {
        const { secret } = createIdentity(crypto, 'client')
        const peer = crypto.ephemeral()
        const own = crypto.x25519Public(secret)
        const key = crypto.secretKey(secret)
        secret.fill(5)
        const shared = peer.agree(own)
        expect(key.agree(peer.publicKey)).toEqual(shared)
        expect(crypto.x25519Public(secret)).not.toEqual(own)
        expect(() => crypto.secretKey(secret.subarray(1)).agree(peer.publicKey)).toThrow()
        key.forget()
        key.forget()
        expect(() => key.agree(peer.publicKey)).toThrow('forgotten')
      })

      it('agrees with another identity once, and wipes that when the identity is forgotten', () => {
        const agreed: Uint8Array[] = []
        const counting: ChannelCrypto = {
          ...crypto,
          secretKey: (bytes) => {
            const key = crypto.secretKey(bytes)
            const agree = (peer: Uint8Array) => {
              const shared = key.agree(peer)
              agreed.push(shared)
              return shared
            }
            return { ...key, agree }
          },
        }
        const [one, two, three] = (['client', 'vertex', 'vertex'] as const).map((role) =>
          createIdentity(crypto, role),
        )
        const key = new IdentityKey(counting, one!.secret)
        const peers = [two!, three!].map(({ keygenId }) => channelKey(keygenId))
        const shared = peers.map((peer) => key.agreeStatic(peer))
        const expected = [two!, three!].map(({ secret }) =>
          nobleChannelCrypto.secretKey(secret).agree(channelKey(one!.keygenId)),
        )
        expect(shared).toEqual(expected)
        shared.forEach((bytes) => bytes.fill(0)) // as a handshake does
        expect(peers.map((peer) => key.agreeStatic(peer))).toEqual(expected)
        expect(agreed).toEqual(expected)
        // With a key of one handshake nothing is remembered.
        key.agree(peers[0]!)
        key.agree(peers[0]!)
        expect(agreed).toHaveLength(4)
        expect(JSON.stringify({ key })).toBe('{"key":"[secret]"}')
        key.forget()
        expect(agreed.slice(0, 2)).toEqual([new Uint8Array(32), new Uint8Array(32)])
        expect(() => key.agreeStatic(peers[0]!)).toThrow()
        expect(() => key.agree(peers[0]!)).toThrow()
      })

      it('gives other channels each time, also with identities that are kept', () => {
        const { alice, bob } = parties(crypto)
        const meet = () => {
          const initiator = initiate(alice)
          const answered = respond(bob, initiator.message).reply(new Uint8Array(0))
          const finished = initiator.finish(answered.message)
          const sealed = finished.transport.seal(Uint8Array.of(1), Uint8Array.of(2, 3))
          expect(answered.transport.open(sealed)).toEqual(Uint8Array.of(1, 2, 3))
          return { sealed, hash: finished.handshakeHash }
        }
        const [first, second] = [meet(), meet()]
        expect(second.hash).not.toEqual(first.hash)
        expect(second.sealed).not.toEqual(first.sealed)
      })

      it('never crashes on arbitrary bytes', () => {
        const { alice, bob } = parties(crypto)
        const initiator = initiate(alice)
        fc.assert(
          fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => {
            expect(() => respond(bob, bytes)).toThrow(/handshake message|small order/)
            expect(() => initiator.finish(bytes)).toThrow(/handshake message|small order/)
          }),
          { numRuns: 15, seed: 1 },
        )
      })
    })

  it('refuses an all-zero agreement even of a backend that does not', () => {
    const zeros = () => new Uint8Array(32)
    const careless = new IdentityKey(
      { ...nobleChannelCrypto, secretKey: () => ({ agree: zeros, forget: () => undefined }) },
      zeros(),
    )
    const lax = {
      ...nobleChannelCrypto,
      ephemeral: () => ({ ...nobleChannelCrypto.ephemeral(), agree: zeros }),
    }
    const { alice, bob } = parties(nobleChannelCrypto)
    expect(() => initiate({ ...alice, identity: careless })).toThrow('small order')
    expect(() => initiate({ ...alice, crypto: lax })).toThrow('small order')
    const { message } = initiate(alice)
    expect(() => respond({ ...bob, identity: careless }, message)).toThrow('small order')
    const responder = respond({ ...bob, crypto: lax }, message)
    expect(() => responder.reply(zeros())).toThrow('small order')
  })

  it('reads the same secret both ways in which Node can, and takes the fast one', () => {
    expect(readPrivateKey).toBe(fromJwk)
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (secret) => {
        const [jwk, der] = [fromJwk(secret), fromDer(secret)]
        expect(jwk.equals(der)).toBe(true)
        expect(jwk.export({ format: 'jwk' })).toEqual(der.export({ format: 'jwk' }))
      }),
      { numRuns: 10, seed: 3 },
    )
  })

  it('computes the same primitives on both backends', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        fc.uint8Array({ minLength: 12, maxLength: 12 }),
        fc.uint8Array({ maxLength: 200 }),
        fc.uint8Array({ maxLength: 200 }),
        (key, nonce, ad, text) => {
          const [a, b] = [nobleChannelCrypto, nodeChannelCrypto]
          expect(b.encrypt(key, nonce, ad, text)).toEqual(a.encrypt(key, nonce, ad, text))
          expect(b.decrypt(key, nonce, ad, a.encrypt(key, nonce, ad, text))).toEqual(text)
          const input = text.subarray(0, 32)
          expect(b.hkdf(key, input)).toEqual(a.hkdf(key, input))
          const cut = [text.subarray(0, 50), text.subarray(50), nonce.subarray(0, 0)]
          expect(b.encrypt(key, nonce, ad, ...cut)).toEqual(a.encrypt(key, nonce, ad, text))
          expect(a.encrypt(key, nonce, ad, ...cut)).toEqual(b.encrypt(key, nonce, ad, text))
          expect(b.sha256(text)).toEqual(a.sha256(text))
          expect(b.x25519Public(key)).toEqual(a.x25519Public(key))
        },
      ),
      { numRuns: 30, seed: 2 },
    )
  })
})

describe('a keygen_id', () => {
  it.each([
    ['client', 1],
    ['vertex', 2],
  ] as const)('says that its party is a %s, and has the public key of its secret', (role, byte) => {
    const identity = createIdentity(nobleChannelCrypto, role)
    expect(identity.keygenId).toHaveLength(33)
    expect(identity.keygenId[0]).toBe(byte)
    const again = identityOf(nodeChannelCrypto, identity.secret, role)
    expect(again.keygenId).toEqual(identity.keygenId)
    expect(channelKey(identity.keygenId)).toEqual(identity.keygenId.subarray(1))
  })

  it('is refused with another length or first byte', () => {
    const { keygenId } = createIdentity(nobleChannelCrypto, 'client')
    const newer = [0, 3, 255].map((byte) => Uint8Array.from(keygenId, (b, i) => (i ? b : byte)))
    for (const bad of [...newer, keygenId.subarray(1), new Uint8Array(34).fill(1)])
      expect(() => channelKey(bad)).toThrow('33 bytes')
    expect(() => identityOf(nobleChannelCrypto, new Uint8Array(31), 'client')).toThrow('32 bytes')
  })

  /** 0x01 ‖ a number, little-endian. */
  const idOf = (u: bigint) =>
    Uint8Array.from({ length: 33 }, (_, i) =>
      i === 0 ? 1 : Number((u >> BigInt(8 * (i - 1))) & 255n),
    )
  const prime = 2n ** 255n - 19n

  it('is refused with a public key that agrees on nothing', () => {
    // An element of order 8 on the curve, as its four points' two u-coordinates; RFC 7748 works on the twist alike.
    const order8 = [
      325606250916557431795983626356110631294008115727848805560023387167927233504n,
      39382357235489614581723060781553021112529911719440698176882885853963445705823n,
    ]
    const someSecret = new Uint8Array(32).fill(7)
    for (const u of [0n, 1n, ...order8, prime - 1n]) {
      const raw = idOf(u).subarray(1)
      for (const crypto of [nobleChannelCrypto, nodeChannelCrypto])
        expect(() => crypto.secretKey(someSecret).agree(raw)).toThrow()
      expect(() => channelKey(idOf(u))).toThrow('small order')
    }
    for (const u of [2n, 9n, prime - 2n]) expect(channelKey(idOf(u))).toHaveLength(32)
  })

  it('is refused with a second encoding of a public key', () => {
    const half = 2n ** 255n
    for (const u of [prime, prime + 1n, prime + 9n, half - 1n, half, half + 9n, 2n * half - 1n])
      expect(() => channelKey(idOf(u)), u.toString(16)).toThrow('second encoding')
  })
})
