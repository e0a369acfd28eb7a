import {
  chownSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { replaceFile } from '../src/new-file.js'

const folder = mkdtempSync(join(tmpdir(), 'vertex-new-file-'))
afterAll(() => {
  rmSync(folder, { recursive: true })
})

describe('a file that is replaced', () => {
  it.skipIf(process.getuid?.() !== 0)('stays its owner’s and group’s (needs root)', async () => {
    const path = join(folder, 'of-another')
    writeFileSync(path, 'former', { mode: 0o640 })
    chownSync(path, 1234, 2345)
    await replaceFile(path, 'new', () => Promise.resolve())
    const { uid, gid, mode } = statSync(path)
    expect([uid, gid, mode & 0o777]).toEqual([1234, 2345, 0o640])
    expect(readFileSync(path, 'utf8')).toBe('new')
  })

  it('stays as it is when the new one is not good, and nothing is left beside it', async () => {
    const path = join(folder, 'former')
    writeFileSync(path, 'former')
    const bad = new Error('not good')
    await expect(replaceFile(path, 'new', () => Promise.reject(bad))).rejects.toBe(bad)
    expect(readFileSync(path, 'utf8')).toBe('former')
    expect(readdirSync(folder).filter((name) => name.startsWith('former'))).toEqual(['former'])
  })
})
