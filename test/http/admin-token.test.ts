import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { AdminTokenError, readOrMakeAdminToken } from '../../src/http/admin-token.js'
import { fullDisk } from '../support/full-disk.js'

let folder: string
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'vertex-admin-token-'))))
afterAll(() => rmSync(folder, { recursive: true }))

it('is made once, for its owner only', async () => {
  const path = join(folder, 'data', 'admin-token')
  const made = await readOrMakeAdminToken(path)
  expect(made).toEqual({ made: true, token: expect.stringMatching(/^[\w-]{43}$/) as string })
  expect(readFileSync(path, 'utf8')).toBe(`${made.token}\n`)
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect(await readOrMakeAdminToken(path)).toEqual({ made: false, token: made.token })
})

it('is whole or not there when the disk is full, and the next start makes it', async () => {
  const path = join(folder, 'full', 'admin-token')
  const disk = await fullDisk()
  await expect(readOrMakeAdminToken(path)).rejects.toThrow(/admin-token.*ENOSPC/)
  expect(readdirSync(join(folder, 'full'))).toEqual([])
  disk.mockRestore()
  expect((await readOrMakeAdminToken(path)).made).toBe(true)
})

it('that somebody emptied is refused with the name of its file and what to do', async () => {
  const path = join(folder, 'emptied')
  writeFileSync(path, '')
  const refused = readOrMakeAdminToken(path)
  await expect(refused).rejects.toThrow(AdminTokenError)
  await expect(refused).rejects.toThrow(/when you remove it: .*emptied/)
  await expect(refused).rejects.not.toThrow('VERTEX_DATA_DIR')
})
