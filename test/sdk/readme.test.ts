import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, expect, it, vi } from 'vitest'
import { bundleForNode } from '../support/bundle.js'
import { Harness } from './support/harness.js'

// Server processes start and end in these tests; on a busy machine that takes a while.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

const harness = new Harness()
afterAll(() => harness.end())

it('the code in the README runs, from the first line to the last', async () => {
  const readme = readFileSync(join(import.meta.dirname, '../../sdk/README.md'), 'utf8')
  const blocks = [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code!)
  expect(blocks.length).toBeGreaterThanOrEqual(6)
  const server = await harness.server('vertex')
  const program = join(harness.folder, 'readme.ts')
  writeFileSync(program, blocks.join('\n').replaceAll('http://127.0.0.1:8080', server.url))
  const { stdout, stderr } = await promisify(execFile)(
    process.execPath,
    [await bundleForNode(program)],
    {
      cwd: harness.folder,
      env: { ...process.env, VERTEX_API_KEY: await server.createUser('reader') },
    },
  )
  expect(stderr).toBe('')
  expect(stdout).toMatch(/^public key 33 bytes; signature 64 bytes, v = [0-3]$/m)
  expect(stdout).toMatch(/^signatures 2$/m)
  expect(stdout).toMatch(/^400 key_id_not_exists$/m)
})
