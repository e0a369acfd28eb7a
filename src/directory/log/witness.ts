import {
  cosign,
  openCheckpoint,
  type Checkpoint,
  type SignerKey,
  type VerifierKey,
} from '@vertex/directory/log'
import { LogBad } from './problem.js'
import { continues, lastCheckpoint, type Get } from './published.js'

/** What a witness has seen. */
export interface Seen {
  /** `older`: an old view, which the kept checkpoint continues; it is not kept. */
  readonly what: 'first' | 'same' | 'newer' | 'older'
  readonly origin: string
  readonly size: number
  /** How many entries the checkpoint had that was kept before. */
  readonly before: number
  /** What to keep from now on: the checkpoint, with the witness's own signature if it gives one. */
  readonly keep: string
}

/** Two checkpoints, each signed by the log, that contradict each other. */
export class SplitView extends LogBad {
  constructor(
    what: string,
    /** Both, as they were signed. */
    readonly evidence: readonly [kept: string, shown: string],
  ) {
    super('split_view', what)
  }
}

/**
 * Looks at a log once: whether what it shows now continues what it showed before. 7
 * @param kept what the last look said is to be kept
 * @param cosigner signs what was checked; undefined to sign nothing
 * @throws LogBad, SplitView, LogUnreachable
 */
export async function witness(
  get: Get,
  key: VerifierKey,
  kept: string | undefined,
  cosigner: SignerKey | undefined,
  seconds: number,
): Promise<Seen> {
  const before = kept === undefined ? undefined : openCheckpoint(kept, key)
  if (kept !== undefined && before === undefined)
    throw new LogBad('checkpoint_unsigned', 'the checkpoint that was kept is not of this log')
  const now = await lastCheckpoint(get, key)
  const { origin, size } = now
  const keep = cosigner === undefined ? now.text : cosigned(now, key, cosigner, seconds)
  if (before === undefined || kept === undefined)
    return { what: 'first', origin, size, before: 0, keep }
  const [older, newer] = now.size < before.size ? [now, before] : [before, now]
  if (!(await continues(get, older, newer)))
    throw new SplitView(
      older.size === newer.size
        ? `the log has signed two trees of ${size} entries`
        : `the log has signed ${newer.size} entries that do not continue the ${older.size} it had signed`,
      [kept, now.text],
    )
  if (now.size < before.size)
    return { what: 'older', origin, size, before: before.size, keep: kept }
  if (now.size > before.size) return { what: 'newer', origin, size, before: before.size, keep }
  // With the signatures it has, where no newer one is given.
  return { what: 'same', origin, size, before: before.size, keep: cosigner ? keep : kept }
}

/**
 * The checkpoint with the log's signature and the witness's, and no other line: the log chooses those, and with enough of
 * them the next look could not read what this one has kept. @throws LogBad for a text that leaves no room
 */
function cosigned(
  checkpoint: Checkpoint,
  key: VerifierKey,
  witness: SignerKey,
  seconds: number,
): string {
  const { text, signatures } = checkpoint.note
  const own = signatures.find(({ name, keyId }) => name === key.name && keyId === key.keyId)
  const keep = `${text}\n${own!.line}\n${cosign(checkpoint, witness, seconds)}\n`
  if (openCheckpoint(keep, key) === undefined)
    throw new LogBad('checkpoint_unsigned', 'the checkpoint has no room for a cosignature')
  return keep
}
