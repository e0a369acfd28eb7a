import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { derivePublicKey, encodeDer, InvalidPath, NoSuchChild } from '@vertex/mpc'
import { childTweak } from '../src/dkls23/derive.js'
import { encodeScalar, ORDER } from '../src/math/scalar.js'
import { native, noble } from './support/parties.js'

/** Base58Check (the checksum is what tells a slip in a vector from a bug). */
function base58check(text: string): Uint8Array {
  const digits = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'
  const value = Array.from(text).reduce((sum, c) => sum * 58n + BigInt(digits.indexOf(c)), 0n)
  const bytes = Buffer.from(value.toString(16).padStart(164, '0'), 'hex')
  const sha256 = (b: Uint8Array) => createHash('sha256').update(b).digest()
  expect(bytes.subarray(78)).toEqual(sha256(sha256(bytes.subarray(0, 78))).subarray(0, 4))
  return bytes.subarray(0, 78)
}

/** An extended public key: version 4, depth 1, parent 4, index 4, chain code 32, key 33. */
function extended(xpub: string) {
  const bytes = base58check(xpub)
  return {
    index: Buffer.from(bytes).readUInt32BE(9),
    chainCode: Uint8Array.from(bytes.subarray(13, 45)),
    publicKey: Uint8Array.from(bytes.subarray(45)),
  }
}

/** The non-hardened steps of the test vectors 1 and 2 of BIP-32. */
const vectors = [
  [
    'xpub68Gmy5EdvgibQVfPdqkBBCHxA5htiqg55crXYuXoQRKfDBFA1WEjWgP6LHhwBZeNK1VTsfTFUHCdrfp1bgwQ9xv5ski8PX9rL2dZXvgGDnw',
    'xpub6ASuArnXKPbfEwhqN6e3mwBcDTgzisQN1wXN9BJcM47sSikHjJf3UFHKkNAWbWMiGj7Wf5uMash7SyYq527Hqck2AxYysAA7xmALppuCkwQ',
  ],
  [
    'xpub6D4BDPcP2GT577Vvch3R8wDkScZWzQzMMUm3PWbmWvVJrZwQY4VUNgqFJPMM3No2dFDFGTsxxpG5uJh7n7epu4trkrX7x7DogT5Uv6fcLW5',
    'xpub6FHa3pjLCk84BayeJxFW2SP4XRrFd1JYnxeLeU8EqN3vDfZmbqBqaGJAyiLjTAwm6ZLRQUMv1ZACTj37sR62cfN7fe5JnJ7dh8zL4fiyLHV',
    'xpub6H1LXWLaKsWFhvm6RVpEL9P4KfRZSW7abD2ttkWP3SSQvnyA8FSVqNTEcYFgJS2UaFcxupHiYkro49S8yGasTvXEYBVPamhGW6cFJodrTHy',
  ],
  [
    'xpub661MyMwAqRbcFW31YEwpkMuc5THy2PSt5bDMsktWQcFF8syAmRUapSCGu8ED9W6oDMSgv6Zz8idoc4a6mr8BDzTJY47LJhkJ8UB7WEGuduB',
    'xpub69H7F5d8KSRgmmdJg2KhpAK8SR3DjMwAdkxj3ZuxV27CprR9LgpeyGmXUbC6wb7ERfvrnKZjXoUmmDznezpbZb7ap6r1D3tgFxHmwMkQTPH',
  ],
] as const

describe('derivation', () => {
  for (const [name, { curve }] of [
    ['noble', noble],
    ['the native suite', native],
  ] as const)
    it(`gives the public keys and chain codes of BIP-32’s test vectors on ${name}`, () => {
      for (const chain of vectors) {
        const [root, ...children] = chain.map(extended)
        const path = children.map(({ index }) => index)
        for (let depth = 1; depth <= children.length; depth++) {
          const { publicKey, chainCode, tweak } = derivePublicKey(
            curve,
            root!.publicKey,
            root!.chainCode,
            path.slice(0, depth),
          )
          expect(publicKey).toEqual(children[depth - 1]!.publicKey)
          expect(chainCode).toEqual(children[depth - 1]!.chainCode)
          const sum = secp256k1.Point.BASE.multiply(tweak).add(
            secp256k1.Point.fromBytes(root!.publicKey),
          )
          expect(sum.toBytes(true)).toEqual(publicKey)
        }
      }
    })

  const { publicKey, chainCode } = extended(vectors[0][0])

  it('leaves the key as it is on the empty path', () => {
    expect(derivePublicKey(noble.curve, publicKey, chainCode, [])).toEqual({
      publicKey,
      point: noble.curve.decode(publicKey),
      chainCode,
      tweak: 0n,
    })
  })

  it('is the same in one go or step by step', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(2 ** 31 - 1), { maxLength: 5 }), fc.nat(5), (path, cut) => {
        const { curve } = native
        const first = derivePublicKey(curve, publicKey, chainCode, path.slice(0, cut))
        const then = derivePublicKey(curve, first.publicKey, first.chainCode, path.slice(cut))
        const whole = derivePublicKey(curve, publicKey, chainCode, path)
        expect(then.publicKey).toEqual(whole.publicKey)
        expect(then.chainCode).toEqual(whole.chainCode)
        expect((first.tweak + then.tweak) % ORDER).toBe(whole.tweak)
      }),
      { numRuns: 30 },
    )
  })

  it('is an error where BIP-32 has no key: I_L of zero, the order, or more', () => {
    expect(childTweak(encodeScalar(1n))).toBe(1n)
    expect(childTweak(encodeScalar(ORDER - 1n))).toBe(ORDER - 1n)
    const order = Buffer.from(ORDER.toString(16), 'hex')
    const more = Buffer.from((ORDER + 1n).toString(16), 'hex')
    for (const I_L of [new Uint8Array(32), order, more, new Uint8Array(32).fill(0xff)])
      expect(() => childTweak(I_L)).toThrow(NoSuchChild)
  })

  it('refuses hardened, negative and fractional indices, and paths deeper than 255', () => {
    for (const path of [[2 ** 31], [2 ** 32], [-1], [0.5], [NaN], [0, 2 ** 31, 0]])
      expect(() => derivePublicKey(noble.curve, publicKey, chainCode, path)).toThrow(InvalidPath)
    const deep = (length: number) => new Array<number>(length).fill(0)
    expect(() => derivePublicKey(native.curve, publicKey, chainCode, deep(256))).toThrow(
      InvalidPath,
    )
    expect(() => derivePublicKey(native.curve, publicKey, chainCode, deep(255))).not.toThrow()
  })
})

describe('DER', () => {
  const half = fc.uint8Array({ minLength: 32, maxLength: 32 }).filter((b) => b.some((x) => x !== 0))

  it('reads back through noble as the same two numbers, in the one minimal form', () => {
    const leading = fc
      .nat(32)
      .chain((zeros) => half.map((b) => b.map((x, i) => (i < zeros ? 0 : x))))
    const usable = fc.oneof(half, leading).filter((b) => {
      const value = BigInt(`0x${Buffer.from(b).toString('hex')}`)
      return value > 0n && value < ORDER
    })
    fc.assert(
      fc.property(usable, usable, (r, s) => {
        const der = encodeDer(r, s)
        const back = secp256k1.Signature.fromBytes(der, 'der')
        expect(encodeScalar(back.r)).toEqual(r)
        expect(encodeScalar(back.s)).toEqual(s)
        expect(back.toBytes('der')).toEqual(der)
      }),
    )
  })

  it('refuses numbers of zero or of another length', () => {
    const one = encodeScalar(1n)
    for (const bad of [
      new Uint8Array(32),
      new Uint8Array(31).fill(1),
      new Uint8Array(33).fill(1),
    ]) {
      expect(() => encodeDer(bad, one)).toThrow(RangeError)
      expect(() => encodeDer(one, bad)).toThrow(RangeError)
    }
  })
})
