import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { tags } from '../src/tags.js'

const read = (path: string) => readFileSync(new URL(path, import.meta.url), 'utf8')
const cheating = ['./checks-keygen.test.ts', './checks-sign.test.ts']

/** Test names as they stand in a file, with … for what is filled in. */
function testNames(source: string): string[] {
  return [...source.matchAll(/\bit\(\s*(['`])(.*?)\1,\s*\(\)/gs)].map(([, , name]) =>
    name!.replaceAll(/\$\{.*?\}/g, '…'),
  )
}

/** The last cell of every row that has a test. */
const table = read('../../docs/spec/checks.md')
const named = table
  .split('\n')
  .filter((line) => line.startsWith('| '))
  .flatMap((line) => line.split('|').at(-2)!.split(';'))
  .map((name) => name.trim())

describe('the table of checks', () => {
  const names = cheating.flatMap((path) => testNames(read(path)))

  it('is read', () => {
    expect(names.length).toBeGreaterThan(40)
    expect(named.length).toBeGreaterThan(40)
  })

  it('names every test in which a party cheats', () => {
    const forgotten = names.filter((name) => !named.includes(name))
    expect(forgotten).toEqual(['get a consistent polynomial as far as the comparison of views'])
  })

  it('names only tests that exist', () => {
    const all = [...names, ...testNames(read('./derive.test.ts'))]
    const starting = named.filter((name) => name.startsWith('ends') || name.startsWith('refuses'))
    expect(starting.length).toBeGreaterThan(35)
    expect(starting.filter((name) => !all.includes(name))).toEqual([])
  })

  it('has a row for every check that the specs mark', () => {
    for (const [spec, title] of [
      ['keygen', 'Keygen'],
      ['sign', 'Signing'],
      ['derive', 'Derivation'],
    ] as const) {
      const steps = read(`../../docs/spec/${spec}.md`)
        .split('\n')
        .filter((line) => line.startsWith('- ') && line.includes('★'))
        .map((line) => /^- (\d+(?:\.\d+)?) /.exec(line)?.[1])
      expect(steps.length).toBeGreaterThan(2)
      const section = table.slice(table.indexOf(`\n## ${title}\n`)).split('\n## ')[1]!
      for (const step of steps)
        expect(section, `${spec}.md, step ${step}`).toMatch(new RegExp(`^\\| ${step} `, 'm'))
    }
  })
})

describe('the registry of tags', () => {
  it('gives every purpose a tag of its own', () => {
    const all = Object.values(tags)
    expect(new Set(all).size).toBe(all.length)
    // No tag is another's beginning, so none can pass for a longer one.
    for (const tag of all)
      expect(all.filter((other) => other !== tag && other.startsWith(tag))).toEqual([])
  })

  it('is of the product and versioned throughout', () => {
    for (const tag of Object.values(tags)) expect(tag).toMatch(/^vertex\/v1\/[a-zA-Z0-9_:/-]+$/)
  })
})
