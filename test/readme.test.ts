import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { settings } from '../src/config.js'
import { freePort, startServer, type RunningServer } from '../demo/server.js'

const root = resolve(import.meta.dirname, '..')
const program = join(root, 'dist/main.js')
const readme = readFileSync(join(root, 'README.md'), 'utf8')
const folder = mkdtempSync(join(tmpdir(), 'vertex-readme-'))
let server: RunningServer | undefined

afterAll(async () => {
  await server?.stop()
  rmSync(folder, { recursive: true, force: true })
})

/** The shell blocks that tell the story by hand, in order. */
function blocks(): string[] {
  return [...readme.matchAll(/<!-- by hand: \d -->\n+```sh\n([^]*?)```/g)].map(
    ([, block]) => block!,
  )
}

describe('the README', () => {
  it('tells a story by hand that works when pasted', async () => {
    const [user, sdk, curl, disaster, after] = blocks()
    expect(after).toBeDefined()
    const port = await freePort()
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
    // One shell for all blocks, as a person would have, but for the server's port and the two restarts.
    const here = (block: string) => block.replaceAll('8080', String(port))
    const bash = (...script: string[]) =>
      execFileSync('bash', ['-eo', 'pipefail', '-c', script.join('\n')], {
        cwd: folder,
        encoding: 'utf8',
        env: { PATH: process.env['PATH'] ?? '' },
      })

    server = await startServer({ program, folder, port })
    const shell = here(user!)
    const first = bash(shell, sdk!)
    expect(first).toMatch(/^[0-9a-f-]{36} [01] 30[0-9a-f]+\n$/)
    const environment =
      here('export VERTEX=http://127.0.0.1:8080\n') +
      `export API_KEY=$(node -p "require('./alice.json').api_key")`
    const told = bash(environment, curl!)
    expect(told).toContain(first.slice(0, 36))
    expect(told).not.toContain('err_type')

    expect(disaster).toContain('rm -rf data')
    await server.kill()
    bash('rm -rf data')
    server = await startServer({ program, folder, port })
    const last = bash(environment, after!)
    expect(last).toMatch(/^[0-9a-f-]{36} [01] 30[0-9a-f]+\n/)
    expect(last.slice(0, 36)).not.toBe(first.slice(0, 36))
    expect(last).not.toContain('err_type')
  })

  it('has every setting in its table', () => {
    const table = readme.slice(readme.indexOf('<!-- settings -->'))
    const listed = table.slice(0, table.indexOf('**Plaintext mode**'))
    const names = Object.keys(settings)
    expect(names.length).toBeGreaterThan(10)
    for (const name of names) {
      const short = name.replace(
        /^VERTEX_(?:(?:BACKUP|STORAGE|ADMIN)_SECRET(?=_VAULT)|RATE(?=_)|KEYPACKAGE(?=_)|KEYSERVER(?=_))/,
        '…',
      )
      expect(listed.includes(`\`${name}\``) || listed.includes(`\`${short}\``), name).toBe(true)
    }
  })
})
