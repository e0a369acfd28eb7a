import { open, stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { randomBytes } from '@noble/hashes/utils.js'
import { errorCode } from '../error-code.js'
import { makeFile } from '../new-file.js'
import { SecretSettingError } from './errors.js'
import type { SecretSource } from './key-source.js'
import type { SealLog } from './log.js'
import { parseSecret, SECRET_BYTES } from './secret.js'

/** The longest form is 64 hex digits; the rest is room for white space. */
const MAX_FILE_BYTES = 1024

/** A secret in a file: one version, read once. */
export function secretFile(
  { setting, path }: { readonly setting: string; readonly path: string },
  log: SealLog,
): SecretSource {
  return {
    setting,
    changes: false,
    async load() {
      const { text, mode, written } = await read(setting, path)
      if ((mode & 0o077) !== 0)
        log({
          event: 'secret_file_open_to_others',
          setting,
          mode: (mode & 0o777).toString(8).padStart(4, '0'),
        })
      const bytes = parseSecret(text, setting)
      return { enabled: [{ bytes, name: hint(path), version: '', created: written }], disabled: [] }
    },
  }
}

/**
 * Makes a new random secret, readable by its owner only: the whole file or none. Never replaces a file.
 * @throws SecretSettingError when there is one already or it cannot be written
 */
export async function createSecretFile(setting: string, path: string): Promise<void> {
  const text = Buffer.from(randomBytes(SECRET_BYTES)).toString('base64')
  try {
    await makeFile(path, `${text}\n`)
  } catch (error) {
    throw new SecretSettingError(
      setting,
      `${path} cannot be made (${errorCode(error) ?? 'unknown error'})`,
    )
  }
}

async function read(
  setting: string,
  path: string,
): Promise<{ text: string; mode: number; written: number }> {
  try {
    const { mode, size, mtimeMs } = await stat(path)
    if (size > MAX_FILE_BYTES) throw new SecretSettingError(setting, 'the file is too long')
    const file = await open(path, 'r')
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_FILE_BYTES), 0, MAX_FILE_BYTES)
      // latin1 keeps every byte, so that a byte order mark or a stray character is seen and refused.
      const text = buffer.toString('latin1', 0, bytesRead)
      buffer.fill(0)
      return { text, mode, written: mtimeMs }
    } finally {
      await file.close()
    }
  } catch (error) {
    if (error instanceof SecretSettingError) throw error
    throw new SecretSettingError(
      setting,
      `${path} cannot be read (${errorCode(error) ?? 'unknown error'})`,
    )
  }
}

function hint(path: string): string {
  return basename(path)
    .replace(/[^!-~]/g, '_')
    .slice(0, 127)
}
