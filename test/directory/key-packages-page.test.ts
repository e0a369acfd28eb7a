import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import BetterSqlite3 from 'better-sqlite3'
import { afterAll, expect, it, vi } from 'vitest'
import { buildOnce, freePort } from '../support/server.js'

vi.setConfig({ testTimeout: 120_000 })

const root = join(import.meta.dirname, '../..')
const page = readFileSync(join(root, 'docs/directory/key-packages.md'), 'utf8')
const folder = mkdtempSync(join(tmpdir(), 'vertex-key-packages-page-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const block = (name: string) => {
  const found = new RegExp(`<!-- ${name} -->\\n+\`\`\`\\w+\\n([^]*?)\`\`\``).exec(page)
  expect(found, name).not.toBeNull()
  return found![1]!
}

it('has commands that work when pasted', async () => {
  await buildOnce()
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  const port = String(await freePort())
  // One shell for all of it, as a person would have; the port is another, since somebody may have this one.
  const script = [
    `vertex() { exec '${process.execPath}' '${join(root, 'dist/cli/main.js')}' "$@" > log; }`,
    "trap 'kill $!' EXIT",
    ...['serve', 'publish', 'fetch', 'check'].flatMap((name) => [
      `echo; echo '== ${name}'`,
      block(`pasted: ${name}`).replaceAll('18080', port),
    ]),
  ]
  const said = execFileSync('bash', ['-eo', 'pipefail', '-c', script.join('\n')], {
    cwd: folder,
    encoding: 'utf8',
    env: { PATH: process.env['PATH'] ?? '' },
  })
  const [, , publish, fetched, check] = said.split(/== \w+\n/)
  expect(publish!.trim()).toBe(
    '204\n204\n{"error":"stale bundle: lamport is not newer than the stored one"}',
  )
  expect(fetched!.trim()).toMatch(
    /^\{"payload":"[^"]+","signature":"[^"]{88}"\}\{"payload":"[^"]+","signature":"[^"]{88}","updated_at":\d{13}\}$/,
  )
  expect(check!.trim()).toBe('an MLS KeyPackage\n1n true')
  // What the page looks at with a program that is not everywhere.
  const [, asked] = /registry\.db "([^"]+)"/.exec(block('pasted: look'))!
  const database = new BetterSqlite3(join(folder, 'tmp/registry.db'))
  expect(database.prepare(asked!).raw().all()).toEqual([
    [expect.stringMatching(/^[0-9a-f]{12}$/), 25],
  ])
  database.close()
})

it('names every flag of the command', () => {
  const help = execFileSync(
    process.execPath,
    [join(root, 'dist/cli/main.js'), 'directory', 'keypackage', '--help'],
    { encoding: 'utf8' },
  )
  const flags = [
    ...help.replace(/\s+/g, ' ').matchAll(/(--[a-z-]+) <[^>]+> [^(]*\(default: ([^)]+)\)/g),
  ]
  expect(flags.length).toBe(5)
  for (const [, flag, value] of flags)
    expect(page).toMatch(
      new RegExp(`\\| \`${flag}\` +\\|[^|]*\\| \`${value!.replaceAll('.', '\\.')}\` +\\|`),
    )
})

const systemd = '/usr/bin/systemd-analyze'
it.skipIf(!existsSync(systemd))('has a unit that systemd takes', () => {
  const unit = join(folder, 'keypackage-registry.service')
  writeFileSync(unit, block('checked: unit').replace('/usr/bin/node', process.execPath))
  const { status, stderr } = spawnSync(systemd, ['verify', '--man=no', unit], { encoding: 'utf8' })
  expect([status, stderr.split('\n').filter((line) => line.includes('keypackage'))]).toEqual([
    0,
    [],
  ])
})
