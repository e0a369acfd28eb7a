import { createHash } from 'node:crypto'
import { beforeAll, describe, expect, it } from 'vitest'
import {
  derivePublicKey,
  digestOf,
  startSignFirst,
  startSignMany,
  startSignSecond,
  type Signature,
  type SignInput,
} from '@vertex/mpc'
import { startSignFirstWith, startSignManyWith, startSignSecondWith } from '@vertex/mpc/testing'
import { flight2, round1, round2 } from './support/layout.js'
import { native, noble, readyKey, sign, signInputs, type Key } from './support/parties.js'
import { seeded } from './support/seeded.js'
import { finish } from './support/simulate.js'
import { recovered, verifiesDigest, verifiesInNode, verifiesInOpenssl } from './support/verify.js'

const HALF_ORDER = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0n
const message = new TextEncoder().encode('pay 3 to Bob')
const digest = digestOf(message, 'sha256')

/** All signers got one and the same signature; here it is. */
function agreed(signatures: ReadonlyMap<unknown, Signature>, signers: number): Signature {
  const all = [...signatures.values()]
  expect(all.length).toBe(signers)
  for (const signature of all) expect(signature).toEqual(all[0])
  return all[0]!
}

function expectGood(signature: Signature, publicKey: Uint8Array): void {
  expect(verifiesInNode(signature, message, publicKey)).toBe(true)
  expect(verifiesDigest(signature, digest, publicKey)).toBe(true)
  expect(recovered(signature, digest)).toEqual(publicKey)
  expect(BigInt(`0x${Buffer.from(signature.s).toString('hex')}`) <= HALF_ORDER).toBe(true)
}

describe('signing', () => {
  for (const [name, suites] of [
    ['noble', [noble]],
    ['the native suite', [native]],
    ['a mix of both', [native, noble]],
  ] as const) {
    describe(`on ${name}`, () => {
      let two: Key
      let three: Key
      let five: Key
      beforeAll(() => {
        two = readyKey(2, 2, suites)
        three = readyKey(2, 3, suites, { setupsOn: [native] })
        five = readyKey(3, 5, suites, { among: [1, 3, 5], setupsOn: [native] })
      })

      it('gives both parties of a 2-of-2 key one signature that others verify', () => {
        const signature = agreed(finish(sign(two, { signers: [1, 2], digest }), 2), 2)
        expectGood(signature, two.shares[0]!.publicKey)
      })

      for (const signers of [
        [1, 2],
        [1, 3],
        [2, 3],
        [1, 2, 3],
      ])
        it(`signs with parties ${signers.join(' and ')} of a 2-of-3 key`, () => {
          const signature = agreed(
            finish(sign(three, { signers, digest }), signers.length),
            signers.length,
          )
          expectGood(signature, three.shares[0]!.publicKey)
        })

      it('signs with three parties of a 3-of-5 key', () => {
        const done = finish(sign(five, { signers: [1, 3, 5], digest }), 3)
        expectGood(agreed(done, 3), five.shares[0]!.publicKey)
      })

      it('signs with a derived key', () => {
        const path = [0, 1, 2 ** 31 - 1]
        const { publicKey, chainCode } = three.shares[0]!
        const derived = derivePublicKey(noble.curve, publicKey, chainCode, path)
        const done = finish(sign(three, { signers: [1, 3], digest, path }), 2)
        expectGood(agreed(done, 2), derived.publicKey)
      })
    })
  }

  describe('with one 2-of-2 key', () => {
    let key: Key
    let good: SignInput
    beforeAll(() => {
      key = readyKey(2, 2)
      good = signInputs(key, { signers: [1, 2], digest })[0]!
    })

    it('gives signatures of both parities that lead back to the key', () => {
      const seen = new Set<number>()
      for (let i = 0; i < 40 && seen.size < 2; i++) {
        const signature = agreed(finish(sign(key, { signers: [1, 2], digest }), 2), 2)
        expect(recovered(signature, digest)).toEqual(key.shares[0]!.publicKey)
        seen.add(signature.v)
      }
      expect([...seen].sort()).toEqual([0, 1])
    })

    it('signs in rounds too, with two', () => {
      const done = finish(sign(key, { signers: [1, 2], digest }, [], true), 2)
      expectGood(agreed(done, 2), key.shares[0]!.publicKey)
    })

    it('gives bare digests a signature that the openssl command accepts, and for no other digest', () => {
      const bare = createHash('sha3-256').update('anything').digest()
      const signature = agreed(finish(sign(key, { signers: [1, 2], digest: bare }), 2), 2)
      const { publicKey } = key.shares[0]!
      expect(verifiesInOpenssl(signature, bare, publicKey)).toBe(true)
      expect(verifiesInOpenssl(signature, digest, publicKey)).toBe(false)
    })

    for (const extreme of [0x00, 0xff])
      it(`signs a digest of ${extreme === 0 ? 'zeros' : 'ones, which is more than the order'}`, () => {
        const d = new Uint8Array(32).fill(extreme)
        const signature = agreed(finish(sign(key, { signers: [1, 2], digest: d }), 2), 2)
        expect(verifiesDigest(signature, d, key.shares[0]!.publicKey)).toBe(true)
      })

    it('refuses to use a round or flight twice', () => {
      const [a, b] = signInputs(key, { signers: [1, 2], digest })
      const second = startSignSecond(b!)
      if (!('next' in second)) throw new Error('signing does not end at once')
      const inbox = new Map([[a!.share.index, startSignFirst(a!).outbox.get(b!.share.index)!]])
      second.next.advance(inbox)
      expect(() => second.next.advance(inbox)).toThrow(/used already/)
    })

    it('draws another nonce for every signature', () => {
      const nonces = new Set(
        [1, 2, 3].map(() => {
          const { r } = agreed(finish(sign(key, { signers: [1, 2], digest }), 2), 2)
          return Buffer.from(r).toString('hex')
        }),
      )
      expect(nonces.size).toBe(3)
    })

    it('signs with more parties than it takes', () => {
      const four = readyKey(3, 4)
      const done = finish(sign(four, { signers: [1, 2, 3, 4], digest, path: [5] }), 4)
      const { publicKey, chainCode } = four.shares[0]!
      const derived = derivePublicKey(native.curve, publicKey, chainCode, [5])
      expectGood(agreed(done, 4), derived.publicKey)
    })

    it('does not start with fewer signers than the threshold', () => {
      const { shares, setups } = readyKey(3, 3)
      const input = {
        ...good,
        share: shares[0]!,
        signers: good.signers,
        setups: setups.get(good.share.index)!,
      }
      expect(() => startSignMany(input)).toThrow(/too few signers/)
    })

    const wrong: [
      string,
      (input: SignInput) => Partial<Record<keyof SignInput, unknown>>,
      RegExp,
    ][] = [
      ['a short digest', () => ({ digest: new Uint8Array(31) }), /digest has 32/],
      ['a long digest', () => ({ digest: new Uint8Array(33) }), /digest has 32/],
      ['a short session id', () => ({ sid: new Uint8Array(31) }), /session id has 32/],
      ['one signer', () => ({ signers: [1] }), /too few/],
      ['a signer twice', () => ({ signers: [1, 1] }), /distinct parties/],
      ['signers out of order', () => ({ signers: [2, 1] }), /distinct parties/],
      ['a signer who is no party', () => ({ signers: [1, 3] }), /distinct parties/],
      [
        'itself not among the signers',
        ({ share }) => ({ share: { ...share, index: 3 } }),
        /not among/,
      ],
      ['no setup with the other', () => ({ setups: new Map() }), /no OT setup with party 2/],
      [
        'the other side’s setup',
        () => ({ setups: new Map([[2, key.setups.get(2 as never)!.get(1 as never)]]) }),
        /another pair/,
      ],
      ['a hardened path', () => ({ path: [2 ** 31] }), /hardened/],
      ['a negative path', () => ({ path: [-1] }), /path index/],
      ['a path of 256 levels', () => ({ path: new Array<number>(256).fill(0) }), /at most 255/],
    ]
    for (const [what, change, message] of wrong)
      it(`does not start with ${what}`, () => {
        const input = { ...good, ...change(good) } as SignInput
        expect(() => startSignFirst(input)).toThrow(message)
        expect(() => startSignSecond(input)).toThrow(message)
        expect(() => startSignMany(input)).toThrow(message)
      })
  })

  describe('with a cloned random source', () => {
    let key: Key
    let inputs: SignInput[]
    beforeAll(() => {
      key = readyKey(2, 2)
      inputs = signInputs(key, { signers: [1, 2], digest, sid: new Uint8Array(32).fill(7) })
    })

    /** The whole of flight 2, sent by a second mover whose random source is a clone. */
    function flight2Of(flight1: Uint8Array, change: Partial<SignInput> = {}): Uint8Array {
      const step = startSignSecondWith({ ...inputs[1]!, ...change }, seeded('clone'))
      if (!('next' in step)) throw new Error('signing does not end at once')
      return [
        ...step.next.advance(new Map([[inputs[0]!.share.index, flight1]])).outbox.values(),
      ][0]!
    }
    const nonceOf = (message: Uint8Array) => message.slice(flight2.R, flight2.R + 33)
    const flight1 = (name: string) =>
      [...startSignFirstWith(inputs[0]!, seeded(name)).outbox.values()][0]!

    it('the second mover repeats itself only if everything is repeated to it', () => {
      expect(flight2Of(flight1('A'))).toEqual(flight2Of(flight1('A')))
    })

    it('the second mover draws another nonce when the first mover’s message differs', () => {
      expect(nonceOf(flight2Of(flight1('A')))).not.toEqual(nonceOf(flight2Of(flight1('B'))))
    })

    it('the second mover draws another nonce when only the first mover’s commitment differs', () => {
      const changed = flight1('A')
      changed[round1.commitment]! ^= 1
      expect(nonceOf(flight2Of(changed))).not.toEqual(nonceOf(flight2Of(flight1('A'))))
    })

    it('every signer draws another nonce for another digest, path or session id', () => {
      const firstOf = (change: Partial<SignInput>) => {
        const step = startSignManyWith({ ...inputs[0]!, ...change }, seeded('clone'))
        return Buffer.from([...step.outbox.values()][0]!.slice(round1.commitment)).toString('hex')
      }
      const all = [
        {},
        { digest: new Uint8Array(32) },
        { path: [0] },
        { sid: new Uint8Array(32) },
      ].map(firstOf)
      expect(new Set(all).size).toBe(4)
      expect(firstOf({})).toBe(all[0])
    })

    it('a signer in rounds opens the nonce it drew before it heard the others: no protection there', () => {
      const [a, b] = inputs
      const other = (name: string) => [...startSignManyWith(b!, seeded(name)).outbox.values()][0]!
      const opened = (heard: Uint8Array) => {
        const step = startSignManyWith(a!, seeded('clone'))
        if (!('next' in step)) throw new Error('signing does not end at once')
        const { outbox } = step.next.advance(new Map([[b!.share.index, heard]]))
        return [...outbox.values()][0]!.slice(round2.R, round2.R + 33)
      }
      expect(opened(other('B'))).toEqual(opened(other('C')))
    })
  })
})
