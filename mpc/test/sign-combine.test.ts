import { describe, expect, it } from 'vitest'
import { partyIndex, type Point } from '@vertex/mpc'
import { addNonces, addShares, finish } from '../src/dkls23/sign/combine.js'
import type { SignRun } from '../src/dkls23/sign/run.js'
import { encodeScalar, invertPublic, mod, ORDER, readUint } from '../src/math/scalar.js'
import { loadWasmCurve } from '../kernel/wasm-curve.js'
import { native, noble } from './support/parties.js'
import { recovered, verifiesDigest } from './support/verify.js'

const digest = encodeScalar(123456789n)
const curves = [noble.curve, native.curve, loadWasmCurve()!]

/** The first points at or above this x coordinate, with even and odd y. */
function pointsFrom(x: bigint): Point[] {
  for (; ; x++) {
    const bytes = Uint8Array.from([2, ...encodeUint(x)])
    try {
      const even = noble.curve.decode(bytes)
      return [even, noble.curve.negate(even)]
    } catch {
      continue
    }
  }
}
const encodeUint = (x: bigint) => Buffer.from(x.toString(16).padStart(64, '0'), 'hex')

/** The key under which (R, s) signs the digest: r⁻¹·(s·R - m·G). */
function keyFor(R: Point, s: bigint): Point {
  const { curve } = noble
  const r = mod(readUint(curve.coordinates(R).x, 0, 32))
  const sR = curve.mul(R, s)
  const mG = curve.mulBase(readUint(digest, 0, 32))
  return curve.mul(curve.add(sR, curve.negate(mG)), invertPublic(r))
}

// A nonce point whose x is not below n turns up once in 2^128 signatures, so these are made backwards.
describe('a signature put together', () => {
  for (const [what, x, bit] of [
    ['below the order', 3n, 0],
    ['not below the order', ORDER + 1n, 2],
  ] as const)
    for (const parity of [0, 1])
      for (const high of [false, true])
        it(`with R’s x ${what}, y ${parity ? 'odd' : 'even'} and a ${high ? 'high' : 'low'} s leads back to its key`, () => {
          const R = pointsFrom(x)[parity]!
          const s = high ? ORDER - 77n : 77n
          const key = noble.curve.encode(keyFor(R, s))
          for (const curve of curves) {
            const run = {
              curve,
              digest,
              pk: curve.decode(key),
              peers: [partyIndex(2)],
            } as unknown as SignRun
            const own = curve.decode(noble.curve.encode(R))
            const shares = [
              { u: 5n, w: mod(7n * s) },
              { u: 2n, w: ORDER },
            ]
            const signature = finish(run, 4, own, addShares(run, 4, shares))
            expect(signature.s).toEqual(encodeScalar(77n))
            expect(signature.v).toBe((high ? 1 - parity : parity) + bit)
            expect(recovered(signature, digest)).toEqual(key)
            expect(verifiesDigest(signature, digest, key)).toBe(true)
          }
        })
})

// 4.4 by recovery must say what s·R = m·G + r_x·pk says, for just this R: four points have one r_x.
describe('a signature that plain ECDSA would take', () => {
  const decodes = (x: bigint) => {
    try {
      noble.curve.decode(Uint8Array.from([2, ...encodeUint(x)]))
      return true
    } catch {
      return false
    }
  }
  let low = 1n
  while (!decodes(low) || !decodes(low + ORDER)) low++
  const four = [...pointsFrom(low), ...pointsFrom(low + ORDER)]
  const s = 77n

  it.each([0, 1, 2, 3])('is refused unless its nonce point is the one of the run: %i', (which) => {
    const key = noble.curve.encode(keyFor(four[which]!, s))
    for (const curve of curves) {
      const run = { curve, digest, pk: curve.decode(key), peers: [partyIndex(2)] }
      const end = (R: Point, s: bigint) =>
        finish(run as unknown as SignRun, 4, curve.decode(noble.curve.encode(R)), s)
      const refused = expect.objectContaining({ code: 'signature_invalid', culprits: [2] })
      four.forEach((R, at) => {
        if (at === which) expect(end(R, s).v).toBe(which)
        else expect(() => end(R, s)).toThrow(refused)
        if (at !== (which ^ 1)) expect(() => end(R, ORDER - s)).toThrow(refused)
        for (const other of [0n, 1n, s - 1n, ORDER - 1n])
          expect(() => end(R, other)).toThrow(refused)
      })
      // −R and n − s are the same signature, with its own v.
      expect(end(four[which ^ 1]!, ORDER - s).v).toBe(which)
    }
  })
})

describe('nonces put together', () => {
  it('are refused when R’s x is the order itself, which is an r of zero', () => {
    const [R] = pointsFrom(ORDER)
    expect(readUint(noble.curve.coordinates(R!).x, 0, 32)).toBe(ORDER)
    const run = { curve: noble.curve, peers: [partyIndex(2)] } as unknown as SignRun
    expect(() => addNonces(run, 3, [R!])).toThrow(
      expect.objectContaining({ code: 'signature_invalid', round: 3, culprits: [2] }),
    )
  })
})
