import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it, vi } from 'vitest'
import { statuses } from '@vertex/directory/share'
import { buildOnce, freePort } from '../support/server.js'

vi.setConfig({ testTimeout: 120_000 })

const root = join(import.meta.dirname, '../..')
const page = readFileSync(join(root, 'docs/directory/share-codes.md'), 'utf8')
const folder = mkdtempSync(join(tmpdir(), 'vertex-share-codes-page-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const block = (name: string) => {
  const found = new RegExp(`<!-- pasted: ${name} -->\\n+\`\`\`\\w+\\n([^]*?)\`\`\``).exec(page)
  expect(found, name).not.toBeNull()
  return found![1]!
}

it('has commands that work when pasted', async () => {
  await buildOnce('tools')
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  const port = String(await freePort())
  // One shell for all of it, as a person would have; the port is another, since somebody may have this one.
  const script = [
    `vertex() { exec '${process.execPath}' '${join(root, 'dist/cli/main.js')}' "$@" > log; }`,
    "trap 'kill $!' EXIT",
    ...['serve', 'publish', 'verify', 'receive'].flatMap((name) => [
      `echo; echo '== ${name}'`,
      block(name).replaceAll('18089', port),
    ]),
  ]
  const said = execFileSync('bash', ['-eo', 'pipefail', '-c', script.join('\n')], {
    cwd: folder,
    encoding: 'utf8',
    env: { PATH: process.env['PATH'] ?? '' },
  })
  const [, , , verified, received] = said.split(/== \w+\n/)
  expect(verified!.trim()).toBe('<h1>Address verified</h1>')
  expect(received!.trim()).toMatch(/^alice@example\.com is ed25519:[0-9a-f]{64}\ncode_not_found$/)
  expect(readFileSync(join(folder, 'tmp/code'), 'utf8')).toMatch(/^00\d{12}\n$/)
  expect(readFileSync(join(folder, 'tmp/on-the-phone'), 'utf8')).toMatch(
    /^(?:[0-9a-f]{2} ?){16}\n$/,
  )
})

it('says of each status that is ever answered when it is', () => {
  const never = [2, 6, 7, 13]
  for (const status of Object.values(statuses))
    expect(new RegExp(`^\\| ${status} +\\|`, 'm').test(page), String(status)).toBe(
      !never.includes(status),
    )
})
