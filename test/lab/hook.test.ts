import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { CONTROL_VARIABLE, statementsFile, writeControl } from '../../lab/control.js'
import { hook, project } from '../../lab/places.js'

const folder = mkdtempSync(join(tmpdir(), 'vertex-hook-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** As a server does: one connection, units that wait for it in turn, and something that is done again and again. */
const program = `
import Database from 'better-sqlite3'
const db = new Database(':memory:')
let tail = Promise.resolve()
const unit = (sql) => (tail = tail.then(() => db.prepare(sql).get()))
await unit("SELECT 'asked for'")
let rounds = 0
await new Promise((resolve) => {
  const timer = setInterval(async () => {
    await unit("SELECT 'by itself'")
    await unit("SELECT 'and again'")
    if (++rounds === 3) resolve(clearInterval(timer))
  }, 5)
  // Waits in the same queue as what comes by itself.
  void unit("SELECT 'asked meanwhile'")
})
await unit("SELECT 'asked at last'")
`

it('counts what was asked for, and not what a server does by itself', () => {
  const control = join(folder, 'control.json')
  writeControl(control, { id: 7 })
  const { status, stderr } = spawnSync(
    process.execPath,
    [`--import=${hook}`, '--input-type=module', '--eval', program],
    { cwd: project, env: { [CONTROL_VARIABLE]: control }, encoding: 'utf8' },
  )
  expect([status, stderr]).toEqual([0, ''])
  expect(readFileSync(statementsFile(control), 'utf8').trimEnd().split('\n')).toEqual([
    "7 1 SELECT 'asked for'",
    "7 2 SELECT 'asked meanwhile'",
    "7 3 SELECT 'asked at last'",
  ])
})
