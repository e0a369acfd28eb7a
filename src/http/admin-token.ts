import { randomBytes } from 'node:crypto'
import { chmod, readFile } from 'node:fs/promises'
import { errorCode } from '../error-code.js'
import { makeFile } from '../new-file.js'

/** The admin token cannot be had; the message says where it was looked for. */
export class AdminTokenError extends Error {
  override readonly name = 'AdminTokenError'
}

/** @throws AdminTokenError */
export async function readAdminToken(path: string, setting: string): Promise<string> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    throw new AdminTokenError(
      `${setting}: ${path} cannot be read (${errorCode(error) ?? 'unknown'})`,
    )
  }
  return parseAdminToken(text, `${setting}: ${path}`)
}

/** @param where it was found, for the operator. @throws AdminTokenError */
export function parseAdminToken(text: string, where: string): string {
  const token = text.trim()
  if (!/^[!-~]{16,512}$/.test(token))
    throw new AdminTokenError(
      `${where} must hold 16 to 512 printable ASCII characters and no white space between them`,
    )
  return token
}

/**
 * The token in this file; at the first start a new one of 256 random bits.
 * @throws AdminTokenError
 */
export async function readOrMakeAdminToken(
  path: string,
): Promise<{ readonly token: string; readonly made: boolean }> {
  const token = randomBytes(32).toString('base64url')
  try {
    await makeFile(path, `${token}\n`)
    return { token, made: true }
  } catch (error) {
    if (errorCode(error) !== 'EEXIST')
      throw new AdminTokenError(
        `the admin token: ${path} cannot be made (${errorCode(error) ?? 'unknown'})`,
      )
  }
  const setting = 'the admin token, of which a new one is generated when you remove it'
  const found = await readAdminToken(path, setting)
  await chmod(path, 0o600)
  return { token: found, made: false }
}
