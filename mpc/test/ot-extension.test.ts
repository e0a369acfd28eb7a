import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { referenceKernel as kernel } from '../src/kernel/reference.js'
import {
  OtCheckFailed,
  addDelta,
  extendReceiver,
  extendSender,
  extensionBytes,
} from '../src/ot/extension.js'
import { systemRng } from '../src/rng.js'
import { cheatingReceiver } from './support/cheat-ot.js'
import { TREES, bit, ends, missingLeaf, puncture } from './support/ot.js'

const sid = systemRng(32)
const WIDE = 52
const NARROW = 16

function deal(choiceBytes: number, delta = systemRng(16)) {
  const leaves = systemRng(TREES * 4 * 32)
  const choice = systemRng(choiceBytes)
  return { leaves, delta, choice, punctured: puncture(leaves, delta) }
}

/** Sets the two bits of Δ that belong to tree g. */
function setLeaf(delta: Uint8Array, g: number, leaf: number): void {
  for (const b of [0, 1]) {
    const at = 2 * g + b
    delta[at >> 3]! &= ~(1 << (at & 7))
    delta[at >> 3]! |= ((leaf >> b) & 1) << (at & 7)
  }
}

const at = (columns: Uint8Array, j: number) => columns.subarray(16 * j, 16 * j + 16)

describe('the OT extension', () => {
  it.each([WIDE, NARROW])(
    'satisfies w_j = v_j + choice_j·Δ for every j, %i bytes of choice',
    (n) => {
      fc.assert(
        fc.property(fc.uint8Array({ minLength: n, maxLength: n }), (choice) => {
          const { leaves, delta, punctured } = deal(n)
          const { message, v } = extendReceiver(kernel, sid, leaves, choice, systemRng(16))
          expect(message.length).toBe(extensionBytes(n))
          const w = extendSender(kernel, sid, punctured, delta, n, message)
          const other = addDelta(w, delta)
          for (let j = 0; j < 8 * n; j++)
            expect(at(v, j)).toEqual(at(bit(choice, j) === 1 ? other : w, j))
        }),
        { numRuns: 4, examples: [[new Uint8Array(n)], [new Uint8Array(n).fill(255)]] },
      )
    },
  )

  it('has 6416 bytes for 416 choice bits', () => {
    expect(extensionBytes(WIDE)).toBe(6416)
  })

  it('gives other columns in another session', () => {
    const { leaves, choice } = deal(WIDE)
    const mask = systemRng(16)
    const one = extendReceiver(kernel, sid, leaves, choice, mask)
    const two = extendReceiver(kernel, systemRng(32), leaves, choice, mask)
    for (const j of ends(416)) expect(at(one.v, j)).not.toEqual(at(two.v, j))
  })

  // u of the first, a middle and the last tree, at its first, a middle, its last choice byte and in the mask
  const uPlaces = ends(TREES).flatMap((g) => [...ends(WIDE), 67].map((b) => g * 68 + b))
  const tPlaces = ends(128).flatMap((row) => ends(16).map((b) => TREES * 68 + 16 + 16 * row + b))
  it.each([...uPlaces, ...tPlaces])('3.2.6 refuses a message changed at byte %i', (place) => {
    const { leaves, delta, choice, punctured } = deal(WIDE)
    const { message } = extendReceiver(kernel, sid, leaves, choice, systemRng(16))
    message[place]! ^= 1
    expect(() => extendSender(kernel, sid, punctured, delta, WIDE, message)).toThrow(OtCheckFailed)
  })

  it.each(ends(16))('3.2.6 refuses another sum of the choice bits, byte %i', (byte) => {
    const { leaves, delta, choice, punctured } = deal(WIDE)
    const { message } = extendReceiver(kernel, sid, leaves, choice, systemRng(16))
    message[TREES * 68 + byte]! ^= 0x10
    expect(() => extendSender(kernel, sid, punctured, delta, WIDE, message)).toThrow(OtCheckFailed)
  })

  it.each(ends(TREES).flatMap((g) => ends(544).map((e) => [g, e] as const)))(
    '3.2.6 refuses other choice bits in tree %i, bit %i, exactly when Δ of that tree is not 0',
    (g, errorBit) => {
      const error = new Uint8Array(68)
      error[errorBit >> 3] = 1 << (errorBit & 7)
      for (const leaf of [0, 1, 2, 3]) {
        const delta = systemRng(16)
        setLeaf(delta, g, leaf)
        const { leaves, choice, punctured } = deal(WIDE, delta)
        const message = cheatingReceiver(sid, leaves, choice, systemRng(16), g, error)
        const receive = () => extendSender(kernel, sid, punctured, delta, WIDE, message)
        if (leaf === 0) expect(receive).not.toThrow()
        else expect(receive).toThrow(OtCheckFailed)
      }
    },
  )

  it('3.2.6 refuses leaves that are not the receiver’s', () => {
    const { leaves, delta, choice, punctured } = deal(NARROW)
    const { message } = extendReceiver(kernel, sid, leaves, choice, systemRng(16))
    for (const g of ends(TREES)) {
      const wrong = punctured.slice()
      wrong[(4 * g + (missingLeaf(delta, g) ^ 3)) * 32]! ^= 1
      expect(() => extendSender(kernel, sid, wrong, delta, NARROW, message)).toThrow(OtCheckFailed)
    }
  })

  it('draws its challenge from u and the session: the same answer under another session fails', () => {
    const { leaves, delta, choice, punctured } = deal(NARROW)
    const { message } = extendReceiver(kernel, sid, leaves, choice, systemRng(16))
    expect(() => extendSender(kernel, systemRng(32), punctured, delta, NARROW, message)).toThrow(
      OtCheckFailed,
    )
  })

  it('refuses lengths that are none of its own', () => {
    const { leaves, delta, choice, punctured } = deal(NARROW)
    const { message } = extendReceiver(kernel, sid, leaves, choice, systemRng(16))
    const short = message.subarray(1)
    expect(() => extendSender(kernel, sid, punctured, delta, NARROW, short)).toThrow(RangeError)
    expect(() => extendSender(kernel, sid, punctured, delta, WIDE, message)).toThrow(RangeError)
    expect(() => extendReceiver(kernel, sid, leaves.subarray(1), choice, systemRng(16))).toThrow(
      RangeError,
    )
    expect(() => extendReceiver(kernel, sid, leaves, choice, systemRng(15))).toThrow(RangeError)
  })
})
