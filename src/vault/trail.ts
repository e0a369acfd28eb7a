import { bytesToHex, type RoomLink } from '@vertex/mpc'
import { VaultError } from './errors.js'
import type { Caller } from './facade.js'
import type { VaultLog } from './log.js'
import { StorageUnavailable, type AuditEntry, type AuditLog, type DeedAction } from './ports.js'
import type { Run } from './runs.js'

/** What is about to be done, and by whom; without a caller by the operator. */
export interface Deed {
  readonly action: DeedAction
  readonly caller?: Caller | undefined
  /** Of the request, if there is no caller; empty when there is none. */
  readonly requestId?: string | undefined
  /** Whose keys it is about, if not the caller's. */
  readonly userId?: string | undefined
  readonly publicKey?: Uint8Array | undefined
  /** What else identifies it; kept as keyed hashes. */
  readonly values?: Readonly<Record<string, string>>
}

/** What a deed finds out on its way. */
export interface Mark {
  publicKey?: Uint8Array
  userId?: string
  values?: Readonly<Record<string, string>>
}

/** Sees to it that what is done with secrets is recorded before and after. docs/spec/audit-log.md */
export class Trail {
  constructor(
    private readonly audit: AuditLog,
    private readonly log: VaultLog,
    /** Whether signatures go on when the audit log cannot be written. */
    private readonly signsUnrecorded: boolean,
  ) {}

  /**
   * Does something that is recorded: nothing happens before the record of it is durable, and nothing is answered before
   * that of its end is.
   * @throws VaultError `storage_unavailable` when it cannot be recorded
   */
  async around<T>(deed: Deed, work: (mark: Mark) => Promise<T>): Promise<T> {
    const of = await this.#begin(deed)
    const mark: Mark = {}
    let result: T
    try {
      result = await work(mark)
    } catch (e) {
      // What went wrong is the answer, whether its record can be written or not.
      await this.#end(deed, of, mark, outcomeOf(e)).catch(() => {
        this.#unwritten(deed)
      })
      throw e
    }
    await this.#end(deed, of, mark, 'done')
    return result
  }

  /**
   * As `around`, for signatures: what is computed does not wait for the record of the beginning, only what leaves does
   * ({@link heldBack}), and the answer does not wait for that of the end. A signature whose end is not recorded has a
   * beginning, which says that it may have been made.
   * @param work is given what begins the record, to be called once it has its turn
   */
  async signing<T>(deed: Deed, work: (begin: Begin) => Promise<T>): Promise<T> {
    let begun: Promise<number | undefined> | undefined
    const begin: Begin = () => {
      begun ??= this.#begin(deed).catch((e: unknown) => {
        if (!this.signsUnrecorded) throw e
        this.#unwritten(deed)
        return undefined
      })
      // Whoever waits for it hears of it, perhaps later than Node expects.
      begun.catch(() => undefined)
      return begun
    }
    let outcome = 'done'
    try {
      const result = await work(begin)
      await begin()
      return result
    } catch (e) {
      outcome = outcomeOf(e)
      throw e
    } finally {
      if (begun !== undefined) void this.#endSoon(deed, begun, outcome)
    }
  }

  async #endSoon(deed: Deed, begun: Promise<number | undefined>, outcome: string): Promise<void> {
    const of = await begun.catch(() => undefined)
    if (of === undefined) return
    try {
      await this.#append(deed, { outcome, of, when: 'soon' })
    } catch {
      this.#unwritten(deed)
    }
  }

  #begin(deed: Deed): Promise<number> {
    return this.#append(deed, { outcome: 'begun', of: 0 })
  }

  #end(deed: Deed, of: number, mark: Mark, outcome: string): Promise<number> {
    const values = { ...deed.values, ...mark.values }
    return this.#append({ ...deed, ...mark, values }, { outcome, of })
  }

  async #append(
    { action, caller, requestId, userId, publicKey, values = {} }: Deed,
    { outcome, of, when = 'now' }: { outcome: string; of: number; when?: 'now' | 'soon' },
  ): Promise<number> {
    const entry: AuditEntry = {
      request: caller?.requestId ?? requestId ?? '',
      actor: caller === undefined ? 'admin' : 'user',
      user: caller?.userId ?? userId ?? '',
      apiKey: caller?.apiKeyId ?? '',
      action,
      key: publicKey === undefined ? '' : this.audit.hash('key', bytesToHex(publicKey)),
      of,
      outcome,
      values: Object.entries(values).map(([name, value]) => [name, this.audit.hash(name, value)]),
    }
    try {
      return await this.audit.append(entry, when)
    } catch (cause) {
      if (!(cause instanceof StorageUnavailable)) this.log({ event: 'audit_refused' })
      throw new VaultError(
        'storage_unavailable',
        'the audit log cannot be written, and nothing is done without it; try again',
        {},
        { cause },
      )
    }
  }

  #unwritten({ action }: Deed): void {
    this.log({ event: 'audit_unwritten', action })
  }
}

/** Writes the record of a beginning, once. @throws VaultError `storage_unavailable` */
export type Begin = () => Promise<unknown>

/**
 * A link that sends nothing before `recorded` has resolved. What is computed meanwhile waits, in order; if it rejects,
 * the run ends with that, and nothing of it has left.
 */
export function heldBack(link: RoomLink, recorded: Promise<unknown>, run: Run): RoomLink {
  let waiting: [to: number, bytes: Uint8Array][] | undefined = []
  recorded.then(
    () => {
      const held = waiting ?? []
      waiting = undefined
      try {
        for (const [to, bytes] of held) link.send(to, bytes)
      } catch {
        // The room has ended meanwhile, as the run hears where it listens.
      }
    },
    (error: unknown) => {
      run.kill(error as VaultError)
    },
  )
  return {
    slot: link.slot,
    size: link.size,
    send(to, bytes) {
      if (waiting === undefined) link.send(to, bytes)
      else waiting.push([to, bytes])
    },
    receive: () => link.receive(),
    leave() {
      link.leave()
    },
  }
}

const outcomeOf = (e: unknown): string => (e instanceof VaultError ? e.errType : 'internal_problem')
