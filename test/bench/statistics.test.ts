import { describe, expect, it } from 'vitest'
import { median, quantile, round, slope } from '../../bench/statistics.js'

describe('statistics', () => {
  it('takes the middle sample, or the mean of the two in the middle', () => {
    expect(median([9, 1, 5])).toBe(5)
    expect(median([4, 1, 3, 2])).toBe(2.5)
    expect(() => median([])).toThrow(RangeError)
  })

  it('takes the sample below which so many lie', () => {
    const hundred = Array.from({ length: 100 }, (_, i) => i)
    expect(quantile(hundred, 0.99)).toBe(99)
    expect(quantile(hundred, 0)).toBe(0)
    expect(quantile([7], 0.99)).toBe(7)
    expect(() => quantile([], 0.5)).toThrow(RangeError)
  })

  it('finds the slope of a line that one wild sample is not on', () => {
    const points = Array.from({ length: 20 }, (_, x) => ({ x, y: 3 * x + 1 }))
    points[7] = { x: 7, y: 10_000 }
    expect(slope(points)).toBe(3)
    expect(() => slope([{ x: 1, y: 1 }])).toThrow(RangeError)
  })

  it('rounds measurements and leaves counts alone', () => {
    expect(round(12.34567)).toBe(12.35)
    expect(round(93_352)).toBe(93_352)
  })
})
