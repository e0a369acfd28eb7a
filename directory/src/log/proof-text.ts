import { parseCheckpoint, type Checkpoint } from './checkpoint.js'
import type { Hash } from './merkle.js'
import { fromBase64, MOST_NOTE_LENGTH, toBase64 } from './note.js'

// A proof that stands by itself. docs/spec/directory-log.md, 3.9.

export interface LogProof {
  /** Empty where there is none. */
  readonly extra: Uint8Array
  readonly index: number
  readonly hashes: readonly Hash[]
  /** Not verified. */
  readonly checkpoint: Checkpoint
}

const FIRST = 'c2sp.org/tlog-proof@v1'
/** No tree of 2⁵³ leaves has a longer path. */
const MOST_HASHES = 63

export function formatLogProof(
  { extra, index, hashes }: Omit<LogProof, 'checkpoint'>,
  checkpoint: string,
): string {
  const lines = [
    FIRST,
    ...(extra.length === 0 ? [] : [`extra ${toBase64(extra)}`]),
    `index ${index}`,
    ...hashes.map(toBase64),
    '',
  ]
  return `${lines.join('\n')}\n${checkpoint}`
}

/** Undefined for anything else. Nothing is verified. */
export function parseLogProof(text: string): LogProof | undefined {
  if (text.length > 2 * MOST_NOTE_LENGTH) return undefined
  const end = text.indexOf('\n\n')
  if (end === -1) return undefined
  const [first, ...lines] = text.slice(0, end).split('\n')
  if (first !== FIRST) return undefined
  const extra = lines[0]?.startsWith('extra ') === true ? lines.shift()!.slice(6) : undefined
  const index = /^index (0|[1-9][0-9]{0,15})$/.exec(lines.shift() ?? '')?.[1]
  const hashes = lines.map(fromBase64)
  const decoded = extra === undefined ? new Uint8Array() : fromBase64(extra)
  const checkpoint = parseCheckpoint(text.slice(end + 2))
  if (index === undefined || !Number.isSafeInteger(Number(index))) return undefined
  if (decoded === undefined || checkpoint === undefined) return undefined
  if (extra !== undefined && decoded.length === 0) return undefined
  if (hashes.length > MOST_HASHES || !hashes.every((hash) => hash?.length === 32)) return undefined
  return { extra: decoded, index: Number(index), hashes: hashes as Hash[], checkpoint }
}
