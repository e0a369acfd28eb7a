import { relative } from 'node:path'

/** Something the operator should read at start. */
export interface Note {
  readonly level: 'info' | 'warn'
  readonly text: string
}

/** Keeps a note until the server can say it. */
export type TakeNote = (level: Note['level'], text: string) => void

/** A path as the operator would write it here. */
export function shown(path: string): string {
  const short = relative(process.cwd(), path)
  return short.startsWith('..') ? path : `./${short}`
}
