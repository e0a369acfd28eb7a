import { createHash, randomBytes } from 'node:crypto'
import { MoreThan } from 'typeorm'
import {
  decodeEntry,
  encodeEntry,
  formatVerifierKey,
  leafHash,
  openCheckpoint,
  parseCheckpoint,
  rootOf,
  SALT_BYTES,
  signCheckpoint,
  subjectHash,
  tileBytes,
  verifierOf,
  type SignerKey,
  type TreeHead,
  type VerifierKey,
} from '@vertex/directory/log'
import type { Unit, UnitStore } from '../../store/index.js'
import { StorageUnavailable, type AuditRow, type Clock } from '../../vault/ports.js'
import {
  LEAVES,
  STATE,
  STATE_ID,
  TILES,
  type LeafRow,
  type StateRow,
  type TileRow,
} from './tables.js'
import { assertContinues, edgeAt, LogRefused, tilesIn } from './tree.js'

/** What the log tells its operator. */
export type LogEvent =
  /** What its checkpoints are verified with. */
  | { readonly event: 'log_opened'; readonly origin: string; readonly verifier_key: string }
  /** The log is not as this server left it, and is not continued. */
  | { readonly event: 'log_refused'; readonly reason: string }
  /** Entries wait: the log could not be written for a while. It is tried again after `retry_s` seconds. */
  | { readonly event: 'log_delayed'; readonly reason: string; readonly retry_s: number }

export interface AppenderParts {
  readonly store: UnitStore
  /** The name of the log's key is its origin. */
  readonly signer: SignerKey
  /** Of the database, for which the key was derived. */
  readonly generation: string
  readonly clock: Clock
  /** Whether this process may write now. */
  readonly mayWrite: () => boolean
  readonly log: (event: LogEvent) => void
}

/** How often it looks for new entries. Milliseconds. */
const EVERY_MS = 250
/** How long it waits at most after a look that failed; the first wait is the usual one, and each failure doubles it. */
const LONGEST_WAIT_MS = 30_000
/** From this wait on it is said: what was over sooner is nobody's concern. Milliseconds. */
const SAID_FROM_MS = 16_000
/** How long records of the audit log wait at most to be committed to. Milliseconds. */
const AUDIT_EVERY_MS = 5_000
/** So many of them are a batch without waiting: 2.7 allows more, but one batch must not hold up the process. */
const AUDIT_MOST = 512
/** Entries of one transaction. */
const MOST = 1_024
/** How long the last look may take when the server is about to end. */
const LAST_PATIENCE_MS = 3_000

/**
 * Gives entries their places, one batch after the other, and signs checkpoints of what is durable.
 * docs/spec/directory-log.md, section 6.
 */
export class Appender {
  readonly key: VerifierKey
  /** The last tree that this process has signed, or found signed. */
  #signed: TreeHead | undefined
  /** The kept checkpoint that was last verified, or made: verifying takes longer than all else of a turn. */
  #verified: { readonly text: string; readonly head: TreeHead } | undefined
  #refused = false
  /** Looks that failed since the last one that did not. */
  #failures = 0
  /** When it looks again after a failure, on the clock of `performance`. */
  #looksAgainAt = -Infinity
  #auditedAt = -Infinity
  #timer: NodeJS.Timeout | undefined
  #turn: Promise<void> | undefined
  #ended = false

  constructor(private readonly parts: AppenderParts) {
    this.key = verifierOf(parts.signer)
  }

  /** Looks for new entries from now on. */
  begin(): void {
    this.parts.log({
      event: 'log_opened',
      origin: this.key.name,
      verifier_key: formatVerifierKey(this.key),
    })
    this.#timer = setInterval(() => void this.turn(), EVERY_MS)
    this.#timer.unref()
    void this.turn()
  }

  /** Takes in what there is, if that is quickly done, and ends. */
  async end(): Promise<void> {
    clearInterval(this.#timer)
    let late: NodeJS.Timeout | undefined
    const patience = new Promise<void>((resolve) => (late = setTimeout(resolve, LAST_PATIENCE_MS)))
    await Promise.race([this.#lastTurn(), patience])
    clearTimeout(late)
    this.#ended = true
  }

  async #lastTurn(): Promise<void> {
    await this.#turn
    this.#auditedAt = -Infinity
    this.#looksAgainAt = -Infinity
    await this.turn()
  }

  /** One look, and as many batches as there are. Who asks while one is under way gets that one. Never throws. */
  turn(): Promise<void> {
    this.#turn ??= this.#look().finally(() => (this.#turn = undefined))
    return this.#turn
  }

  async #look(): Promise<void> {
    if (performance.now() < this.#looksAgainAt) return
    try {
      while (!this.#refused && !this.#ended && this.parts.mayWrite() && (await this.#step()));
      this.#failures = 0
    } catch (error) {
      if (error instanceof LogRefused) {
        this.#refused = true
        this.parts.log({ event: 'log_refused', reason: error.message })
      } else this.#delay(error)
    }
  }

  /** Only what was found in the tables ends the log. Nothing was kept of what failed, and it is tried again, ever later. */
  #delay(error: unknown): void {
    const wait = Math.min(EVERY_MS * 2 ** this.#failures++, LONGEST_WAIT_MS)
    this.#looksAgainAt = performance.now() + wait
    if (wait < SAID_FROM_MS) return
    const name = error instanceof Error ? error.name : 'unknown'
    const reason =
      error instanceof StorageUnavailable
        ? 'the database is not available'
        : `this should not have happened (${name})`
    this.parts.log({ event: 'log_delayed', reason, retry_s: wait / 1000 })
  }

  /** Answers whether there may be more to do at once. */
  async #step(): Promise<boolean> {
    const [found] = await this.parts.store.select(
      `SELECT size, audit_seq,
        (SELECT min(id) FROM ${LEAVES} WHERE idx IS NULL) AS waiting,
        (SELECT max(seq) FROM audit_records) AS recorded
      FROM ${STATE}`,
      [],
    )
    if (found === undefined) {
      await this.parts.store.inLog((unit) => begin(unit))
      await this.#sign()
      return true
    }
    const number = (name: string) => Number(found[name] ?? 0)
    const records = number('recorded') - number('audit_seq')
    const due = performance.now() - this.#auditedAt >= AUDIT_EVERY_MS
    const audit = records >= AUDIT_MOST || (due && records > 0)
    if (number('waiting') > 0 || audit) {
      const more = await this.parts.store.inLog((unit) => this.#append(unit, audit))
      if (audit && records <= AUDIT_MOST) this.#auditedAt = performance.now()
      await this.#sign()
      return more || records > AUDIT_MOST
    }
    // A crash, of this process or another, may have come between the two.
    if (this.#signed?.size !== number('size')) await this.#sign()
    return false
  }

  /** Answers whether it left some behind. */
  async #append(unit: Unit, audit: boolean): Promise<boolean> {
    const { state, read } = await this.#own(unit)
    const rows = await unit.verb((manager) =>
      manager
        .createQueryBuilder<LeafRow>(LEAVES, 'leaf')
        .where('leaf.idx IS NULL')
        .orderBy('leaf.id')
        .take(MOST)
        .getMany(),
    )
    for (const { id, entry } of rows)
      if (decodeEntry(new Uint8Array(entry)) === undefined)
        throw new LogRefused(`entry ${id}, which waits for its place, is not one of this server`)
    const batch = audit ? await this.#auditBatch(unit, state) : undefined
    if (batch !== undefined) rows.push(batch.row)
    if (rows.length === 0) return false
    const edge = await edgeAt(read, state.size)
    const changed = edge.append(rows.map(({ entry }) => leafHash(new Uint8Array(entry))))
    const places = rows.map(({ id }, i) => `(${id}, ${state.size + i})`).join()
    await unit.verb(async (manager) => {
      await manager.query(
        `UPDATE ${LEAVES} SET idx = v.column2 FROM (VALUES ${places}) AS v WHERE ${LEAVES}.id = v.column1`,
      )
      await manager.upsert<TileRow>(
        TILES,
        changed.map(({ level, n, hashes }) => ({
          level,
          n,
          hashes: Buffer.from(tileBytes(hashes)),
        })),
        ['level', 'n'],
      )
      await manager.update<StateRow>(
        STATE,
        { id: STATE_ID },
        { size: edge.size, auditSeq: batch?.last ?? state.auditSeq },
      )
    })
    return rows.length >= MOST
  }

  /** The entry for the records that no batch has yet, from the first one on. 2.7 @throws LogRefused for a gap */
  async #auditBatch(unit: Unit, { auditSeq }: StateRow) {
    const records = await unit.verb((manager) =>
      manager.find<AuditRow>('audit_records', {
        where: { seq: MoreThan(auditSeq) },
        order: { seq: 'ASC' },
        take: AUDIT_MOST,
      }),
    )
    const [first, last] = [records[0], records.at(-1)]
    if (first === undefined || last === undefined) return undefined
    if (first.seq !== auditSeq + 1 || last.seq !== auditSeq + records.length)
      throw new LogRefused(`the audit log has a gap after record ${auditSeq}`)
    const kind = 'audit-batch'
    const range = `${first.seq}-${last.seq}`
    const salt = randomBytes(SALT_BYTES)
    const entry = encodeEntry({
      kind,
      subject: subjectHash(kind, salt, range),
      digest: rootOf(records.map(({ line }) => lineHash(line))),
      time: this.parts.clock.now(),
    })
    const row = { idx: null, kind, source: range, salt, entry: Buffer.from(entry) }
    const { identifiers } = await unit.verb((manager) => manager.insert<LeafRow>(LEAVES, row))
    return { row: { ...row, id: Number(identifiers[0]!['id']) }, last: last.seq }
  }

  /** Signs what the database says is durable, and keeps that. 6.3 */
  async #sign(): Promise<void> {
    const { signer } = this.parts
    this.#signed = await this.parts.store.inLog(async (unit) => {
      const { state, kept, read } = await this.#own(unit)
      const { size } = state
      const root = (await edgeAt(read, size)).root()
      if (kept?.size === size) return { size, root }
      const text = signCheckpoint({ size, root }, signer)
      this.#verified = { text, head: { size, root } }
      await unit.verb((manager) =>
        manager.update<StateRow>(STATE, { id: STATE_ID }, { checkpoint: text }),
      )
      return { size, root }
    })
  }

  /**
   * How far the log is, if it is the one that this server left: in its generation, continuing what this server has signed
   * and what another one may have signed meanwhile. 6.4 @throws LogRefused
   */
  async #own(unit: Unit) {
    await this.#assertGeneration(unit)
    const state = await stateOf(unit)
    const kept = this.#openKept(state.checkpoint)
    const read = tilesIn(unit)
    for (const signed of [this.#signed, kept]) await assertContinues(read, signed, state.size)
    return { state, kept, read }
  }

  /** The checkpoint that is kept, if it is one of this log. @throws LogRefused */
  #openKept(text: string): TreeHead | undefined {
    if (this.#verified?.text === text) return this.#verified.head
    if (parseCheckpoint(text)?.origin !== this.key.name) return undefined
    const kept = openCheckpoint(text, this.key)
    if (kept === undefined)
      throw new LogRefused('the checkpoint that is kept was not made by this server')
    this.#verified = { text, head: kept }
    return kept
  }

  /** 5.4 @throws LogRefused */
  async #assertGeneration(unit: Unit): Promise<void> {
    const meta = await unit.verb((manager) =>
      manager.findOne<{ id: number; generation: string }>('meta', { where: { id: 1 } }),
    )
    if (meta?.generation !== this.parts.generation)
      throw new LogRefused('the generation of the database is not the one this server began with')
  }
}

/** As leafHash, by OpenSSL: there are many of them, and signatures wait meanwhile. */
const lineHash = (line: string): Uint8Array =>
  new Uint8Array(createHash('sha256').update('\0').update(line, 'utf8').digest())

async function stateOf(unit: Unit): Promise<StateRow> {
  const found = await unit.verb((manager) =>
    manager.findOne<StateRow>(STATE, { where: { id: STATE_ID } }),
  )
  if (found === null) throw new LogRefused('what says how far the log is is gone')
  return found
}

/** The log of a new database, unless another server has begun it. */
async function begin(unit: Unit): Promise<void> {
  await unit.verb(async (manager) => {
    if (await manager.existsBy(STATE, { id: STATE_ID })) return
    if (await manager.existsBy(LEAVES, { idx: 0 }))
      throw new LogRefused('what says how far the log is is gone')
    await manager.insert<StateRow>(STATE, { id: STATE_ID, size: 0, auditSeq: 0, checkpoint: '' })
  })
}
