import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { buildOnce } from '../support/server.js'

const root = join(import.meta.dirname, '../..')
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  version: string
  bin: { vertex: string }
}
const program = join(root, manifest.bin.vertex)
const env = { PATH: process.env['PATH'] ?? '', PORT: '0' }
let folder: string
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'vertex-serve-'))
  await buildOnce()
})
afterAll(() => rmSync(folder, { recursive: true }))

describe("the package's bin", () => {
  it('is a program of Node that knows its version', () => {
    expect(readFileSync(program, 'utf8')).toMatch(/^#!\/usr\/bin\/env node\n/)
    const { stdout, status } = spawnSync(process.execPath, [program, '--version'], {
      env,
      encoding: 'utf8',
    })
    expect([stdout, status]).toEqual([`${manifest.version}\n`, 0])
  })

  it('serves as the server itself does, and ends as it does', async () => {
    const child = spawn(process.execPath, [program, 'serve'], { cwd: folder, env })
    const exit = once(child, 'exit')
    let output = ''
    const url = await new Promise<string>((resolve, reject) => {
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        output += text
        const found = /"event":"listening","url":"([^"]+)"/.exec(output)
        if (found !== null) resolve(found[1]!)
      })
      void exit.then(() => reject(new Error(`it ended: ${output}`)))
    })
    const port = /"port":(\d+)/.exec(output)![1]!
    expect(url).toContain('http://127.0.0.1')
    expect((await fetch(`http://127.0.0.1:${port}/readyz`)).status).toBe(200)
    child.kill('SIGTERM')
    expect(await exit).toEqual([0, null])
  })

  it('does not serve with a wrong configuration', () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [program, 'serve'], {
      cwd: folder,
      env: { ...env, VERTEX_LOG_LEVEL: 'y' },
      encoding: 'utf8',
    })
    expect([status, stdout]).toEqual([78, ''])
    expect(stderr).toContain('VERTEX_LOG_LEVEL')
  })
})
