import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { scenarios } from '../../lab/scenarios/index.js'
import type { Report } from '../../lab/report.js'
import { buildOnce } from '../support/server.js'

const root = join(import.meta.dirname, '../..')

const program = join(root, 'dist-tools/lab/main.js')

function lab(...words: string[]) {
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

  it('reports what was run when it is interrupted, and takes everything with it', async () => {
    const place = mkdtempSync(join(tmpdir(), 'vertex-interrupted-'))
    const words = ['--scenario', 'kill-random', '--engine', 'sqlite', '--json']
    const child = spawn(process.execPath, [program, ...words], {
      env: { ...process.env, TMPDIR: place },
    })
    const closed = once(child, 'close')
    let said = ''
    let progress = ''
    child.stdout.on('data', (bytes: Buffer) => (said += bytes.toString()))
    child.stderr.on('data', (bytes: Buffer) => {
      progress += bytes.toString()
      if (progress.includes('run 2 of 25')) child.kill('SIGINT')
    })
    expect([await closed, progress]).toEqual([[130, null], progress])
    const report = JSON.parse(said) as Report
    expect(report.rows).toMatchObject([{ scenario: 'kill-random', runs: 1, lost: 0, wrong: 0 }])
    expect(report.unfinished).toEqual([{ scenario: 'kill-random on sqlite', runs: 1, planned: 25 }])
    expect(readdirSync(place)).toEqual([])
    rmSync(place, { recursive: true })
  }, 300_000)

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
