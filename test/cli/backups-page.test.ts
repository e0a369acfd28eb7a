import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it, vi } from 'vitest'
import { freePort, startServer, type RunningServer } from '../../demo/server.js'
import { buildOnce } from '../support/server.js'

// A server process and several commands, each a process of its own.
vi.setConfig({ testTimeout: 120_000 })

const root = join(import.meta.dirname, '../..')
const folder = mkdtempSync(join(tmpdir(), 'vertex-backups-page-'))
let server: RunningServer | undefined

afterAll(async () => {
  await server?.stop()
  rmSync(folder, { recursive: true, force: true })
})

/** The shell blocks of a page that stand under `<!-- name: … -->`, by what stands there. */
function blocks(page: string, name: string): Map<string, string> {
  const text = readFileSync(join(root, page), 'utf8')
  const found = text.matchAll(
    new RegExp(`<!-- ${name}: (\\w+) -->\\n+\`\`\`sh\\n([^]*?)\`\`\``, 'g'),
  )
  return new Map([...found].map(([, what, block]) => [what!, block!]))
}

it('docs/operations/backups.md has examples that work when pasted', async () => {
  const page = blocks('docs/operations/backups.md', 'pasted')
  const story = blocks('README.md', 'by hand')
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  await buildOnce()
  server = await startServer({
    program: join(root, 'dist/main.js'),
    folder,
    port: await freePort(),
  })
  const { url } = server
  // One shell, as a person would have.
  const bash = (...script: (string | undefined)[]) =>
    execFileSync('bash', ['-eo', 'pipefail', '-c', script.join('\n')], {
      cwd: folder,
      encoding: 'utf8',
      env: { PATH: process.env['PATH'] ?? '' },
    })
  const here = (block: string | undefined) => block!.replaceAll('http://127.0.0.1:8080', url)
  bash(here(story.get('1')), here(story.get('2')), here(story.get('3')))
  const shell =
    `vertex() { '${process.execPath}' '${join(root, 'dist/cli/main.js')}' "$@"; }\n` +
    `export VERTEX=${url} API_KEY=$(node -p "require('./alice.json').api_key")`

  const coverage = bash(shell, page.get('coverage'))
  expect(coverage).not.toContain('err_type')
  expect(coverage.match(/"state":"verified"/g)).toHaveLength(2)
  expect(coverage).toMatch(/1 {2}verified[\s\S]*newest/)
  expect(bash(shell, page.get('verify'))).toContain('"pubkey"')
  expect(bash(shell, page.get('drill'))).toMatch(/^good {2}[0-9a-f]{32} /)
  expect(readFileSync(join(folder, 'drills.jsonl'), 'utf8')).toContain('"report":{')
  expect(bash(shell, page.get('coverage'))).toMatch(/1 {2}of these drilled/)
  expect(bash(shell, page.get('rewrap'))).toMatch(
    /^(already under the newest {2}backup\.json\n){2}[^]*1 {2}verified/,
  )
  expect([...page.keys()]).toEqual(['coverage', 'verify', 'drill', 'rewrap'])
})
