import { createECDH, randomBytes } from 'node:crypto'
import { secp256k1, secp256k1_hasher } from '@noble/curves/secp256k1.js'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InvalidPoint, type Curve, type Point } from '../src/curve/curve.js'
import { nobleCurve } from '../src/curve/noble.js'
import { ORDER, encodeScalar } from '../src/math/scalar.js'
import { loadWasmCurve } from '../kernel/wasm-curve.js'
import { loadNativeCurve } from '../native/index.js'

const native = loadNativeCurve()
const wasm = loadWasmCurve()
const backends: readonly (readonly [string, Curve | undefined])[] = [
  ['noble', nobleCurve],
  ['libsecp256k1', native],
  ['wasm', wasm],
]

const scalars = fc.bigInt({ min: 1n, max: ORDER - 1n })
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
const bytes = (text: string) => Uint8Array.from(Buffer.from(text, 'hex'))
const G = bytes('0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798')
const dst = new TextEncoder().encode('QUUX-V01-CS02-with-secp256k1_XMD:SHA-256_SSWU_RO_')

/**
 * Scalars k₁ + k₂·λ, λ being the endomorphism's eigenvalue, around which their split is rounded to another lattice point:
 * half sums of the basis (Guide to Elliptic Curve Cryptography, section 3.5), where |k₁| and |k₂| are largest.
 */
function cornersOfTheSplit(): bigint[] {
  const lambda = 0x5363ad4cc05c30e0a5261c028812645a122e22ea20816678df02967c1b23bd72n
  const [a1, b1] = [0x3086d221a7d46bcde86c90e49284eb15n, -0xe4437ed6010e88286f547fa90abfe4c3n]
  const [a2, b2] = [0x114ca50f7a8e2f3f657c1108d9d44cfd8n, a1]
  const near = [-1n, 0n, 1n]
  return near.flatMap((i) =>
    near.flatMap((j) =>
      near.map((off) => {
        const k = (i * a1 + j * a2) / 2n + off + ((i * b1 + j * b2) / 2n) * lambda
        return ((k % ORDER) + ORDER) % ORDER || lambda
      }),
    ),
  )
}

describe.each(backends)('the %s curve', (_, backend) => {
  // libsecp256k1 has no binary for some machines; the other curves are tried everywhere.
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

  it_('does for many what it does for each', () => {
    fc.assert(
      fc.property(fc.array(scalars, { maxLength: 5 }), scalars, (ks, k) => {
        const encode = (points: readonly Point[]) => points.map((P) => hex(curve.encode(P)))
        const P = curve.mulBase(k)
        const all = ks.map((one) => curve.mulBase(one))
        expect(encode(curve.mulBaseMany(ks))).toEqual(encode(all))
        const byP = ks.map((one) => curve.mul(P, one))
        expect(encode(curve.mulByMany(P, ks))).toEqual(encode(byP))
        expect(encode(curve.mulMany(all, k))).toEqual(encode(byP))
        const shifted = ks.map((one) => curve.add(P, curve.mulBase(one)))
        const Ps = ks.map(() => P)
        const added = curve.addMulBaseMany(Ps, ks)
        expect(added.every((R, i) => curve.equals(R, shifted[i]!))).toBe(true)
      }),
      { numRuns: 10 },
    )
    const [P, Q] = [curve.mulBase(3n), curve.mulBase(4n)]
    const O = curve.sum([])
    const sums = curve.addMany([P, P, P, O, P, O], [Q, P, curve.negate(P), Q, O, O])
    expect(sums.map((R) => curve.isIdentity(R) || hex(curve.encode(R)))).toEqual(
      [7n, 6n, 0n, 4n, 3n, 0n].map((k) => k === 0n || hex(curve.encode(curve.mulBase(k)))),
    )
    const toBase = curve.addMulBaseMany([P, O, P, curve.negate(P), Q], [4n, 3n, 3n, 3n, 3n])
    expect(toBase.map((R) => curve.isIdentity(R) || hex(curve.encode(R)))).toEqual(
      [7n, 3n, 6n, 0n, 7n].map((k) => k === 0n || hex(curve.encode(curve.mulBase(k)))),
    )
    expect(() => curve.addMany([P], [])).toThrow()
    expect(() => curve.addMulBaseMany([P], [])).toThrow()
    expect(() => curve.addMulBaseMany([P], [0n])).toThrow()
    expect(() => curve.mulBaseMany([1n, 0n])).toThrow()
    expect(() => curve.mulByMany(P, [ORDER])).toThrow()
    expect(() => curve.mulMany([P], 0n)).toThrow()
    expect(curve.mulByMany(O, [1n, 2n]).every((R) => curve.isIdentity(R))).toBe(true)
    expect(curve.isIdentity(curve.mulMany([P, O], 2n)[1]!)).toBe(true)
    expect(curve.hashManyToCurve([], dst)).toEqual([])
  })

  it_('multiplies by scalars of every shape as the reference does', () => {
    const ones = (1n << 256n) - 1n
    const shapes = [
      ...[1n, 2n, 3n, 7n, 8n, 9n, 15n, 16n, 17n, 31n, 32n, 33n, 63n, 64n, 65n].flatMap((k) => [
        k,
        ORDER - k,
      ]),
      ...Array.from({ length: 32 }, (_, i) => 1n << BigInt(8 * i + 7)),
      ...[0x55n, 0xaan, 0x88n, 0x77n, 0x10n, 0xf0n, 0x0fn].map((byte) => (ones / 255n) * byte),
      (ORDER - 1n) / 2n,
      (ORDER + 1n) / 2n,
      ...cornersOfTheSplit(),
    ].map((k) => k % ORDER)
    const [P, Q] = [curve.mulBase(99n), nobleCurve.mulBase(99n)]
    const byP = curve.mulByMany(P, shapes)
    const byG = curve.mulBaseMany(shapes)
    for (const [i, k] of shapes.entries()) {
      const want = hex(nobleCurve.encode(nobleCurve.mulPublic(Q, k)))
      expect([hex(curve.encode(curve.mul(P, k))), hex(curve.encode(byP[i]!))]).toEqual([want, want])
      const wantG = nobleCurve.mulPublic(nobleCurve.mulBase(1n), k)
      expect(hex(curve.encode(byG[i]!))).toBe(hex(nobleCurve.encode(wantG)))
    }
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

  it_('recovers the key of a signature from R itself, s high or low', () => {
    const secret = randomBytes(32)
    const publicKey = curve.decode(secp256k1.getPublicKey(secret, true))
    const digest = randomBytes(32)
    const recoverable = secp256k1.sign(digest, secret, { prehash: false, format: 'recovered' })
    const v = recoverable[0]!
    const [r, s] = [recoverable.slice(1, 33), recoverable.slice(33)]
    const high = encodeScalar(ORDER - BigInt(`0x${hex(s)}`))
    const isKey = (signature: { r: Uint8Array; s: Uint8Array; v: number }, of = digest) => {
      const key = curve.recover(signature, of)
      return key !== undefined && curve.equals(key, publicKey)
    }
    expect(isKey({ r, s, v })).toBe(true)
    expect(isKey({ r, s: high, v: v ^ 1 })).toBe(true)
    expect(isKey({ r, s, v: v ^ 1 })).toBe(false)
    expect(isKey({ r, s: high, v })).toBe(false)
    expect(isKey({ r, s, v }, randomBytes(32))).toBe(false)
    // x = r + n is above p
    expect(curve.recover({ r, s, v: v | 2 }, digest)).toBeUndefined()
    const zero = new Uint8Array(32)
    const ones = new Uint8Array(32).fill(255)
    for (const bad of [zero, ones]) {
      expect(curve.recover({ r: bad, s, v }, digest)).toBeUndefined()
      expect(curve.recover({ r, s: bad, v }, digest)).toBeUndefined()
    }
    for (const short of [r.slice(1), new Uint8Array(33), new Uint8Array(0)]) {
      expect(curve.recover({ r: short, s, v }, digest)).toBeUndefined()
      expect(curve.recover({ r, s: short, v }, digest)).toBeUndefined()
      expect(curve.recover({ r, s, v }, short)).toBeUndefined()
    }
    // m = 0, and a key that would be the identity: s·R = m·G for R = G
    expect(curve.recover({ r, s, v }, zero)).toBeDefined()
    const g = G.subarray(1)
    expect(curve.recover({ r: g, s: digest, v: 0 }, digest)).toBeUndefined()
  })
})

describe('the curves', () => {
  const all = backends.flatMap(([, curve]) => (curve === undefined ? [] : [curve]))

  it('answer the same bytes for the same scalars', () => {
    fc.assert(
      fc.property(scalars, scalars, (a, b) => {
        const answers = all.map((curve) => {
          const A = curve.mulBase(a)
          const B = curve.mulBase(b)
          return [A, curve.mul(A, b), curve.add(A, B), curve.negate(A), curve.mulPublic(B, a)].map(
            (P) => hex(curve.encode(P)),
          )
        })
        for (const answer of answers) expect(answer).toEqual(answers[0])
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
          for (const curve of all) {
            const many = curve.hashManyToCurve(messages, tag)
            expect(many.map((P) => hex(curve.encode(P)))).toEqual(want)
            const each = messages.map((m) => curve.hashToCurve(m, tag))
            expect(each.map((P) => hex(curve.encode(P)))).toEqual(want)
          }
        },
      ),
      { numRuns: 60 },
    )
  })
})
