import {
  chownSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
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

const good = () => Promise.resolve()

describe('a file that is replaced', () => {
  it('is kept beside the new one under a name that replaces nothing', async () => {
    const path = join(folder, 'kept')
    writeFileSync(path, 'first', { mode: 0o640 })
    writeFileSync(`${path}.before`, 'of somebody else')
    expect(await replaceFile(path, 'second', good, '.before')).toBe(`${path}.before-2`)
    expect(await replaceFile(path, 'third', good, '.before')).toBe(`${path}.before-3`)
    // Somebody was interrupted when it was kept, and before it was replaced.
    writeFileSync(`${path}.before-4`, 'third')
    expect(await replaceFile(path, 'fourth', good, '.before')).toBe(`${path}.before-4`)
    const names = ['kept', ...['', '-2', '-3', '-4'].map((number) => `kept.before${number}`)]
    expect(readdirSync(folder).filter((name) => name.startsWith('kept'))).toEqual(names)
    expect(names.map((name) => readFileSync(join(folder, name), 'utf8'))).toEqual([
      ...['fourth', 'of somebody else', 'first', 'second', 'third'],
    ])
    expect(statSync(`${path}.before-2`).mode & 0o777).toBe(0o640)
  })

  it('is not kept by a symbolic link to it, nor by one to another file', async () => {
    const path = join(folder, 'linked')
    writeFileSync(path, 'first')
    symlinkSync(path, `${path}.before`)
    symlinkSync(join(folder, 'nothing'), `${path}.before-2`)
    expect(await replaceFile(path, 'second', good, '.before')).toBe(`${path}.before-3`)
    expect(readFileSync(`${path}.before-3`, 'utf8')).toBe('first')
    expect(readFileSync(path, 'utf8')).toBe('second')
  })

  it.skipIf(process.getuid?.() !== 0)('stays its owner’s and group’s (needs root)', async () => {
    const path = join(folder, 'of-another')
    writeFileSync(path, 'former', { mode: 0o640 })
    chownSync(path, 1234, 2345)
    await replaceFile(path, 'new', good, '.kept')
    const { uid, gid, mode } = statSync(path)
    expect([uid, gid, mode & 0o777]).toEqual([1234, 2345, 0o640])
    expect(readFileSync(path, 'utf8')).toBe('new')
  })

  it('stays as it is when the new one is not good, and nothing is left beside it', async () => {
    const path = join(folder, 'former')
    writeFileSync(path, 'former')
    const bad = new Error('not good')
    await expect(replaceFile(path, 'new', () => Promise.reject(bad), '.kept')).rejects.toBe(bad)
    expect(readFileSync(path, 'utf8')).toBe('former')
    expect(readdirSync(folder).filter((name) => name.startsWith('former'))).toEqual(['former'])
  })
})
