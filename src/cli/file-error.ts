import { errorCode } from '../error-code.js'
import { CommandError } from './output.js'

/**
 * What the file system says of a file is for whoever named it; anything else stays what it is.
 * @param file as it was named, where the error may be of another one beside it
 */
export function fileError(error: unknown, what: 'read' | 'written', file?: string): unknown {
  const code = errorCode(error)
  if (code === undefined) return error
  const { path = 'a file' } = error as { path?: string }
  if (code === 'EEXIST')
    return new CommandError(
      'usage',
      'file_exists',
      `${file ?? 'this file'} is there already; it is not replaced`,
    )
  if (!/^E[A-Z]+$/.test(code)) return error
  return new CommandError('usage', 'file', `${file ?? path} cannot be ${what} (${code})`)
}
