/** What a check of the log finds. docs/spec/directory-log.md, section 7. */
export type LogProblem =
  | 'checkpoint_unsigned'
  | 'entry_missing'
  | 'entry_malformed'
  | 'entry_changed'
  | 'tile_changed'
  | 'root_changed'
  | 'not_continued'
  | 'row_changed'
  | 'row_missing'
  | 'row_not_logged'
  | 'audit_changed'
  | 'audit_gap'
  | 'split_view'
  | 'unproven'

/** The first thing that is wrong. */
export class LogBad extends Error {
  override readonly name = 'LogBad'
  /**
   * @param what for people: which entry, tile or row, and in what way
   * @param index of the entry, where it is about one
   */
  constructor(
    readonly problem: LogProblem,
    readonly what: string,
    readonly index?: number,
  ) {
    super(what)
  }
}

/** A log that is in order. */
export interface GoodLog {
  readonly origin: string
  /** Entries of the last checkpoint. */
  readonly size: number
  readonly root: Uint8Array
  /** Of each kind. */
  readonly kinds: Readonly<Record<string, number>>
}

/** Says how far a check is. */
export type Progress = (text: () => string) => void
