import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { tags } from '../src/tags.js'

const source = join(import.meta.dirname, '../src')
const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter(
  (name) => name.endsWith('.ts') && name !== 'tags.ts',
)

describe('the tags', () => {
  it('are all different, and none begins another', () => {
    const all = Object.values(tags)
    expect(all.length).toBeGreaterThan(20)
    for (const one of all)
      for (const other of all.filter((tag) => tag !== one))
        expect(other.startsWith(`${one}/`)).toBe(false)
    expect(new Set(all).size).toBe(all.length)
  })

  it('are written down nowhere else', () => {
    expect(files.length).toBeGreaterThan(20)
    for (const name of files) {
      const text = readFileSync(join(source, name), 'utf8')
      expect(text, name).not.toMatch(/['"`]vertex\/v\d/)
    }
  })

  it('of OT, multiplication and setup are each used for one thing', () => {
    const uses = (name: string) =>
      files.filter((file) => readFileSync(join(source, file), 'utf8').includes(`tags.${name}`))
        .length
    const ours = Object.keys(tags).filter((name) =>
      /^(setup|baseOt|pprf|ot[A-Z]|vole|zeroShare)/.test(name),
    )
    expect(ours.length).toBe(20)
    for (const name of ours) expect(uses(name), name).toBe(1)
  })
})
