import { createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto'
import { ed25519 } from '@noble/curves/ed25519.js'
import { describe, expect, it } from 'vitest'
import { equationHolds, verifyStrict, type Equation } from '../../src/keypackage/index.js'
import {
  bytesOf,
  encodings,
  find,
  key,
  L,
  make,
  numberOf,
  P,
  Point,
  T,
  torsion,
} from './by-hand.js'

const SPKI = Buffer.from('302a300506032b6570032100', 'hex')
const openssl: Equation = (of, message, signature) => {
  const spki = { key: Buffer.concat([SPKI, of]), format: 'der', type: 'spki' } as const
  return verify(null, message, createPublicKey(spki), signature)
}
const cofactored = (made: ReturnType<typeof make>) =>
  ed25519.verify(made.signature, made.message, made.key, { zip215: true })

const message = new TextEncoder().encode('a key package')

describe.each([
  ['its own equation', equationHolds],
  ["OpenSSL's equation", openssl],
])('a strict verification, with %s', (_, equation) => {
  const judge = (made: Pick<ReturnType<typeof make>, 'key' | 'message' | 'signature'>) =>
    verifyStrict(made.key, made.message, made.signature, equation)

  it('takes what is signed as RFC 8032 says, and nothing that was changed', () => {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519')
    const raw = new Uint8Array(publicKey.export({ format: 'der', type: 'spki' }).subarray(12))
    for (const text of ['', 'a', 'a longer one'.repeat(50)]) {
      const signed = new TextEncoder().encode(text)
      const signature = new Uint8Array(sign(null, signed, privateKey))
      expect(judge({ key: raw, message: signed, signature })).toBe('valid')
      for (const i of [0, 31, 32, 63]) {
        const changed = signature.slice()
        changed[i]! ^= 1
        expect(judge({ key: raw, message: signed, signature: changed })).toBe('not a signature')
      }
      const other = Uint8Array.from([...signed, 0])
      expect(judge({ key: raw, message: other, signature })).toBe('not a signature')
    }
  })

  it('takes what is made by hand the honest way', () => {
    expect(judge(make(message, {}))).toBe('valid')
  })

  it('refuses torsion in R, which the cofactor would hide', () => {
    for (const toR of torsion.slice(1)) {
      const made = make(message, { toR })
      expect(cofactored(made)).toBe(true)
      expect(judge(made)).toBe('not a signature')
    }
  })

  it('refuses torsion in the key where the challenge shows it, and only there', () => {
    const shown = find({ toKey: T }, ({ k }) => k % 8n !== 0n)
    expect(cofactored(shown)).toBe(true)
    expect(judge(shown)).toBe('not a signature')
    // As dalek does: such a key is odd, but not weak, and the equation holds to the letter.
    expect(judge(find({ toKey: T }, ({ k }) => k % 8n === 0n))).toBe('valid')
  })

  it('refuses torsion in both where it cancels out under the cofactor only', () => {
    const made = find({ toKey: T, toR: T }, ({ k }) => k % 8n !== 7n)
    expect(cofactored(made)).toBe(true)
    expect(judge(made)).toBe('not a signature')
    expect(judge(find({ toKey: T, toR: T }, ({ k }) => k % 8n === 7n))).toBe('valid')
  })

  it('refuses an R of small order, though the equation holds', () => {
    // [S]B - [k]A = 0 = R.
    const made = make(message, { r: 0n })
    expect(equation(made.key, made.message, made.signature)).toBe(true)
    expect(judge(made)).toBe('not a signature')
    for (const toR of torsion)
      for (const r of encodings(toR)) {
        const signature = Uint8Array.from([...r, ...made.signature.subarray(32)])
        expect(judge({ ...made, signature })).toBe('not a signature')
      }
  })

  it('refuses a key of small order in each of its encodings, under which one signature fits many messages', () => {
    let held = 0
    for (const point of torsion)
      for (const weak of encodings(point))
        for (let i = 0; i < 20; i++) {
          // R = rB, S = r: it holds where k times the key is nothing.
          const r = Point.BASE.multiply(9n).toBytes()
          const made = {
            key: weak,
            message: Uint8Array.of(i),
            signature: Uint8Array.from([...r, ...bytesOf(9n)]),
          }
          if (equation(made.key, made.message, made.signature)) held++
          expect(judge(made)).toBe('not a signature')
        }
    expect(held).toBeGreaterThan(0)
  })

  it('refuses the signature of nothing under the key of nothing', () => {
    const nothing = bytesOf(1n)
    const signature = Uint8Array.from([...nothing, ...bytesOf(0n)])
    expect(equation(nothing, message, signature)).toBe(true)
    expect(judge({ key: nothing, message, signature })).toBe('not a signature')
  })

  it('refuses an S of L and more', () => {
    const made = make(message, {})
    const s = numberOf(made.signature.subarray(32))
    for (const larger of [s + L, s + 8n * L, L, 2n ** 256n - 1n]) {
      const signature = Uint8Array.from([...made.signature.subarray(0, 32), ...bytesOf(larger)])
      expect(judge({ ...made, signature })).toBe('not a signature')
    }
  })

  it('tells what is no key from what is no signature', () => {
    const { signature } = make(message, {})
    const noPoint = [2n, 7n].map(bytesOf)
    for (const wrong of noPoint) {
      expect(() => Point.fromBytes(wrong, true)).toThrow()
      expect(judge({ key: wrong, message, signature })).toBe('not a key')
    }
    // Written with a y of P or more it is a key all the same, and nobody knows a secret for it.
    const odd = bytesOf(3n + P)
    expect(Point.fromBytes(odd, true).isSmallOrder()).toBe(false)
    expect(judge({ key: odd, message, signature })).toBe('not a signature')
    expect(judge({ key: key.toBytes(), message, signature })).toBe('valid')
  })
})

it('both equations say the same of what is random', () => {
  for (let i = 0; i < 50; i++) {
    const toKey = torsion[i % 8]!
    const toR = torsion[(i * 3) % 8]!
    const made = make(Uint8Array.of(i), { toKey, toR, a: BigInt(i + 1), r: BigInt(i + 2) })
    const { key: of, message: text, signature } = made
    expect(equationHolds(of, text, signature)).toBe(openssl(of, text, signature))
  }
})
