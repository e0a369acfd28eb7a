import { randomBytes } from 'node:crypto'
import { chmod, mkdir, open, readFile } from 'node:fs/promises'
import { dirname } from 'node:path'

/** The admin token cannot be had; the message names the setting. */
export class AdminTokenError extends Error {
  override readonly name = 'AdminTokenError'
}

/** @throws AdminTokenError */
export async function readAdminToken(path: string, setting: string): Promise<string> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    throw new AdminTokenError(`${setting}: ${path} cannot be read (${codeOf(error)})`)
  }
  const token = text.trim()
  if (!/^[!-~]{16,512}$/.test(token))
    throw new AdminTokenError(
      `${setting}: the token in ${path} must have 16 to 512 printable ASCII characters and no white space`,
    )
  return token
}

/**
 * The token in this file; at the first start a new one of 256 random bits, durable and readable by its owner only.
 * @throws AdminTokenError
 */
export async function readOrMakeAdminToken(
  path: string,
): Promise<{ readonly token: string; readonly made: boolean }> {
  try {
    await mkdir(dirname(path), { recursive: true, mode: 0o700 })
    const file = await open(path, 'wx', 0o600)
    const token = randomBytes(32).toString('base64url')
    try {
      await file.writeFile(`${token}\n`)
      await file.sync()
    } finally {
      await file.close()
    }
    return { token, made: true }
  } catch (error) {
    if (codeOf(error) !== 'EEXIST')
      throw new AdminTokenError(`VERTEX_DATA_DIR: ${path} cannot be made (${codeOf(error)})`)
  }
  const token = await readAdminToken(path, 'VERTEX_DATA_DIR')
  await chmod(path, 0o600)
  return { token, made: false }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
}
