import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { parseAnchor, type Anchor } from './line.js'

/** The lines of an exported log. @throws the error of the file system */
export async function* linesOf(path: string): AsyncGenerator<string> {
  let rest = ''
  // Not readline, which takes more for the end of a line than the one character that is.
  for await (const chunk of createReadStream(path, 'utf8')) {
    const lines = (rest + String(chunk)).split('\n')
    rest = lines.pop()!
    yield* lines
  }
  if (rest !== '') yield rest
}

/**
 * The anchors in files, and how many lines are none: a crash may have left a part of one.
 * @throws the error of the file system
 */
export async function readAnchors(
  paths: readonly string[],
): Promise<{ readonly anchors: readonly Anchor[]; readonly unreadable: number }> {
  const anchors: Anchor[] = []
  let unreadable = 0
  for (const path of paths)
    for (const line of (await readFile(path, 'utf8')).split('\n')) {
      if (line === '') continue
      const anchor = parseAnchor(line)
      if (anchor === undefined) unreadable++
      else anchors.push(anchor)
    }
  return { anchors, unreadable }
}
