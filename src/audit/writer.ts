import type { AuditRow, Clock, MakeAudit } from '../vault/ports.js'
import { EMPTY, seal, sealProblem, type Entry, type Head } from './chain.js'
import { hashValue, type AuditKeys } from './keys.js'
import { formatLine, parseLine } from './line.js'
import { ofServer } from './record.js'

/** Where the log is kept; a `VaultStore` is one. */
export interface AuditTable {
  appendAudit(make: MakeAudit, own?: number): Promise<void>
}

/** What a writer is told of a record; time and generation it adds itself. */
export type NewEntry = Omit<Entry, 'at' | 'generation'>

interface Waiting {
  readonly entry: NewEntry
  readonly at: number
  readonly resolve: (seq: number) => void
  readonly reject: (error: unknown) => void
}

/** The last record that this writer knows to be durable. */
interface Last extends Head {
  readonly line: string
  readonly generation: string
}

/** How many records one transaction takes at most. */
const MOST = 256

/** How long what nobody waits for may wait for others to be written with. Milliseconds. */
const SOON_MS = 100

/**
 * Appends to the log by group commit: what comes while a write is under way is written together by the next one, so
 * that operations at the same time share one sync. docs/spec/audit-log.md, section 4.
 */
export class AuditWriter {
  #waiting: Waiting[] = []
  /** Whether somebody waits for one of them. */
  #urgent = false
  #soon: NodeJS.Timeout | undefined
  #writing: Promise<void> | undefined
  /** Of how many records that is. */
  #underWay = 0
  #last: Last | undefined
  #failing = false
  #resuming: Promise<boolean> | undefined

  constructor(
    private readonly table: AuditTable,
    private readonly keys: AuditKeys,
    private readonly clock: Clock,
  ) {}

  /** The last record that this writer knows to be durable. */
  get head(): Head & { readonly generation: string } {
    return this.#last ?? { ...EMPTY, generation: '' }
  }

  /** Records that are being written or wait for it. */
  get pending(): number {
    return this.#waiting.length + this.#underWay
  }

  /**
   * Resolves with the record's place once it is durable.
   * @param when `soon` for what nobody waits for: it is written along with the next record that somebody waits for, or
   * after {@link SOON_MS}
   * @throws StorageUnavailable when it could not be written; whether it was is then not known for sure
   */
  append(entry: NewEntry, when: 'now' | 'soon' = 'now'): Promise<number> {
    const at = this.clock.now()
    const written = new Promise<number>((resolve, reject) => {
      this.#waiting.push({ entry, at, resolve, reject })
    })
    if (when === 'now') this.#writeAll()
    else if (this.#writing === undefined) this.#soon ??= setTimeout(() => this.#writeAll(), SOON_MS)
    return written
  }

  /** Keyed hash of a value, for a record. */
  hash(name: string, value: string): string {
    return hashValue(this.keys.values, name, value)
  }

  /**
   * Opens a log that has no record, and records a change of generation, if there is anything of it to record.
   * @throws StorageUnavailable; another error when nothing must be chained on to this log
   */
  async open(): Promise<void> {
    await this.#together([])
  }

  /**
   * Whether the log can be written, as far as is known. After a failure that is found out by writing, since a log that
   * can be read may have no room: the record says that the log goes on.
   */
  async check(): Promise<boolean> {
    if (!this.#failing) return true
    this.#resuming ??= this.append({ ...ofServer, action: 'log_resumed' })
      .then(
        () => true,
        () => false,
      )
      .finally(() => (this.#resuming = undefined))
    return this.#resuming
  }

  /** Resolves when all that was appended until now is durable, or could not be written. */
  async idle(): Promise<void> {
    if (this.#waiting.length > 0) this.#writeAll()
    await this.#writing
  }

  #writeAll(): void {
    clearTimeout(this.#soon)
    this.#soon = undefined
    this.#urgent = true
    this.#writing ??= this.#write()
  }

  async #write(): Promise<void> {
    // What else this turn of the event loop brings is written along.
    await new Promise(setImmediate)
    while (this.#urgent) {
      const group = this.#waiting.splice(0, MOST)
      this.#urgent = this.#waiting.length > 0
      this.#underWay = group.length
      try {
        const first = await this.#together(group)
        group.forEach(({ resolve }, i) => {
          resolve(first + i)
        })
      } catch (error) {
        for (const { reject } of group) reject(error)
      } finally {
        this.#underWay = 0
      }
    }
    this.#writing = undefined
    if (this.#waiting.length > 0) this.#soon = setTimeout(() => this.#writeAll(), SOON_MS)
  }

  /** Answers the place of the first of them. */
  async #together(group: readonly Waiting[]): Promise<number> {
    let made: Last | undefined
    let first = 0
    const mine = this.#last
    const make: MakeAudit = (last, generation, own) => {
      const rows: AuditRow[] = []
      let head = this.#follow(mine, last, generation, own)
      const put = (entry: Entry) => {
        const sealed = seal(this.keys, head, entry)
        const row = { seq: sealed.record.seq, line: formatLine(sealed) }
        head = made = { ...row, hash: sealed.hash, generation }
        rows.push(row)
      }
      made = head
      if (head.generation !== generation)
        put({
          ...ofServer,
          action: head.seq === 0 ? 'log_opened' : 'generation_changed',
          at: this.clock.now(),
          generation,
        })
      first = head.seq + 1
      for (const { entry, at } of group) put({ ...entry, at, generation })
      return rows
    }
    try {
      await this.table.appendAudit(make, mine?.seq)
    } catch (error) {
      this.#failing = true
      throw error
    }
    this.#failing = false
    this.#last = made
    return first
  }

  /**
   * What the next record is chained on to.
   * @param own the record in the place of `mine`, where the last one is later
   * @throws Error when that would hide something: that the last record was changed, that records are gone, or that
   * the generation was changed under this server
   */
  #follow(
    mine: Last | undefined,
    last: AuditRow | undefined,
    generation: string,
    own: AuditRow | undefined,
  ): Last {
    // Whoever gives it another one needs every server stopped. Recorded here, it would excuse an end that was cut off.
    if (mine !== undefined && mine.generation !== generation) throw new Error(OTHER_GENERATION)
    if (mine !== undefined && last?.seq === mine.seq && last.line === mine.line) return mine
    // After it another server may have written, or this one what it was not told of; in its place nobody.
    if (mine !== undefined && (own?.seq !== mine.seq || own.line !== mine.line))
      throw new Error(
        'the audit log does not have what this server wrote: the database was changed or put back under it',
      )
    if (last === undefined) return { ...EMPTY, line: '', generation: '' }
    const sealed = parseLine(last.line)
    // A record of another server has its code; what somebody else put there must not get a successor that has one.
    if (sealed?.record.seq !== last.seq || sealProblem(sealed, this.keys.chain) !== undefined)
      throw new Error(
        'the last record of the audit log is damaged or was not made with this storage key: check it with vertex audit verify',
      )
    // A true record of the time before a restore, put back behind this server's.
    if (mine !== undefined && sealed.record.generation !== generation)
      throw new Error(OTHER_GENERATION)
    return { ...last, hash: sealed.hash, generation: sealed.record.generation }
  }
}

const OTHER_GENERATION =
  'the generation of the database, or of its last record, is not the one this server wrote in: it was changed or put back under it'
