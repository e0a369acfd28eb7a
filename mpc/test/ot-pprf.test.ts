import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { referenceKernel as kernel } from '../src/kernel/reference.js'
import { PPRF_MESSAGE_BYTES, PprfCheckFailed, receivePprf, sendPprf } from '../src/ot/pprf.js'
import { systemRng } from '../src/rng.js'
import { TREES, bit, chosenKeys, ends, puncture } from './support/ot.js'

const sid = systemRng(32)
const bits128 = fc.uint8Array({ minLength: 16, maxLength: 16 })
const complement = (bits: Uint8Array) => bits.map((byte) => byte ^ 255)

function deal(delta: Uint8Array) {
  const pairs = systemRng(8192)
  const sent = sendPprf(kernel, sid, pairs)
  return { ...sent, chosen: chosenKeys(pairs, complement(delta)) }
}

/** The four fields of a tree in the message: t_0, t_1, sum of the proofs, digest. */
const field = (g: number, which: number) => 128 * g + 32 * which

describe('the all-but-one OT', () => {
  it('gives the receiver every leaf but one of each tree', () => {
    fc.assert(
      fc.property(bits128, (delta) => {
        const { message, leaves, chosen } = deal(delta)
        expect(message.length).toBe(PPRF_MESSAGE_BYTES)
        expect(receivePprf(kernel, sid, delta, chosen, message)).toEqual(puncture(leaves, delta))
      }),
      { numRuns: 4, examples: [[new Uint8Array(16)], [new Uint8Array(16).fill(255)]] },
    )
  })

  it('leaves no two leaves alike', () => {
    const { leaves } = deal(systemRng(16))
    const all = Array.from({ length: 4 * TREES }, (_, k) =>
      leaves.subarray(32 * k, 32 * k + 32).join(),
    )
    expect(new Set(all).size).toBe(4 * TREES)
  })

  it.each(
    ends(TREES).flatMap((g) => [2, 3].flatMap((w) => ends(32).map((b) => [g, w, b] as const))),
  )('2.2.7 refuses a wrong proof: tree %i, field %i, byte %i', (g, which, byte) => {
    const delta = systemRng(16)
    const { message, chosen } = deal(delta)
    message[field(g, which) + byte]! ^= 1
    expect(() => receivePprf(kernel, sid, delta, chosen, message)).toThrow(PprfCheckFailed)
  })

  it('2.2.7 looks at every tree', () => {
    const delta = systemRng(16)
    const { message, chosen, leaves } = deal(delta)
    const receive = () => receivePprf(kernel, sid, delta, chosen, message)
    for (let g = 0; g < TREES; g++) {
      message[field(g, 3)]! ^= 1
      expect(receive, `tree ${g}`).toThrow(PprfCheckFailed)
      message[field(g, 3)]! ^= 1
    }
    expect(receive()).toEqual(puncture(leaves, delta))
  })

  it.each(ends(TREES).flatMap((g) => [0, 1].map((x) => [g, x] as const)))(
    '2.2.7 refuses a wrong correction exactly where it was used: tree %i, t_%i',
    (g, x) => {
      for (const low of [0, 1]) {
        const delta = systemRng(16)
        delta[(2 * g) >> 3]! &= ~(1 << ((2 * g) & 7))
        delta[(2 * g) >> 3]! |= low << ((2 * g) & 7)
        const { message, leaves, chosen } = deal(delta)
        for (const byte of ends(32)) message[field(g, x) + byte]! ^= 0x80
        const receive = () => receivePprf(kernel, sid, delta, chosen, message)
        // One guess at one bit of Δ is what a cheater gets; it either fails loudly or changes nothing.
        if (x === 1 - bit(delta, 2 * g)) expect(receive).toThrow(PprfCheckFailed)
        else expect(receive()).toEqual(puncture(leaves, delta))
      }
    },
  )

  it('2.2.7 refuses a wrong base OT key in the first, a middle and the last instance', () => {
    for (const i of ends(128)) {
      const delta = systemRng(16)
      const { message, chosen } = deal(delta)
      chosen[32 * i]! ^= 1
      expect(() => receivePprf(kernel, sid, delta, chosen, message)).toThrow(PprfCheckFailed)
    }
  })

  it('2.2.7 refuses trees that are swapped, and those of another session', () => {
    const delta = systemRng(16)
    const { message, chosen } = deal(delta)
    const swapped = message.slice()
    swapped.set(message.subarray(128, 256), 0)
    swapped.set(message.subarray(0, 128), 128)
    expect(() => receivePprf(kernel, sid, delta, chosen, swapped)).toThrow(PprfCheckFailed)
    expect(() => receivePprf(kernel, systemRng(32), delta, chosen, message)).toThrow(
      PprfCheckFailed,
    )
  })
})
