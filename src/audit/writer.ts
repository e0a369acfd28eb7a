import type { AuditRow, Clock } from '../vault/ports.js'
import { EMPTY, seal, type Entry, type Head } from './chain.js'
import type { AuditKeys } from './keys.js'
import { formatLine, parseLine } from './line.js'
import { DONE } from './record.js'

/** Where the log is kept; a `VaultStore` is one. */
export interface AuditTable {
  appendAudit(
    make: (last: AuditRow | undefined, generation: string) => readonly AuditRow[],
  ): Promise<void>
}

/** What a writer is told of a record; time and generation it adds itself. */
export type NewEntry = Omit<Entry, 'at' | 'generation'>

interface Waiting {
  readonly entry: NewEntry
  readonly at: number
  readonly resolve: (seq: number) => void
  readonly reject: (error: unknown) => void
}

/** How many records one transaction takes at most. */
const MOST = 256

/**
 * Appends to the log by group commit: what comes while a write is under way is written together by the next one, so
 * that operations at the same time share one sync. docs/spec/audit-log.md, section 4.
 */
export class AuditWriter {
  #waiting: Waiting[] = []
  #writing: Promise<void> | undefined
  #head: Head = EMPTY

  constructor(
    private readonly table: AuditTable,
    private readonly keys: AuditKeys,
    private readonly clock: Clock,
  ) {}

  /** The last record that this writer knows to be durable. */
  get head(): Head {
    return this.#head
  }

  /**
   * Resolves with the record's place once it is durable.
   * @throws StorageUnavailable when it could not be written; whether it was is then not known for sure
   */
  append(entry: NewEntry): Promise<number> {
    const at = this.clock.now()
    const written = new Promise<number>((resolve, reject) => {
      this.#waiting.push({ entry, at, resolve, reject })
    })
    this.#writing ??= this.#write()
    return written
  }

  /** Opens a log that has no record, and records a change of generation, if there is anything of it to record. */
  async open(): Promise<void> {
    await this.#together([])
  }

  /** Resolves when all that was appended until now is durable, or could not be written. */
  async idle(): Promise<void> {
    await this.#writing
  }

  async #write(): Promise<void> {
    // What else this turn of the event loop brings is written along.
    await new Promise(setImmediate)
    while (this.#waiting.length > 0) {
      const group = this.#waiting.splice(0, MOST)
      try {
        const first = await this.#together(group)
        group.forEach(({ resolve }, i) => {
          resolve(first + i)
        })
      } catch (error) {
        for (const { reject } of group) reject(error)
      }
    }
    this.#writing = undefined
  }

  /** Answers the place of the first of them. */
  async #together(group: readonly Waiting[]): Promise<number> {
    let head = EMPTY
    let first = 0
    await this.table.appendAudit((last, generation) => {
      const rows: AuditRow[] = []
      const put = (entry: Entry) => {
        const sealed = seal(this.keys, head, entry)
        head = { seq: sealed.record.seq, hash: sealed.hash }
        rows.push({ seq: head.seq, line: formatLine(sealed) })
      }
      const before = readLast(last)
      head = before.head
      if (before.generation !== generation)
        put({ ...ofServer, action: before.change, at: this.clock.now(), generation })
      first = head.seq + 1
      for (const { entry, at } of group) put({ ...entry, at, generation })
      return rows
    })
    this.#head = head
    return first
  }
}

/** What the last record says of the log; `change` is what must be recorded if the generation is another now. */
function readLast(last: AuditRow | undefined) {
  if (last === undefined) return { head: EMPTY, generation: '', change: 'log_opened' }
  const sealed = parseLine(last.line)
  // To chain on to it would hide that it was changed.
  if (sealed?.record.seq !== last.seq)
    throw new Error('the last record of the audit log is damaged: check it with the vertex command')
  const { record, hash } = sealed
  return {
    head: { seq: record.seq, hash },
    generation: record.generation,
    change: 'generation_changed',
  }
}

const ofServer = {
  request: '',
  actor: 'server',
  user: '',
  apiKey: '',
  key: '',
  of: 0,
  outcome: DONE,
  values: [],
} as const
