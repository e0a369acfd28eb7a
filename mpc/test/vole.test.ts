import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ProtocolAbort, type AbortCode } from '@vertex/mpc'
import { nativeSuite } from '@vertex/mpc/native'
import { ORDER, encodeScalar, mod } from '../src/math/scalar.js'
import { systemRng, type Rng } from '../src/rng.js'
import type { PairSetup } from '../src/setup/pair-setup.js'
import {
  VOLE_ANSWER_BYTES,
  VOLE_MESSAGE_BYTES,
  voleReceive,
  voleSend,
  type VoleContext,
} from '../src/vole/index.js'
import { cheatingReceiver } from './support/cheat-ot.js'
import { cheatingSender, directionOf, tooLarge } from './support/cheat-vole.js'
import { bit, changedSetup, dealtSetups, ends, missingLeaf } from './support/ot.js'
import { seeded } from './support/seeded.js'

const suite = nativeSuite()
const [one, two] = dealtSetups(systemRng)
const scalars = fc.bigInt({ min: 0n, max: ORDER - 1n })

const context = (
  setup: PairSetup,
  sid: Uint8Array,
  round = 2,
  rng: Rng = systemRng,
): VoleContext => ({
  suite,
  sid,
  setup,
  rng,
  round,
})

/** Both sides up to the answer. */
function start(receiver: PairSetup, sender: PairSetup, a: readonly [bigint, bigint] = [3n, 5n]) {
  const sid = systemRng(32)
  const r = voleReceive(context(receiver, sid))
  const { answer, c } = voleSend(context(sender, sid), r.message, a)
  return { sid, r, answer, c }
}

function expectAbort(run: () => unknown, code: AbortCode, culprit: number, round = 2): void {
  let thrown: unknown
  try {
    run()
  } catch (e) {
    thrown = e
  }
  expect(thrown).toBeInstanceOf(ProtocolAbort)
  const reaction = code === 'message_invalid' ? 'stop' : 'retire_setup'
  expect(thrown).toMatchObject({ code, round, culprits: [culprit], reaction })
}

describe('the multiplication', () => {
  it('shares a_u·χ and a_v·χ, in both directions', () => {
    fc.assert(
      fc.property(scalars, scalars, fc.boolean(), (a_u, a_v, forward) => {
        const [receiver, sender] = forward ? [one, two] : [two, one]
        const { r, answer, c } = start(receiver, sender, [a_u, a_v])
        const d = r.finish(answer)
        expect(mod(c[0] + d[0])).toBe(mod(a_u * r.chi))
        expect(mod(c[1] + d[1])).toBe(mod(a_v * r.chi))
      }),
      {
        numRuns: 12,
        examples: [
          [0n, 0n, true],
          [ORDER - 1n, 1n, false],
        ],
      },
    )
  })

  it('shares them for choice bits that are all 0 and all 1, too', () => {
    for (const fill of [0, 255]) {
      const sid = systemRng(32)
      const r = voleReceive(context(one, sid, 2, (length) => new Uint8Array(length).fill(fill)))
      const { answer, c } = voleSend(context(two, sid), r.message, [7n, 9n])
      const d = r.finish(answer)
      if (fill === 0) expect(r.chi).toBe(0n)
      else expect(r.chi).not.toBe(0n)
      expect(mod(c[0] + d[0])).toBe(mod(7n * r.chi))
      expect(mod(c[1] + d[1])).toBe(mod(9n * r.chi))
    }
  })

  it('has messages of 6416 and 40000 bytes', () => {
    const { r, answer } = start(one, two)
    expect([VOLE_MESSAGE_BYTES, VOLE_ANSWER_BYTES]).toEqual([6416, 40000])
    expect([r.message.length, answer.length]).toEqual([6416, 40000])
  })

  it('repeats itself for the same session and source, and for no other session', () => {
    const run = (sid: Uint8Array) => {
      const r = voleReceive(context(one, sid, 2, seeded('receiver')))
      return { r, s: voleSend(context(two, sid, 2, seeded('sender')), r.message, [3n, 5n]) }
    }
    const [sid, other] = [systemRng(32), systemRng(32)]
    expect(run(sid).s).toEqual(run(sid).s)
    expect(run(sid).r.message).not.toEqual(run(other).r.message)
    expect(run(sid).s.c).not.toEqual(run(other).s.c)
  })

  it('draws the choice bits, then the mask of the check, and uses both', () => {
    const sid = systemRng(32)
    const drawn: number[] = []
    const message = (beta: number, mask: number) => {
      const rng = (length: number) => {
        drawn.push(length)
        return new Uint8Array(length).fill(length === 16 ? mask : beta)
      }
      return voleReceive(context(one, sid, 2, rng)).message
    }
    const [u, xHat] = [64 * 68, 64 * 68 + 16]
    const first = message(3, 5)
    expect(drawn).toEqual([52, 16])
    expect(message(3, 5)).toEqual(first)
    // Without a mask x̂ would be a sum of choice bits that the challenge, known to the sender, picks.
    expect(message(3, 6).subarray(u, xHat)).not.toEqual(first.subarray(u, xHat))
    expect(message(4, 5).subarray(u, xHat)).not.toEqual(first.subarray(u, xHat))
    expect(message(3, 0).subarray(u, xHat)).not.toEqual(first.subarray(u, xHat))
  })

  it('draws â, without which η would give the inputs away', () => {
    const sid = systemRng(32)
    const { message } = voleReceive(context(one, sid))
    const answer = (fill: number) => {
      const rng = (length: number) => new Uint8Array(length).fill(fill)
      return voleSend(context(two, sid, 2, rng), message, [3n, 5n]).answer
    }
    const masked = (bytes: Uint8Array, i: number) => bytes.slice(32 * i, 32 * i + 32)
    const [first, other] = [answer(1), answer(2)]
    expect(answer(1)).toEqual(first)
    const eta = 416 * 3
    expect(masked(first, eta)).not.toEqual(masked(other, eta))
    // In each row the two inputs are masked alike, and â is another.
    for (const j of ends(416)) {
      expect(masked(first, 3 * j)).toEqual(masked(other, 3 * j))
      expect(masked(first, 3 * j + 1)).toEqual(masked(other, 3 * j + 1))
      expect(masked(first, 3 * j + 2)).not.toEqual(masked(other, 3 * j + 2))
    }
  })

  it('has another gadget for each direction', () => {
    const kernel = suite.kernel
    expect(one.gadget(kernel, one.me)).toEqual(two.gadget(kernel, one.me))
    expect(one.gadget(kernel, one.me)).not.toEqual(one.gadget(kernel, two.me))
    expect(one.gadget(kernel, one.me).length).toBe(416 * 32)
  })

  it('is finished once', () => {
    const { r, answer } = start(one, two)
    r.finish(answer)
    expect(() => r.finish(answer)).toThrow('finished already')
  })

  it('is not finished a second time after a failed check', () => {
    const { r, answer } = start(one, two)
    const wrong = answer.slice()
    wrong[wrong.length - 1]! ^= 1
    expect(() => r.finish(wrong)).toThrow(ProtocolAbort)
    expect(() => r.finish(answer)).toThrow('finished already')
  })

  it('refuses a session id that is not 32 bytes', () => {
    for (const length of [0, 31, 33])
      expect(() => voleReceive(context(one, systemRng(length)))).toThrow(RangeError)
  })
})

describe('the sender', () => {
  it.each([0, 1, VOLE_MESSAGE_BYTES - 1, VOLE_MESSAGE_BYTES + 1])(
    '4.1 refuses a message of %i bytes',
    (length) => {
      const run = () => voleSend(context(two, systemRng(32), 7), new Uint8Array(length), [3n, 5n])
      expectAbort(run, 'message_invalid', 1, 7)
    },
  )

  it.each([
    ...ends(64).map((g) => 68 * g),
    64 * 68,
    ...ends(128).map((row) => 64 * 68 + 16 + 16 * row),
  ])('4.2 names the receiver when its OT message is changed at byte %i', (place) => {
    const sid = systemRng(32)
    const { message } = voleReceive(context(one, sid))
    message[place]! ^= 1
    expectAbort(() => voleSend(context(two, sid, 3), message, [3n, 5n]), 'ot_check_failed', 1, 3)
  })

  it.each(ends(64))('4.2 catches a receiver with two sets of choice bits, tree %i', (g) => {
    const sid = systemRng(32)
    const error = new Uint8Array(68).fill(1, 0, 1)
    const direction = directionOf(sid, one, 1, 2)
    const [choice, mask] = [systemRng(52), systemRng(16)]
    const message = cheatingReceiver(direction, one.leaves, choice, mask, g, error)
    const run = () => voleSend(context(two, sid), message, [3n, 5n])
    if (missingLeaf(two.delta, g) === 0) expect(run).not.toThrow()
    else expectAbort(run, 'ot_check_failed', 1)
  })

  it('4.2 refuses a message made for another session, setup or direction', () => {
    const sid = systemRng(32)
    const { message } = voleReceive(context(one, sid))
    const renamed = changedSetup(two, { id: systemRng(32) })
    expectAbort(() => voleSend(context(renamed, sid), message, [3n, 5n]), 'ot_check_failed', 1)
    expectAbort(
      () => voleSend(context(two, systemRng(32)), message, [3n, 5n]),
      'ot_check_failed',
      1,
    )
    expectAbort(() => voleSend(context(one, sid), message, [3n, 5n]), 'ot_check_failed', 2)
  })
})

describe('the receiver', () => {
  it.each([0, VOLE_ANSWER_BYTES - 32, VOLE_ANSWER_BYTES - 1, VOLE_ANSWER_BYTES + 1])(
    '5.1 refuses an answer of %i bytes',
    (length) => {
      const { r } = start(one, two)
      expectAbort(() => r.finish(new Uint8Array(length)), 'message_invalid', 2)
    },
  )

  // 1248 scalars of ã, then η
  it.each([...ends(1248), 1248])('5.2 refuses a number that is not below n at place %i', (k) => {
    const { r, answer } = start(one, two)
    answer.set(tooLarge(), 32 * k)
    expectAbort(() => r.finish(answer), 'message_invalid', 2)
  })

  it.each(ends(416).flatMap((j) => [0, 1, 2].map((i) => [j, i] as const)))(
    '5.5 refuses ã changed on the way: row %i, input %i',
    (j, i) => {
      const { r, answer } = start(one, two)
      answer.set(encodeScalar(12345n), 32 * (3 * j + i))
      expectAbort(() => r.finish(answer), 'vole_check_failed', 2)
    },
  )

  it('5.5 refuses another η', () => {
    const { r, answer } = start(one, two)
    answer.set(encodeScalar(1n), 32 * 1248)
    expectAbort(() => r.finish(answer), 'vole_check_failed', 2)
  })

  it.each(ends(32))('5.5 refuses another μ, byte %i', (k) => {
    const { r, answer } = start(one, two)
    answer[32 * 1249 + k]! ^= 4
    expectAbort(() => r.finish(answer), 'vole_check_failed', 2)
  })

  it.each(ends(416).flatMap((j) => [0, 1, 2].map((i) => [j, i] as const)))(
    '5.5 catches a sender with two inputs exactly where β is 1: row %i, input %i',
    (j, i) => {
      for (const wanted of [0, 1]) {
        const sid = systemRng(32)
        const beta = systemRng(52)
        beta[j >> 3]! &= ~(1 << (j & 7))
        beta[j >> 3]! |= wanted << (j & 7)
        const rng: Rng = (length) => (length === 52 ? beta.slice() : systemRng(length))
        const r = voleReceive(context(one, sid, 2, rng))
        const answer = cheatingSender(two, sid, r.message, j, i, 1n)
        if (bit(beta, j) === 1) expectAbort(() => r.finish(answer), 'vole_check_failed', 2)
        else expect(() => r.finish(answer)).not.toThrow()
      }
    },
  )
})
