import { open } from 'node:fs/promises'
import { dirname } from 'node:path'
import { errorCode } from '../error-code.js'
import { AnchorRefused, type AnchorPlace } from './anchoring.js'

const NEWLINE = 0x0a

/** A file to which anchors are appended; on a volume that whoever writes the database cannot write. */
export function anchorFile(path: string): AnchorPlace {
  return {
    kind: 'file',
    async append(line) {
      try {
        await append(path, line)
      } catch (error) {
        throw new AnchorRefused(errorCode(error) ?? 'unknown', { cause: error })
      }
    },
  }
}

/** Opened each time, so that it may be moved away; durable when this resolves. */
async function append(path: string, line: string): Promise<void> {
  const file = await open(path, 'a+', 0o600)
  try {
    const { size } = await file.stat()
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, Math.max(0, size - 1))
    // What a crash left of a line must not swallow this one.
    const gap = size > 0 && buffer[0] !== NEWLINE ? '\n' : ''
    await file.appendFile(`${gap}${line}\n`)
    await file.sync()
    if (size > 0) return
  } finally {
    await file.close()
  }
  const directory = await open(dirname(path), 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}
