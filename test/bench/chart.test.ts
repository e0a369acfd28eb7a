import { describe, expect, it } from 'vitest'
import { chart } from '../../bench/chart.js'
import { makeReport } from '../../bench/report.js'
import { Samples } from '../../bench/samples.js'
import { numbers, withNumbers } from '../../bench/write.js'

const samples = new Samples()
samples.add('sign_2of2_cpu_ms', 3)
samples.add('sign_2of2/dkls_wasm_ll_cpu_ms', 75)
samples.add('sign_2of2_bytes', 93_352)
const report = makeReport(
  {
    cpu: 'A & B <C>',
    cores: 2,
    memory_gib: 4,
    node: 'v20.0.0',
    arch: 'x64',
    date: '2026-01-01',
    curve: 'libsecp256k1',
    kernel: 'wasm',
    portable_curve: 'wasm',
    rivals: { 'a-rival': '1.2.3' },
  },
  samples,
)

describe('the picture of the comparison', () => {
  const widths = (svg: string) =>
    [...svg.matchAll(/<rect class="(\w)"[^>]* width="([\d.]+)"/g)].map(([, of, width]) => ({
      of,
      width: Number(width),
    }))

  it('draws bars in proportion, ours marked', () => {
    const [ours, theirs] = widths(chart(report))
    expect([ours!.of, theirs!.of]).toEqual(['o', 't'])
    expect(theirs!.width / ours!.width).toBeCloseTo(25, 0)
  })

  it('leaves out what was not measured', () => {
    const svg = chart(report)
    expect(widths(svg)).toHaveLength(2)
    expect(svg).not.toContain('Postgres')
  })

  it('says in words what it shows, and is well-formed whatever the CPU is called', () => {
    const svg = chart(report)
    expect(svg).toContain('Vertex 3 ms, dkls-wasm-ll 75 ms')
    expect(svg).toContain('A &amp; B &lt;C&gt;')
  })
})

describe('the numbers in the docs', () => {
  it('show a ratio as a fraction where its target is one', () => {
    const block = numbers(report)
    expect(block).toContain('| ≤ 1/24 | 1/25.0 | 1/25 | 1/25 | met |')
    expect(block).toContain('| not measured | – | – | – |')
    expect(block).toContain('a-rival 1.2.3')
  })

  it('take the place of the old ones and leave the rest of the page', () => {
    const page =
      'before\n<!-- numbers: npm run bench -- --rivals --write -->\nold\n<!-- end of numbers -->\nafter\n'
    const once = withNumbers(page, 'new')
    expect(once).toMatch(/^before\n<!--.*-->\n\nnew\n\n<!-- end of numbers -->\nafter\n$/)
    expect(withNumbers(once, 'new')).toBe(once)
    expect(() => withNumbers('no block', 'new')).toThrow('no block')
  })
})
