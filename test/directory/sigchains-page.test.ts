import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { afterAll, expect, it, vi } from 'vitest'
import { buildOnce, freePort } from '../support/server.js'

vi.setConfig({ testTimeout: 120_000 })

const root = join(import.meta.dirname, '../..')
const page = readFileSync(join(root, 'docs/directory/sigchains.md'), 'utf8')
const folder = mkdtempSync(join(tmpdir(), 'vertex-sigchains-page-'))
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
    `export KEZ_BIND=127.0.0.1:${port}`,
    "trap 'kill $!' EXIT",
    ...['pasted: serve', 'pasted: sign', 'pasted: fetch', 'pasted: check'].flatMap((name) => [
      `echo; echo '== ${name}'`,
      block(name).replaceAll('localhost:7878', `127.0.0.1:${port}`),
    ]),
  ]
  const bash = (lines: readonly string[]) =>
    execFileSync('bash', ['-eo', 'pipefail', '-c', lines.join('\n')], {
      cwd: folder,
      encoding: 'utf8',
      env: { PATH: process.env['PATH'] ?? '' },
    })
  const said = bash(script)
  const [, serve, sign, fetched, check] = said.split(/== pasted: \w+\n/)
  expect(serve!.trim()).toBe('{"status":"ok"}')
  expect(sign!.trim()).toMatch(
    /^\{"seq":0,"hash":"sha256:[0-9a-f]{64}"\}\n\{"seq":1,"hash":"sha256:[0-9a-f]{64}"\}$/,
  )
  const [first, second] = [0, 1].map((seq) => readFileSync(join(folder, `${seq}.json`), 'utf8'))
  expect(fetched!.trim()).toBe(`${first}\n${second}\n${second}`)
  expect(check).toMatch(/^github:jason since \d{4}-.*\ndns:jason\.example since \d{4}-/)
  expect(existsSync(join(folder, 'kez-sigchains.db'))).toBe(true)

  if (!existsSync('/usr/bin/sqlite3')) return
  // A file as the original makes it.
  const old = new Database(join(folder, 'kez-old.db'))
  old.exec(`CREATE TABLE sigchain_events (primary_scheme TEXT NOT NULL, primary_id TEXT NOT NULL,
    seq INTEGER NOT NULL, envelope_json TEXT NOT NULL, envelope_hash TEXT NOT NULL,
    created_at TEXT NOT NULL, PRIMARY KEY (primary_scheme, primary_id, seq))`)
  const [scheme, id] = (
    JSON.parse(first!) as { payload: { primary: string } }
  ).payload.primary.split(':')
  const insert = old.prepare(`INSERT INTO sigchain_events VALUES (?, ?, ?, ?, '', '')`)
  insert.run(scheme, id, 1, second)
  insert.run(scheme, id, 0, first)
  old.close()
  const moved = bash([
    ...script.slice(0, 3),
    'export KEZ_DB=moved.db',
    block('pasted: serve').replaceAll('localhost:7878', `127.0.0.1:${port}`),
    block('pasted: move').replaceAll('localhost:7878', `127.0.0.1:${port}`),
    `curl -s http://127.0.0.1:${port}/v1/sigchains/${scheme}/${id}`,
  ])
  expect(moved).toMatch(/"seq":0.*\n\{"seq":1/)
  expect(moved.endsWith(`${first}\n${second}\n`)).toBe(true)
})

const systemd = '/usr/bin/systemd-analyze'
it.skipIf(!existsSync(systemd))('has a unit that systemd takes', () => {
  const unit = join(folder, 'kez-sig-server.service')
  writeFileSync(unit, block('checked: unit').replace('/usr/bin/node', process.execPath))
  const { status, stderr } = spawnSync(systemd, ['verify', '--man=no', unit], { encoding: 'utf8' })
  expect([status, stderr.split('\n').filter((line) => line.includes('kez-sig-server'))]).toEqual([
    0,
    [],
  ])
  const broken = unit.replace('kez-', 'broken-')
  writeFileSync(broken, block('checked: unit').replace('Type=simple', 'Type=nonsense\nNope=1'))
  const found = spawnSync(systemd, ['verify', '--man=no', broken], { encoding: 'utf8' })
  expect(found.stderr).toMatch(/nonsense|Nope/)
})
