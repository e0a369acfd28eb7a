import { execFileSync, spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import BetterSqlite3 from 'better-sqlite3'
import { afterAll, expect, it, vi } from 'vitest'
import { buildOnce, freePort } from '../support/server.js'

vi.setConfig({ testTimeout: 120_000 })

const root = join(import.meta.dirname, '../..')
const page = readFileSync(join(root, 'docs/directory/keyserver.md'), 'utf8')
const folder = mkdtempSync(join(tmpdir(), 'vertex-keyserver-page-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const block = (name: string) => {
  const found = new RegExp(`<!-- ${name} -->\\n+\`\`\`\\w+\\n([^]*?)\`\`\``).exec(page)
  expect(found, name).not.toBeNull()
  return found![1]!
}
const program = join(root, 'dist/cli/main.js')
/** One shell for all of it, as a person would have. */
const shell = (lines: readonly string[]) =>
  execFileSync('bash', ['-eo', 'pipefail', '-c', lines.join('\n')], {
    cwd: folder,
    encoding: 'utf8',
    env: { PATH: process.env['PATH'] ?? '' },
  })
const blocks = (names: readonly string[]) =>
  names.flatMap((name) => [`echo; echo '== ${name}'`, block(`pasted: ${name}`)])

it('has commands that work when pasted', async () => {
  await buildOnce()
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  // Another port, since somebody may have this one.
  const port = String(await freePort())
  const said = shell(
    [
      `vertex() { exec '${process.execPath}' '${program}' "$@" > log; }`,
      "trap 'kill $!' EXIT",
      ...blocks(['serve', 'capabilities', 'alice', 'bob', 'paper']),
    ].map((line) => line.replaceAll('18443', port)),
  )
  const [, , capabilities, , bob, paper] = said.split(/== [\w-]+\n/)
  const [first, second] = capabilities!.trim().split('\n')
  expect(JSON.parse(first!)).toMatchObject({
    result: { CAPABILITIES: { DOMAINS: ['mute.example'] } },
  })
  expect(second).toMatch(
    /^\{"jsonrpc":"2\.0","result":\{"HCEntries":\["[^"]{204}"\],"HCFirstPos":0\},"id":2\}$/,
  )
  const keys = bob!
    .trim()
    .split('\n')
    .map((line) => line.split(' '))
  expect(keys.map(([, how]) => how)).toEqual(['once', 'once', 'again', 'again'])
  expect(new Set(keys.map(([key]) => key)).size).toBe(3)
  expect(paper!.trim()).toBe('message 1')
  // What the page looks at with programs that are not everywhere.
  const [, asked] = /keyserver\.db "([^"]+)"/.exec(block('pasted: look'))!
  const database = new BetterSqlite3(join(folder, 'tmp/keyserver.db'))
  expect(database.prepare(asked!).raw().all()).toEqual(
    [0, 1, 2].map((at) => [at, 153, expect.any(Number)]),
  )
  database.close()
  for (const file of readdirSync(join(folder, 'tmp')))
    expect(readFileSync(join(folder, 'tmp', file)).includes('alice'), file).toBe(false)
  expect(readFileSync(join(folder, 'log'), 'utf8')).not.toContain('alice')
})

it('has tokens made as it says', async () => {
  await buildOnce()
  const said = shell([
    `vertex() { '${process.execPath}' '${program}' "$@"; }`,
    ...blocks(['token-key', 'token-ask', 'token-sign', 'token-finish']),
  ])
  expect(said).toMatch(/secret half: .*token\.key;/)
  const tokens = said.split('== token-finish\n')[1]!.trim().split('\n')
  expect(tokens).toEqual([expect.stringMatching(/^.{16}…$/), expect.stringMatching(/^.{16}…$/)])
  const sign = (words: readonly string[], input: string) =>
    spawnSync(process.execPath, [program, 'token', ...words], {
      cwd: folder,
      encoding: 'utf8',
      input,
    })
  // A key is never replaced, and what is no number of it is not signed.
  expect(sign(['key', 'token.key'], '')).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('not replaced'),
  })
  const large = Buffer.alloc(384, 0xff).toString('base64')
  expect(sign(['sign', '--key', 'token.key'], `${large}\n`)).toMatchObject({
    status: 1,
    stdout: '',
  })
  expect(sign(['sign', '--key', 'token.key'], 'AAAA\n')).toMatchObject({ status: 1, stdout: '' })
  expect(sign(['sign', '--key', 'token.key.pub'], `${large}\n`)).toMatchObject({
    status: 1,
    stdout: '',
  })
  expect(sign(['sign', '--key', 'none'], `${large}\n`)).toMatchObject({ status: 2, stdout: '' })
  expect(sign(['sign', '--key', 'token.key'], '')).toMatchObject({ status: 2, stdout: '' })
})

it('names every flag of the command, and refuses what they may not be', async () => {
  await buildOnce()
  const run = (words: readonly string[]) =>
    spawnSync(process.execPath, [program, 'directory', 'keyserver', ...words], {
      cwd: folder,
      encoding: 'utf8',
    })
  const flags = [...run(['--help']).stdout.matchAll(/^ {2}(--[a-z-]+) </gm)].map(
    ([, flag]) => flag!,
  )
  expect(flags.sort()).toEqual([
    '--bind',
    '--db',
    '--domain',
    '--escrow-key',
    '--key',
    '--reserved',
    '--token-key',
  ])
  for (const flag of flags) expect(page).toMatch(new RegExp(`\\| \`${flag}\` +\\|`))
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as { port: number }
  const domain = ['--domain', 'mute.example', '--db', 'refused.db', '--key', 'refused.key']
  const refused: [readonly string[], string][] = [
    [[], '--domain'],
    [['--domain', 'a b'], '--domain'],
    [[...domain, '--reserved', 'a--b'], '--reserved'],
    [[...domain, '--bind', `127.0.0.1:${port}`], '--bind'],
    [[...domain, '--db', 'mysql://x'], '--db'],
    [[...domain, '--escrow-key', 'AAAA'], '--escrow-key'],
    [[...domain, '--token-key', 'none.pem'], 'none.pem'],
    [[...domain, '--token-key', 'token.key'], 'make it with vertex token key'],
    [['--domain', 'mute.example', '--key', 'token.key', '--db', 'refused.db'], '--key'],
  ]
  for (const [words, named] of refused) {
    const { status, stderr, stdout } = run(words)
    expect([words, stdout]).toEqual([words, ''])
    expect([2, 78]).toContain(status)
    expect(stderr).toContain(named)
  }
  server.close()
})

const systemd = '/usr/bin/systemd-analyze'
it.skipIf(!existsSync(systemd))('has a unit that systemd takes', () => {
  const unit = join(folder, 'vertex-keyserver.service')
  writeFileSync(unit, block('checked: unit').replace('/usr/bin/node', process.execPath))
  const { status, stderr } = spawnSync(systemd, ['verify', '--man=no', unit], { encoding: 'utf8' })
  expect([status, stderr.split('\n').filter((line) => line.includes('keyserver'))]).toEqual([0, []])
})
