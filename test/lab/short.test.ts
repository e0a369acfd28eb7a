import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { scenarios } from '../../lab/scenarios/index.js'
import type { Report } from '../../lab/report.js'
import { buildOnce } from '../support/server.js'

const root = join(import.meta.dirname, '../..')

function lab(...words: string[]) {
  const program = join(root, 'dist-tools/lab/main.js')
  return spawnSync(process.execPath, [program, ...words], { encoding: 'utf8' })
}

describe('the laboratory', () => {
  beforeAll(() => buildOnce('tools'), 300_000)

  it('loses nothing in its short form, and tells what it left out', { timeout: 300_000 }, () => {
    const { status, stdout, stderr } = lab('--short', '--json')
    const report = JSON.parse(stdout) as Report
    expect(report.failures, stderr).toEqual([])
    expect(status).toBe(0)
    expect(report.rows.length).toBeGreaterThan(0)
    for (const { runs, lost, wrong } of report.rows)
      expect([runs > 0, lost, wrong]).toEqual([true, 0, 0])
    expect(report.rows.reduce((sum, { acknowledged }) => sum + acknowledged, 0)).toBeGreaterThan(0)
    for (const { scenario, why } of report.skipped) console.warn(`SKIPPED ${scenario}: ${why}`)
  })

  it('describes every scenario in its help and in its guide, and refuses what it does not know', () => {
    const guide = readFileSync(join(root, 'docs/operations/laboratory.md'), 'utf8')
    const { status, stdout } = lab('--help')
    expect(status).toBe(0)
    for (const { name } of scenarios) {
      expect(stdout).toContain(`  ${name} `)
      expect(guide).toContain(`| \`${name}\``)
    }
    for (const wrong of [
      ['--scenario', 'rain'],
      ['--engine', 'x'],
      ['--seed', '-1'],
      ['--x'],
      ['y'],
    ])
      expect([lab(...wrong).status, wrong]).toEqual([2, wrong])
  })
})
