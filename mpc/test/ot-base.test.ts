import { utf8ToBytes } from '@noble/hashes/utils.js'
import { describe, expect, it } from 'vitest'
import { nativeSuite } from '@vertex/mpc/native'
import { concatBytes, u8 } from '../src/bytes.js'
import { InvalidPoint, type Curve } from '../src/curve/curve.js'
import { nobleCurve } from '../src/curve/noble.js'
import {
  BASE_OT_RECEIVER_BYTES,
  BASE_OT_SENDER_BYTES,
  BaseOtSender,
  receiveBaseOt,
} from '../src/ot/base.js'
import { portableSuite } from '../src/portable-suite.js'
import { systemRng } from '../src/rng.js'
import type { Suite } from '../src/suite.js'
import { tags } from '../src/tags.js'
import { chosenKeys, ends } from './support/ot.js'
import { offCurve } from './support/change.js'

const suite = nativeSuite()
const noble: Suite = { ...suite, curve: nobleCurve }
const portable = portableSuite()
const sid = systemRng(32)

function run(sender: Suite, receiver: Suite, choice: Uint8Array) {
  const S = new BaseOtSender(sender, sid, systemRng)
  const R = receiveBaseOt(receiver, sid, choice, S.message, systemRng)
  return { pairs: S.finish(R.message), keys: R.keys, sent: S.message, answered: R.message }
}

/** A sender that has spoken, and an honest answer to it. */
function waiting() {
  const sender = new BaseOtSender(suite, sid, systemRng)
  const { message } = receiveBaseOt(suite, sid, systemRng(16), sender.message, systemRng)
  return { sender, message }
}

describe('the base OT', () => {
  it('gives the receiver the key it chose and the other key to the sender alone', () => {
    for (const choice of [systemRng(16), new Uint8Array(16), new Uint8Array(16).fill(255)]) {
      const { pairs, keys, sent, answered } = run(suite, suite, choice)
      expect(keys).toEqual(chosenKeys(pairs, choice))
      const others = chosenKeys(
        pairs,
        choice.map((byte) => byte ^ 255),
      )
      for (let i = 0; i < 128; i++)
        expect(others.subarray(32 * i, 32 * i + 32)).not.toEqual(keys.subarray(32 * i, 32 * i + 32))
      expect(sent.length).toBe(BASE_OT_SENDER_BYTES)
      expect(answered.length).toBe(BASE_OT_RECEIVER_BYTES)
      const all = Array.from({ length: 256 }, (_, k) => pairs.subarray(32 * k, 32 * k + 32).join())
      expect(new Set(all).size).toBe(256)
    }
  })

  it('works between the curve backends', () => {
    const choice = systemRng(16)
    for (const [S, R] of [
      [noble, portable],
      [portable, suite],
      [suite, noble],
    ] as const) {
      const { pairs, keys } = run(S, R, choice)
      expect(keys).toEqual(chosenKeys(pairs, choice))
    }
  })

  it('gives unrelated keys in another session', () => {
    const choice = systemRng(16)
    const S = new BaseOtSender(suite, sid, systemRng)
    const R = receiveBaseOt(suite, systemRng(32), choice, S.message, systemRng)
    const chosen = chosenKeys(S.finish(R.message), choice)
    for (let at = 0; at < chosen.length; at += 32)
      expect(chosen.subarray(at, at + 32)).not.toEqual(R.keys.subarray(at, at + 32))
  })

  it('asks the curve for the same in the same order, whatever the choice', () => {
    const { curve } = suite
    const observed = (choice: Uint8Array) => {
      const calls: string[] = []
      const sizes = (values: readonly unknown[]) =>
        values.map((value) => (Array.isArray(value) ? value.length : typeof value)).join(' ')
      const spy = Object.fromEntries(
        Object.entries(curve).map(([name, value]: [string, unknown]) => [
          name,
          typeof value !== 'function'
            ? value
            : (...given: unknown[]): unknown => {
                calls.push(`${name} ${sizes(given)}`)
                return Reflect.apply(value, curve, given)
              },
        ]),
      ) as unknown as Curve
      const S = new BaseOtSender(suite, sid, systemRng)
      receiveBaseOt({ ...suite, curve: spy }, sid, choice, S.message, systemRng)
      return calls
    }
    const zeros = observed(new Uint8Array(16))
    expect(zeros).toContain('hashManyToCurve 128 object')
    expect(observed(new Uint8Array(16).fill(255))).toEqual(zeros)
    expect(observed(systemRng(16))).toEqual(zeros)
  })

  it('serves one batch only', () => {
    const { sender, message } = waiting()
    sender.finish(message)
    expect(() => sender.finish(message)).toThrow('used already')
  })

  it('1.2.1 refuses a sender point off the curve', () => {
    const bad = [offCurve, new Uint8Array(33), new Uint8Array(32), new Uint8Array(0)]
    for (const A of bad)
      expect(() => receiveBaseOt(suite, sid, new Uint8Array(16), A, systemRng)).toThrow(
        InvalidPoint,
      )
  })

  it.each(ends(256))('1.3.1 refuses a malformed point at place %i', (k) => {
    const { sender, message } = waiting()
    message.set(offCurve, 33 * k)
    expect(() => sender.finish(message)).toThrow('no point')
  })

  it('1.3.1 refuses an answer of another length', () => {
    for (const change of [-1, 1, -66, 66]) {
      const { sender, message } = waiting()
      const other = new Uint8Array(message.length + change)
      other.set(message.subarray(0, other.length))
      expect(() => sender.finish(other)).toThrow('wrong length')
    }
  })

  it.each(ends(128).flatMap((i) => [0, 1].map((x) => [i, x] as const)))(
    '1.3.2 refuses a point of instance %i, branch %i, that its hash cancels',
    (i, x) => {
      const { sender, message } = waiting()
      const other = message.subarray(33 * (2 * i + 1 - x), 33 * (2 * i + 2 - x))
      const H = suite.curve.hashToCurve(
        concatBytes(sid, u8(i), u8(x), other),
        utf8ToBytes(tags.baseOtPoint),
      )
      message.set(suite.curve.encode(suite.curve.negate(H)), 33 * (2 * i + x))
      expect(() => sender.finish(message)).toThrow('identity')
    },
  )
})
