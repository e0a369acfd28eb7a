import { describe, expect, it } from 'vitest'
import { compressions } from '../../bench/cost.js'
import { profileSigning } from '../../bench/profile.js'
import { isFlat } from '../../bench/soak.js'
import { citationIn, stepAt } from '../../bench/steps.js'

describe('the steps that source lines cite', () => {
  it('are read from comments', () => {
    expect(citationIn('  const R_i = mulBase(r_i) // 1.2')).toBe('1.2')
    expect(citationIn('const a = answer(b) // ★ 2.3, 2.5–2.7')).toBe('2.3, 2.5–2.7')
    expect(citationIn('// ★ 2.3  the check, inside; 2.5  (c, d) ← shares')).toBe('2.3, 2.5')
    expect(citationIn(' * Begins it. docs/spec/sign.md, step 1.4')).toBe('1.4')
    expect(citationIn(' * Step H.1.')).toBe('H.1')
    expect(citationIn('const half = 0.5 // of it')).toBeUndefined()
  })

  const source = [
    '/** Does it. docs/spec/vole.md, step 4. */',
    'function send() {',
    '  first() // 4.1',
    '  second(', // 3
    '    one,',
    '  ) // 4.2',
    '  third()', // 6
    '}',
    '/** Helps. docs/spec/vole.md, step 5.3 */',
    'function help() {',
    '  hash()', // 10
    '}',
  ]

  it.each([
    ['of the statement itself', 2, { step: '4.1', ofFunction: false }],
    ['at the end of its statement', 3, { step: '4.2', ofFunction: false }],
    ['above, in the same function', 6, { step: '4.2', ofFunction: false }],
    ['of the function', 10, { step: '5.3', ofFunction: true }],
  ])('are those %s', (_, line, expected) => {
    expect(stepAt(source, line)).toEqual(expected)
  })
})

describe('BLAKE3 compressions', () => {
  it('are counted by block, chunk and output', () => {
    expect(compressions(0, 32)).toBe(1)
    expect(compressions(64, 64)).toBe(1)
    expect(compressions(65, 65)).toBe(3)
    expect(compressions(1024, 32)).toBe(16)
    expect(compressions(2048, 32)).toBe(33)
  })
})

describe('a soak', () => {
  const course = (unit: 'bytes' | 'descriptors', y: (x: number) => number) => ({
    name: 'it',
    unit,
    points: Array.from({ length: 100 }, (_, x) => ({ x, y: y(x) })),
  })

  it('tells a leak from a level that is reached and from noise', () => {
    const MiB = 2 ** 20
    expect(isFlat(course('bytes', (x) => 100 * MiB + x * MiB)).flat).toBe(false)
    expect(isFlat(course('bytes', (x) => Math.min(x, 15) * 10 * MiB)).flat).toBe(true)
    expect(isFlat(course('bytes', (x) => 100 * MiB + (x % 7) * MiB)).flat).toBe(true)
    expect(isFlat(course('descriptors', (x) => 50 + x)).flat).toBe(false)
    expect(isFlat(course('descriptors', (x) => 50 + (x % 3))).flat).toBe(true)
  })
})

describe('the profile', () => {
  it('is made of primitives that the protocol calls', async () => {
    const text = await profileSigning(() => undefined, 2)
    expect(text).toContain('curve.mulBase')
    expect(text).toContain('kernel.hash')
  })
})
