import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { readConfig } from '../../src/config.js'
import { ratesInMemory } from '../../src/rates/index.js'

const { rates: defaults } = readConfig({})

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

const allowed = async (counting: Promise<{ allowed: boolean }>) => (await counting).allowed

describe('rates', () => {
  it('allow so many in a minute, to each for itself, and begin anew after it', async () => {
    const rates = ratesInMemory({ ...defaults, requests: 3 })
    for (const left of [2, 1, 0])
      expect(await rates.count('requests', 'alice')).toMatchObject({ allowed: true, most: 3, left })
    vi.advanceTimersByTime(20_000)
    expect(await rates.count('requests', 'alice')).toEqual({
      allowed: false,
      most: 3,
      left: 0,
      ms: 40_000,
    })
    expect(await allowed(rates.count('requests', 'bob'))).toBe(true)
    expect(await allowed(rates.count('imports', 'alice'))).toBe(true)
    vi.advanceTimersByTime(39_999)
    expect(await allowed(rates.count('requests', 'alice'))).toBe(false)
    vi.advanceTimersByTime(1)
    expect(await rates.count('requests', 'alice')).toMatchObject({ allowed: true, left: 2 })
  })

  it('do not count what they refuse, so that less of it may still be asked for', async () => {
    const rates = ratesInMemory({ ...defaults, signatures: 40 })
    expect(await rates.count('signatures', 'key', 32)).toMatchObject({ allowed: true, left: 8 })
    expect(await rates.count('signatures', 'key', 9)).toMatchObject({ allowed: false, left: 8 })
    expect(await rates.count('signatures', 'key', 8)).toMatchObject({ allowed: true, left: 0 })
    expect(await rates.count('signatures', 'key')).toMatchObject({ allowed: false, left: 0 })
  })

  it('tell nobody to wait longer than a minute when the clock was put back', async () => {
    const rates = ratesInMemory({ ...defaults, requests: 1 })
    await rates.count('requests', 'alice')
    vi.setSystemTime(Date.now() - 86_400_000)
    expect(await rates.count('requests', 'alice')).toMatchObject({ allowed: false, ms: 60_000 })
    vi.advanceTimersByTime(60_000)
    expect(await allowed(rates.count('requests', 'alice'))).toBe(true)
  })

  it('remember only so many, and let go of the one first seen longest ago', async () => {
    const rates = ratesInMemory({ ...defaults, exports: 1 }, 3)
    for (const who of ['a', 'b', 'c']) expect(await allowed(rates.count('exports', who))).toBe(true)
    for (const who of ['a', 'b', 'c'])
      expect(await allowed(rates.count('exports', who))).toBe(false)
    for (let i = 0; i < 1000; i++) await rates.count('exports', `another ${i}`)
    // What is remembered has a timer each, and nothing else here has one.
    expect(vi.getTimerCount()).toBe(3)
    expect(await allowed(rates.count('exports', 'a'))).toBe(true)
    expect(await allowed(rates.count('exports', 'another 999'))).toBe(false)
  })
})
