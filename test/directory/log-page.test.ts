import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it, vi } from 'vitest'
import { startServer } from '../support/server.js'

vi.setConfig({ testTimeout: 180_000 })

const root = join(import.meta.dirname, '../..')
const page = readFileSync(join(root, 'docs/directory/log.md'), 'utf8')
const folder = mkdtempSync(join(tmpdir(), 'vertex-log-page-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const block = (name: string) => {
  const found = new RegExp(`<!-- pasted: ${name} -->\\n+\`\`\`sh\\n([^]*?)\`\`\``).exec(page)
  expect(found, name).not.toBeNull()
  return found![1]!
}

it('has commands that work when pasted', async () => {
  const server = await startServer({ folder })
  try {
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
    // What a start records is committed to within some seconds, and so is what the Vertex says of itself.
    await vi.waitFor(
      async () => {
        const answer = await fetch(`${server.url}/log/checkpoint`)
        expect(Number((await answer.text()).split('\n')[1])).toBeGreaterThanOrEqual(2)
      },
      { timeout: 60_000, interval: 250 },
    )
    // One shell for all of it, as a person would have; the port is another, since somebody may have this one.
    const names = ['checkpoint', 'event', 'check', 'header', 'verify', 'witness']
    const script = [
      `vertex() { '${process.execPath}' '${join(root, 'dist/cli/main.js')}' "$@"; }`,
      ...names.flatMap((name) => [
        `echo; echo '== ${name}'`,
        block(name).replaceAll('localhost:8080', `127.0.0.1:${server.port}`),
      ]),
    ]
    const said = execFileSync('bash', ['-eo', 'pipefail', '-c', script.join('\n')], {
      cwd: folder,
      encoding: 'utf8',
      env: { PATH: process.env['PATH'] ?? '' },
    })
    const [, checkpoint, event, check, header, verify, witness] = said.split(/== \w+\n/)
    const origin = `vertex.invalid/vertex/[0-9a-f]{32}`
    expect(checkpoint).toMatch(
      new RegExp(
        `^${origin}\n\\d+\n[\\w+/]{43}=\n\n— ${origin} \\S+\n(?:[0-9a-f]{64}\n){2,}\\{"index":0,"size":\\d+,"leaf_hash":"\\S+","root":"\\S+","hashes":\\["\\S+\\]\\}`,
      ),
    )
    expect(event).toMatch(
      /^\{"seq":0,"hash":"sha256:[0-9a-f]{64}"\}c2sp\.org\/tlog-proof@v1\nextra \S+\nindex \d+\n(?:\S+\n)+\nvertex\.invalid/,
    )
    expect(header).toMatch(/^entry \d+ of \d+, since \d{4}-/)
    expect(check).toMatch(/^entry \d+ of \d+, since \d{4}-/)
    expect(verify).toMatch(
      /^\d+ entries, all in order; root \S+\nlog \S+\n\d+ \S+, \d+ \S+\n\d+ entries, all in order; root \S+\n[^]*rows as they were logged: 2; erased: 0\naudit records as they were committed to: \d+\n/,
    )
    expect(witness).toMatch(
      /^\d+ entries; kept as the first checkpoint\nlog \S+\n\d+ entries, (?:as before|which continue .*)\nlog \S+\ncosigned; witness\.example\.com\+/,
    )
    expect(witness).toMatch(/\n— vertex\.invalid\S+ \S+\n— witness\.example\.com \S+\n/)
  } finally {
    await server.stop()
  }
})
