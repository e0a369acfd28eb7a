import { describe, expect, it } from 'vitest'
import { TokenBuckets } from '../../../src/directory/share/bucket.js'

describe('token buckets', () => {
  it('give so many at once, and then so many in a minute, whoever else asks', () => {
    const clock = { at: 0.9 }
    const buckets = new TokenBuckets(120, 3, () => clock.at)
    const taken = (source: string) =>
      Array.from({ length: 5 }, () => buckets.take(source)).filter((each) => each).length
    expect(taken('a')).toBe(3)
    expect(taken('b')).toBe(3)
    clock.at += 499
    expect([taken('a'), buckets.has('a')]).toEqual([0, false])
    clock.at += 1.1
    expect([buckets.has('a'), taken('a')]).toEqual([true, 1])
    // Over a minute of asking far too often, as many as there are in a minute.
    let all = 0
    for (let ms = 0; ms < 60_000; ms++) {
      clock.at += 1
      if (buckets.take('a')) all++
    }
    expect(all).toBe(120)
  })

  it('do not count where there is no limit, and give one at least where there is one', () => {
    const none = new TokenBuckets(0, 0, () => 0)
    for (let i = 0; i < 1_000; i++) expect(none.take('a')).toBe(true)
    const one = new TokenBuckets(1, 0, () => 0)
    expect([one.take('a'), one.take('a')]).toEqual([true, false])
  })

  it('forget of too many sources the one that was silent the longest', () => {
    const buckets = new TokenBuckets(1, 1, () => 0)
    for (const source of ['first', 'second']) buckets.take(source)
    buckets.take('first')
    for (let i = 0; i < 19_999; i++) buckets.take(`source ${i}`)
    expect([buckets.take('first'), buckets.take('second')]).toEqual([false, true])
  })
})
