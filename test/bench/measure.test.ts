import { describe, expect, it } from 'vitest'
import { interleave } from '../../bench/measure.js'

/** Work that takes some CPU. */
function burn(ms: number): void {
  const { user, system } = process.cpuUsage()
  for (;;) {
    const used = process.cpuUsage({ user, system })
    if ((used.user + used.system) / 1000 >= ms) return
  }
}

describe('contenders', () => {
  it('take turns, each with as many samples as it has rounds, prepared anew for each run', async () => {
    const order: string[] = []
    let prepared = 0
    const samples = await interleave(
      [
        {
          name: 'slow',
          rounds: 2,
          run: () => {
            order.push('slow')
            burn(60)
          },
        },
        {
          name: 'quick',
          rounds: 3,
          prepare: () => ++prepared,
          run: (mine) => {
            expect(mine).toBeGreaterThan(0)
            order.push('quick')
            burn(5)
          },
        },
      ],
      10,
      () => undefined,
    )
    expect(samples.get('slow')).toHaveLength(2)
    expect(samples.get('quick')).toHaveLength(3)
    expect(order.filter((name) => name === 'quick')).toHaveLength(prepared)
    // Warming up, two turns of both, one of quick alone.
    const turns = order.join(' ').replace(/quick(?: quick)+/g, 'several')
    expect(turns).toBe('slow several slow several slow several')
    for (const ms of samples.get('slow')!) expect(ms).toBeGreaterThanOrEqual(60)
    for (const ms of samples.get('quick')!) expect(ms).toBeGreaterThanOrEqual(5)
  })
})
