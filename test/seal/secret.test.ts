import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  BackupSecrets,
  createSecretFile,
  loadNewest,
  parseSecret,
  secretFile,
  secretFingerprint,
  SecretSettingError,
  type SealEvent,
} from '../../src/seal/index.js'
import { fullDisk } from '../support/full-disk.js'

const setting = 'VERTEX_BACKUP_SECRET_FILE'
const refuse = (text: string) =>
  expect(() => parseSecret(text, setting)).toThrow(SecretSettingError)

describe('a secret', () => {
  it('is 32 bytes in base64, base64url with or without padding, or hex of either case', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
        const buffer = Buffer.from(bytes)
        const url = buffer.toString('base64url')
        const hex = buffer.toString('hex')
        for (const text of [buffer.toString('base64'), url, `${url}=`, hex, hex.toUpperCase()])
          expect(parseSecret(text, setting)).toEqual(bytes)
      }),
      { numRuns: 50 },
    )
  })

  it('may have white space around it', () => {
    const text = Buffer.alloc(32, 0xfb).toString('base64')
    expect(parseSecret(`\r\n\t ${text} \n\n`, setting)).toEqual(new Uint8Array(32).fill(0xfb))
  })

  it('of any other length is refused', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 70 }).filter(({ length }) => length !== 32),
        (bytes) => {
          for (const encoding of ['base64', 'base64url', 'hex'] as const)
            refuse(Buffer.from(bytes).toString(encoding))
        },
      ),
      { numRuns: 50 },
    )
  })

  it('in any other form is refused: byte order mark, inner white space, mixed alphabets, padding, case', () => {
    const text = Buffer.alloc(32, 0xfb).toString('base64') // + and /
    const hex = 'ab'.repeat(32)
    refuse(`\ufeff${text}`)
    refuse(`\u00ef\u00bb\u00bf${text}`)
    refuse(`\u00a0${text}`)
    refuse(`${text.slice(0, 20)}\n${text.slice(20)}`)
    refuse(text.replace('+', '-'))
    refuse(text.slice(0, -1))
    refuse(`${text}=`)
    refuse(`${text}${text}`)
    refuse(`"${text}"`)
    refuse(`A${hex.slice(1)}`)
    refuse(`0x${hex}`)
    refuse('correct horse battery staple correct horse!')
    refuse('\0'.repeat(32))
    refuse('x'.repeat(32))
    refuse('')
  })

  it('whose last character carries bits of no byte is refused', () => {
    const text = 'A'.repeat(43)
    expect(parseSecret(`${text}=`, setting)).toEqual(new Uint8Array(32))
    for (const last of ['B', 'C', 'D', 'P', '9']) {
      refuse(`${text.slice(0, -1)}${last}=`)
      refuse(`${text.slice(0, -1)}${last}`)
    }
  })

  it('that is refused is not in the error, its setting is', () => {
    const error = (() => {
      try {
        parseSecret('hunter2-hunter2', setting)
      } catch (e) {
        return e as SecretSettingError
      }
      throw new Error('was not refused')
    })()
    expect(error.setting).toBe(setting)
    expect(error.message).toContain(setting)
    expect(JSON.stringify(error) + String(error.stack)).not.toContain('hunter2')
  })
})

describe('a secret file', () => {
  let directory: string
  beforeAll(async () => (directory = await mkdtemp(join(tmpdir(), 'vertex-secret-'))))
  afterAll(() => rm(directory, { recursive: true }))

  const load = async (path: string) => {
    const events: SealEvent[] = []
    const loaded = await loadNewest(secretFile({ setting, path }, (event) => events.push(event)))
    return { loaded, events }
  }

  it('is read, and named by its file name', async () => {
    const path = join(directory, 'backup-secret')
    await writeFile(path, Buffer.alloc(32, 5).toString('hex') + '\n', { mode: 0o600 })
    const { loaded, events } = await load(path)
    expect(loaded).toEqual({
      bytes: new Uint8Array(32).fill(5),
      created: expect.any(Number),
      name: 'backup-secret',
      version: '',
    })
    expect(events).toEqual([])
  })

  it('that others may read is reported', async () => {
    const path = join(directory, 'open')
    await writeFile(path, Buffer.alloc(32, 5).toString('hex'))
    await chmod(path, 0o644)
    const { events } = await load(path)
    expect(events).toEqual([{ event: 'secret_file_open_to_others', setting, mode: '0644' }])
  })

  it('with a byte order mark, raw bytes, nothing or too much in it is refused with its setting', async () => {
    const path = join(directory, 'bad')
    const text = Buffer.alloc(32, 5).toString('base64')
    const contents = [Buffer.from(`\ufeff${text}`), Buffer.alloc(32, 5), '', text.repeat(100)]
    for (const content of contents) {
      await writeFile(path, content)
      await expect(load(path)).rejects.toThrow(setting)
    }
    await expect(load(join(directory, 'absent'))).rejects.toThrow(SecretSettingError)
  })

  it('is made with random bytes for its owner only, and never replaced', async () => {
    const path = join(directory, 'made', 'secret')
    await createSecretFile(setting, path)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    const before = await readFile(path, 'utf8')
    expect(parseSecret(before, setting)).toHaveLength(32)
    await expect(createSecretFile(setting, path)).rejects.toThrow(SecretSettingError)
    expect(await readFile(path, 'utf8')).toBe(before)
    const other = join(directory, 'made', 'other')
    await createSecretFile(setting, other)
    expect(await readFile(other, 'utf8')).not.toBe(before)
  })

  it('is whole or not there when the disk is full, and the next start makes it', async () => {
    const path = join(directory, 'full', 'secret')
    const disk = await fullDisk()
    await expect(createSecretFile(setting, path)).rejects.toThrow(/VERTEX_BACKUP.*ENOSPC/)
    expect(await readdir(join(directory, 'full'))).toEqual([])
    disk.mockRestore()
    await createSecretFile(setting, path)
    expect(parseSecret(await readFile(path, 'utf8'), setting)).toHaveLength(32)
    expect(await readdir(join(directory, 'full'))).toEqual(['secret'])
  })

  it('that holds the storage key is refused as a backup secret', async () => {
    const path = join(directory, 'same')
    await writeFile(path, Buffer.alloc(32, 6).toString('hex'), { mode: 0o600 })
    const log = () => undefined
    const loading = BackupSecrets.load(secretFile({ setting, path }, log), {
      vaultName: 'vertex',
      clock: { now: () => 0 },
      log,
      storageFingerprint: secretFingerprint(new Uint8Array(32).fill(6)),
    })
    await expect(loading).rejects.toThrow(/VERTEX_BACKUP_SECRET_FILE.*must not be the same/)
  })
})
