import { describe, expect, it } from 'vitest'
import { partyIndex } from '@vertex/mpc'
import { Hedge } from '../src/hedge.js'
import { keyedBlake3 } from '../src/transcript.js'
import { seeded } from './support/seeded.js'

const bytes = (value: number) => new Uint8Array(32).fill(value)

interface Parts {
  readonly source?: string
  readonly secret?: Uint8Array
  readonly context?: readonly Uint8Array[]
}

/** A hedge whose random source is always the same, unless told otherwise. */
const hedge = ({ source = 'a clone', secret = bytes(1), context = [bytes(2)] }: Parts = {}) =>
  new Hedge(seeded(source), keyedBlake3, secret, ...context)

const draw = (h: Hedge) => h.stream('nonce')(32)

describe('hedged randomness', () => {
  it('repeats when every part of it repeats', () => {
    expect(draw(hedge())).toEqual(draw(hedge()))
  })

  it.each([
    ['random source', { source: 'another' }],
    ['secret', { secret: bytes(3) }],
    ['context', { context: [bytes(3)] }],
    ['number of items of context', { context: [bytes(2), bytes(2)] }],
  ])('is other randomness with another %s alone', (_, parts: Parts) => {
    expect(draw(hedge(parts))).not.toEqual(draw(hedge()))
  })

  it('is other randomness after a message, for each message, and goes on from what was before', () => {
    const after = (parts: Parts, ...received: Uint8Array[]) => {
      const h = hedge(parts)
      h.absorb(...received)
      return Buffer.from(draw(h)).toString('hex')
    }
    const all = [
      Buffer.from(draw(hedge())).toString('hex'),
      after({}),
      after({}, bytes(4)),
      after({}, bytes(5)),
      after({}, bytes(4), bytes(5)),
      after({}, bytes(5), bytes(4)),
      after({ secret: bytes(3) }, bytes(4)),
      after({ context: [bytes(3)] }, bytes(4)),
    ]
    expect(new Set(all).size).toBe(all.length)
    expect(after({}, bytes(4))).toBe(all[2])
  })

  it('takes fresh bytes from the source with each message', () => {
    let fresh = 0
    const source = (first: number) => (length: number) =>
      new Uint8Array(length).fill(fresh++ === 0 ? 0 : first)
    const after = (later: number) => {
      fresh = 0
      const h = new Hedge(source(later), keyedBlake3, bytes(1))
      h.absorb(bytes(4))
      return draw(h)
    }
    expect(after(1)).toEqual(after(1))
    expect(after(1)).not.toEqual(after(2))
  })

  it('has a stream of its own for each purpose and peer, and each stream once', () => {
    const h = hedge()
    const streams = [
      h.stream('a'),
      h.stream('b'),
      h.stream('a', partyIndex(1)),
      h.stream('a', partyIndex(2)),
    ]
    const drawn = streams.flatMap((stream) => [stream(32), stream(32)])
    expect(new Set(drawn.map((one) => one.join())).size).toBe(8)
    expect(() => h.stream('a')).toThrow('drawn already')
    expect(() => h.stream('a', partyIndex(2))).toThrow('drawn already')
  })

  it('refuses a source that gives too little', () => {
    expect(() => new Hedge(() => new Uint8Array(31), keyedBlake3, bytes(1))).toThrow('too few')
  })
})
