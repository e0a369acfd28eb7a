import { describe, expect, it } from 'vitest'
import { partyIndex } from '@vertex/mpc'
import { startSignFirstWith, startSignSecondWith } from '@vertex/mpc/testing'
import { blindKey } from '../src/dkls23/sign/multiply.js'
import { drawNonce } from '../src/dkls23/sign/nonce.js'
import { signRun } from '../src/dkls23/sign/run.js'
import { decodeScalar, encodeScalar, mod, readUint } from '../src/math/scalar.js'
import { flight3 } from './support/layout.js'
import { native, readyKey, signInputs } from './support/parties.js'
import { seeded } from './support/seeded.js'
import { simulate, type Tamper } from './support/simulate.js'

describe('two copies of a second mover with one random source', () => {
  it('say the same last word to two third flights that both fit, so nothing can be told from it', () => {
    const digest = new Uint8Array(32).fill(7)
    const key = readyKey(2, 2, [native])
    const [A, B] = signInputs(key, { signers: [1, 2], sid: new Uint8Array(32).fill(9), digest })
    const copy = (tampers: Tamper[]) =>
      simulate(
        new Map([
          [partyIndex(1), startSignFirstWith(A!, seeded('the peer'))],
          [partyIndex(2), startSignSecondWith(B!, seeded('a clone'))],
        ]),
        tampers,
      )
    const honest = copy([])
    const signature = honest.results.get(partyIndex(2))!

    // The peer moves psi by ε, and its share along with it: u by r_A·ε, w by (m + r_x·sk_A)·ε.
    const run = signRun(A!, seeded('the peer'))
    const { r_i } = drawNonce(run)
    const { sk_i } = blindKey(run)
    const m = readUint(digest, 0, 32)
    let moves = 0
    const moved = copy([
      {
        from: 1,
        round: 3,
        change: (bytes) => {
          const move = (at: number, by: bigint) => {
            bytes.set(encodeScalar(mod(decodeScalar(bytes.slice(at, at + 32)) + by)), at)
            moves++
          }
          move(flight3.psi, 5n)
          move(flight3.u, 5n * r_i)
          move(flight3.w, 5n * (m + decodeScalar(signature.r) * sk_i))
          return bytes
        },
      },
    ])
    expect(moved.results.get(partyIndex(2))).toEqual(signature)
    const [last, lastOfCopy] = [honest, moved].map(({ sent }) => sent.at(-1)!)
    expect(lastOfCopy!.round).toBe(4)
    expect(lastOfCopy!.bytes).toEqual(last!.bytes)
    expect(moves).toBe(3)
  })
})
