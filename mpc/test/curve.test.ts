import { createECDH, randomBytes } from 'node:crypto'
import { secp256k1, secp256k1_hasher } from '@noble/curves/secp256k1.js'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InvalidPoint, type Curve, type Point } from '../src/curve/curve.js'
import { nobleCurve } from '../src/curve/noble.js'
import { ORDER, encodeScalar } from '../src/math/scalar.js'
import { loadNativeCurve } from '../native/index.js'

const native = loadNativeCurve()
const backends: readonly (readonly [string, Curve | undefined])[] = [
  ['noble', nobleCurve],
  ['libsecp256k1', native],
]

const scalars = fc.bigInt({ min: 1n, max: ORDER - 1n })
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const bytes = (text: string) => Uint8Array.from(Buffer.from(text, 'hex'))
const G = bytes('0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798')
const dst = new TextEncoder().encode('QUUX-V01-CS02-with-secp256k1_XMD:SHA-256_SSWU_RO_')

describe.each(backends)('the %s curve', (_, backend) => {
  const it_ = backend === undefined ? it.skip : it
  const curve = backend!

  it_('has the generator of SEC 2', () => {
    expect(hex(curve.encode(curve.mulBase(1n)))).toBe(hex(G))
    expect(curve.order).toBe(secp256k1.Point.Fn.ORDER)
  })

  it_('multiplies the generator as OpenSSL does', () => {
    for (let i = 0; i < 5; i++) {
      const ecdh = createECDH('secp256k1')
      ecdh.generateKeys()
      const k = BigInt(`0x${ecdh.getPrivateKey('hex').padStart(64, '0')}`)
      expect(hex(curve.encode(curve.mulBase(k)))).toBe(ecdh.getPublicKey('hex', 'compressed'))
    }
  })

  it_('multiplies secretly, publicly and by the generator alike', () => {
    fc.assert(
      fc.property(scalars, scalars, (a, b) => {
        const P = curve.mulBase(a)
        const Q = curve.mulBase((a * b) % ORDER)
        expect(curve.equals(curve.mul(P, b), Q)).toBe(true)
        expect(curve.equals(curve.mulPublic(P, b), Q)).toBe(true)
      }),
      { numRuns: 10 },
    )
  })

  it_('adds as the scalars add, in any grouping', () => {
    fc.assert(
      fc.property(scalars, scalars, scalars, (a, b, c) => {
        const [A, B, C] = [a, b, c].map((k) => curve.mulBase(k)) as [Point, Point, Point]
        const left = curve.add(curve.add(A, B), C)
        expect(curve.equals(left, curve.add(A, curve.add(B, C)))).toBe(true)
        expect(curve.equals(left, curve.sum([A, B, C]))).toBe(true)
        const total = (a + b + c) % ORDER
        if (total !== 0n) expect(curve.equals(left, curve.mulBase(total))).toBe(true)
      }),
      { numRuns: 10 },
    )
  })

  it_('doubles, and knows the identity as sum of opposites', () => {
    const P = curve.mulBase(5n)
    const O = curve.add(P, curve.negate(P))
    expect(curve.equals(curve.add(P, P), curve.mulBase(10n))).toBe(true)
    expect(curve.isIdentity(O)).toBe(true)
    expect(curve.isIdentity(P)).toBe(false)
    expect(curve.equals(curve.add(O, P), P)).toBe(true)
    expect(curve.equals(curve.add(P, O), P)).toBe(true)
    expect(curve.isIdentity(curve.add(O, O))).toBe(true)
    expect(curve.isIdentity(curve.sum([]))).toBe(true)
    expect(curve.isIdentity(curve.sum([P, curve.negate(P)]))).toBe(true)
    expect(curve.isIdentity(curve.negate(O))).toBe(true)
    expect(curve.isIdentity(curve.mulPublic(P, 0n))).toBe(true)
    expect(curve.isIdentity(curve.mulPublic(O, 7n))).toBe(true)
    expect(curve.isIdentity(curve.mul(O, 7n))).toBe(true)
    expect(curve.equals(O, P)).toBe(false)
    expect(() => curve.encode(O)).toThrow(InvalidPoint)
    expect(() => curve.coordinates(O)).toThrow(InvalidPoint)
  })

  it_.each([0n, ORDER, ORDER + 1n, -1n])('refuses %s as a secret scalar', (k) => {
    expect(() => curve.mulBase(k)).toThrow()
    expect(() => curve.mul(curve.mulBase(2n), k)).toThrow()
  })

  it_('decodes what it encodes, and gives the coordinates', () => {
    fc.assert(
      fc.property(scalars, (k) => {
        const P = curve.mulBase(k)
        const encoded = curve.encode(P)
        expect(hex(curve.encode(curve.decode(encoded)))).toBe(hex(encoded))
        const { x, yIsOdd } = curve.coordinates(P)
        expect(hex(x)).toBe(hex(encoded.slice(1)))
        expect(yIsOdd).toBe(encoded[0] === 3)
      }),
      { numRuns: 10 },
    )
  })

  it_.each([
    ['nothing', ''],
    ['the identity in SEC 1 form', '00'],
    ['33 zeros', '00'.repeat(33)],
    ['32 bytes', hex(G.slice(0, 32))],
    ['34 bytes', `${hex(G)}00`],
    ['an uncompressed point', hex(secp256k1.Point.BASE.toBytes(false))],
    ['a hybrid first byte', `06${hex(G.slice(1))}`],
    ['an x off the curve', `02${'00'.repeat(31)}05`],
    ['x = p', '02fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f'],
    [
      'x = p + 1, which is 1 unreduced',
      '02fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc30',
    ],
  ])('refuses %s as a point', (_name, text) => {
    expect(() => curve.decode(bytes(text))).toThrow(InvalidPoint)
  })

  it_('never yields the identity from any 33 bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 33, maxLength: 33 }), (random) => {
        let P: Point
        try {
          P = curve.decode(random)
        } catch (e) {
          expect(e).toBeInstanceOf(InvalidPoint)
          return
        }
        expect(curve.isIdentity(P)).toBe(false)
        expect(hex(curve.encode(P))).toBe(hex(random))
      }),
      { numRuns: 50 },
    )
  })

  // RFC 9380, appendix J.8.1
  it_.each([
    [
      '',
      'c1cae290e291aee617ebaef1be6d73861479c48b841eaba9b7b5852ddfeb1346',
      '64fa678e07ae116126f08b022a94af6de15985c996c3a91b64c406a960e51067',
    ],
    [
      'abc',
      '3377e01eab42db296b512293120c6cee72b6ecf9f9205760bd9ff11fb3cb2c4b',
      '7f95890f33efebd1044d382a01b1bee0900fb6116f94688d487c6c7b9c8371f6',
    ],
  ])('hashes %j to the point of RFC 9380', (text, x, y) => {
    const P = curve.hashToCurve(new TextEncoder().encode(text), dst)
    expect(hex(curve.coordinates(P).x)).toBe(x)
    expect(curve.coordinates(P).yIsOdd).toBe((Number.parseInt(y.slice(-1), 16) & 1) === 1)
  })

  it_('verifies what OpenSSL-compatible signers sign, and refuses high s', () => {
    const secret = randomBytes(32)
    const digest = randomBytes(32)
    const publicKey = curve.decode(secp256k1.getPublicKey(secret, true))
    const signature = secp256k1.sign(digest, secret, { prehash: false, lowS: true })
    const r = signature.slice(0, 32)
    const s = signature.slice(32)
    const high = encodeScalar(ORDER - BigInt(`0x${hex(s)}`))
    expect(curve.verify({ r, s }, digest, publicKey)).toBe(true)
    expect(curve.verify({ r, s: high }, digest, publicKey)).toBe(false)
    expect(curve.verify({ r: s, s: r }, digest, publicKey)).toBe(false)
    expect(curve.verify({ r, s }, randomBytes(32), publicKey)).toBe(false)
    expect(curve.verify({ r, s }, digest, curve.mulBase(3n))).toBe(false)
    const zero = new Uint8Array(32)
    const ones = new Uint8Array(32).fill(255)
    for (const bad of [zero, ones, r.slice(1), new Uint8Array(33)]) {
      expect(curve.verify({ r: bad, s }, digest, publicKey)).toBe(false)
      expect(curve.verify({ r, s: bad }, digest, publicKey)).toBe(false)
    }
    expect(curve.verify({ r, s }, digest.subarray(1), publicKey)).toBe(false)
    const O = curve.sum([])
    expect(curve.verify({ r, s }, digest, O)).toBe(false)
  })
})

describe.skipIf(native === undefined)('the two curves', () => {
  it('answer the same bytes for the same scalars', () => {
    fc.assert(
      fc.property(scalars, scalars, (a, b) => {
        const answers = [nobleCurve, native!].map((curve) => {
          const A = curve.mulBase(a)
          const B = curve.mulBase(b)
          return [A, curve.mul(A, b), curve.add(A, B), curve.negate(A), curve.mulPublic(B, a)].map(
            (P) => hex(curve.encode(P)),
          )
        })
        expect(answers[0]).toEqual(answers[1])
      }),
      { numRuns: 10 },
    )
  })

  it('hash to the same points as noble, one by one and in a batch', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 80 }), { minLength: 1, maxLength: 8 }),
        fc.uint8Array({ minLength: 1, maxLength: 300 }),
        (messages, tag) => {
          const want = messages.map((m) =>
            hex(secp256k1_hasher.hashToCurve(m, { DST: tag }).toBytes()),
          )
          const many = native!.hashManyToCurve(messages, tag)
          expect(many.map((P) => hex(native!.encode(P)))).toEqual(want)
          expect(messages.map((m) => hex(native!.encode(native!.hashToCurve(m, tag))))).toEqual(
            want,
          )
          const reference = nobleCurve.hashManyToCurve(messages, tag)
          expect(reference.map((P) => hex(nobleCurve.encode(P)))).toEqual(want)
        },
      ),
      { numRuns: 60 },
    )
  })
})
