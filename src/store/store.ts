import { AsyncLocalStorage } from 'node:async_hooks'
import { randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { QueryRunner } from 'typeorm'
import {
  StorageUnavailable,
  type AuditRow,
  type MakeAudit,
  type UnitOfWork,
  type VaultStore,
} from '../vault/ports.js'
import { appendAfter, isBefore, type AuditEnd } from './audit.js'
import type { DatabaseEngine, Row, SqlValue } from './engine.js'
import { classify, type Failure } from './errors.js'
import { FifoQueue } from './queue.js'
import type { Sealer } from './sealer.js'
import { readForSigning } from './signing.js'
import { StoreUnitOfWork } from './unit-of-work.js'
import { Unit } from './unit.js'

/** A unit is database work only; one that takes longer waits for something it must not wait for. */
const UNIT_TIMEOUT_MS = 30_000
/** A unit that loses this many races against others is answered as if the database were not there. */
const MAX_ATTEMPTS = 12
/** A conflict may be a race that was just lost; the second look sees what the other unit has committed. */
const MAX_CONFLICTS = 2
/** How long one write proves that the next is possible. Anybody may ask for readiness, so not each time anew. */
const WRITE_PROOF_MS = 1_000

/** The statements that open a transaction. */
type Begin = readonly string[]

interface Current {
  readonly unit: Unit
  readonly verbs: StoreUnitOfWork
}

/** What a part of the service needs that keeps its rows beside the vault's. */
export interface UnitStore {
  /** One unit of work, as `VaultStore.run` describes it; one inside another joins it. @throws StorageUnavailable */
  inUnit<T>(work: (unit: Unit) => Promise<T>): Promise<T>
  /**
   * A unit that has the directory's log for itself, on all servers of one database, and sees all that was committed
   * before. Not to be called inside of another one. @throws StorageUnavailable
   */
  inLog<T>(work: (unit: Unit) => Promise<T>): Promise<T>
  /** As `inLog`, with the keyserver's chain and all that is written beside it. @throws StorageUnavailable */
  inChain<T>(work: (unit: Unit) => Promise<T>): Promise<T>
  /**
   * One SELECT by itself, outside of every unit: of one moment, and committed.
   * @param sql with parameters $1, $2, …, each used once and in order
   * @throws StorageUnavailable
   */
  select(sql: string, values: readonly SqlValue[]): Promise<readonly Row[]>
  /**
   * One INSERT, UPDATE or DELETE with RETURNING by itself, outside of every unit: committed, and synced, when this
   * resolves. Of two that want the same row under a condition that the first makes untrue, one finds nothing.
   * @param sql with parameters $1, $2, …, each used once and in order
   * @throws StorageUnavailable
   */
  change(sql: string, values: readonly SqlValue[]): Promise<readonly Row[]>
}

/** The vault's store on TypeORM. Made by `openStore`. */
export class TypeormStore implements VaultStore, UnitStore {
  readonly #current = new AsyncLocalStorage<Current>()
  /** On one connection: every unit. Else: the units that lost a race, so that they do not lose it to each other. */
  readonly #queue = new FifoQueue()
  /** Units that append to the keyserver's chain: those that wait for it hold no connection, which others need. */
  readonly #chain = new FifoQueue()
  readonly #under = new Set<Promise<unknown>>()
  #closing: Promise<void> | undefined
  #checking: Promise<void> | undefined
  /** How the audit log ended when this process last saw it. */
  #auditEnd: AuditEnd | undefined
  /** When a check last wrote, on the clock of `performance`. */
  #wroteAt = -Infinity

  constructor(
    private readonly engine: DatabaseEngine,
    private readonly sealer: Sealer,
  ) {}

  /** Units of work and reads that have begun or wait for their turn. */
  get pending(): number {
    return this.#under.size
  }

  run<T>(work: (uow: UnitOfWork) => Promise<T>): Promise<T> {
    return this.runVerbs(work)
  }

  /** As `run`, with the verbs that only opening needs. */
  async runVerbs<T>(work: (uow: StoreUnitOfWork) => Promise<T>): Promise<T> {
    const current = this.#current.getStore()
    if (current?.unit.isOpen === true) return join(current, work)
    return this.#begin([this.engine.begin], work)
  }

  inUnit<T>(work: (unit: Unit) => Promise<T>): Promise<T> {
    return this.runVerbs(({ unit }) => work(unit))
  }

  inLog<T>(work: (unit: Unit) => Promise<T>): Promise<T> {
    return this.#outermost(this.engine.beginLogging, work)
  }

  inChain<T>(work: (unit: Unit) => Promise<T>): Promise<T> {
    return this.#chain.add(() => this.#outermost(this.engine.beginChaining, work))
  }

  async #outermost<T>(begin: Begin, work: (unit: Unit) => Promise<T>): Promise<T> {
    if (this.#current.getStore()?.unit.isOpen === true)
      throw new Error('what needs a lock of its own is not written inside of a unit of work')
    return this.#begin(begin, ({ unit }) => work(unit))
  }

  change(sql: string, values: readonly SqlValue[]): Promise<readonly Row[]> {
    return this.select(sql, values)
  }

  async select(sql: string, values: readonly SqlValue[]): Promise<readonly Row[]> {
    try {
      return await this.#alone(() => this.engine.statement(sql, values))
    } catch (thrown) {
      const failure = classify(thrown)
      throw failure.kind === 'lost_race' ? new StorageUnavailable() : failure.error
    }
  }

  async appendAudit(make: MakeAudit, own?: number): Promise<void> {
    if (this.#current.getStore()?.unit.isOpen === true)
      throw new Error('the audit log is not written inside of a unit of work')
    if (await this.#appendByBelief(make, own)) return
    this.#auditEnd = await this.#begin(this.engine.beginAppending, async ({ meta, audit }) => {
      const { generation } = await meta.get()
      const last = await audit.head()
      const rows = make(last, generation, isBefore(own, last) ? await audit.at(own) : undefined)
      await audit.append(rows)
      return { last: rows.at(-1) ?? last, generation }
    })
  }

  /** One statement in place of a transaction, if this process saw how the log ended and there is nobody else. */
  async #appendByBelief(make: MakeAudit, own: number | undefined): Promise<boolean> {
    const believed = this.#auditEnd
    // Where another one wrote last, the record at `own` is read too, which is done under the lock.
    if (believed === undefined || isBefore(own, believed.last)) return false
    this.#auditEnd = undefined
    const rows = make(believed.last, believed.generation, undefined)
    // Whoever appends nothing wants to know how it ends.
    if (rows.length === 0) return false
    const appended = await this.#alone(() => appendAfter(this.engine, believed, rows))
    if (appended) this.#auditEnd = { ...believed, last: rows.at(-1) }
    return appended
  }

  readAudit(after: number, most: number): Promise<readonly AuditRow[]> {
    return this.runVerbs(({ audit }) => audit.after(after, most))
  }

  async #begin<T>(begin: Begin, work: (uow: StoreUnitOfWork) => Promise<T>): Promise<T> {
    if (this.#closing !== undefined) throw new StorageUnavailable()
    const result = this.engine.oneConnection
      ? this.#queue.add(() => this.#once(begin, work).then(take))
      : this.#retrying(begin, work)
    this.#under.add(result)
    try {
      return await result
    } finally {
      this.#under.delete(result)
    }
  }

  async readForSigning(userId: string, keyId: string, since: number) {
    const asked = { userId, keyId, since }
    try {
      return await this.#alone(() => readForSigning(this.engine, this.sealer, asked))
    } catch (thrown) {
      const failure = classify(thrown)
      throw failure.kind === 'lost_race' ? new StorageUnavailable() : failure.error
    }
  }

  /** Runs a single statement. On one connection between two units: inside of one it would be part of it. */
  async #alone<T>(statement: () => Promise<T>): Promise<T> {
    if (this.#closing !== undefined) throw new StorageUnavailable()
    const result = this.engine.oneConnection ? this.#queue.add(statement) : statement()
    this.#under.add(result)
    try {
      return await result
    } finally {
      this.#under.delete(result)
    }
  }

  /** One at a time: those who ask meanwhile get the same answer. */
  check(): Promise<void> {
    this.#checking ??= this.#check().finally(() => (this.#checking = undefined))
    return this.#checking
  }

  async #check(): Promise<void> {
    const now = performance.now()
    if (now - this.#wroteAt < WRITE_PROOF_MS) await this.run((uow) => uow.meta.get())
    else {
      await this.runVerbs((uow) => uow.meta.touch(Date.now()))
      this.#wroteAt = now
    }
    if (this.engine.oneConnection) return
    try {
      await this.engine.assertDurable()
    } catch (cause) {
      throw cause instanceof StorageUnavailable ? cause : new StorageUnavailable({ cause })
    }
  }

  close(): Promise<void> {
    this.#closing ??= Promise.allSettled(this.#under).then(() => this.engine.close())
    return this.#closing
  }

  async #retrying<T>(begin: Begin, work: (uow: StoreUnitOfWork) => Promise<T>): Promise<T> {
    let conflicts = 0
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
      const outcome =
        attempt === 1
          ? await this.#once(begin, work)
          : await this.#queue.add(() => this.#again(begin, work))
      if (!('failure' in outcome)) return outcome.value
      const { failure } = outcome
      if (failure.kind === 'conflict' && ++conflicts < MAX_CONFLICTS) continue
      if (failure.kind !== 'lost_race') throw failure.error
    }
    throw new StorageUnavailable({ cause: new Error('lost too many races') })
  }

  /** After a moment, unequal between processes. */
  async #again<T>(begin: Begin, work: (uow: StoreUnitOfWork) => Promise<T>): Promise<Outcome<T>> {
    await sleep(randomInt(10))
    return this.#once(begin, work)
  }

  async #once<T>(begin: Begin, work: (uow: StoreUnitOfWork) => Promise<T>): Promise<Outcome<T>> {
    const runner = this.engine.dataSource.createQueryRunner()
    const unit = new Unit(runner.manager, this.sealer)
    const outcome = await this.#transaction(runner, unit, begin, work)
    // Neither throws for a connection that is gone: the pool drops it.
    const done = unit.isSettled ? runner.release() : this.engine.discard(runner)
    await done.catch(() => undefined)
    return outcome
  }

  async #transaction<T>(
    runner: QueryRunner,
    unit: Unit,
    begin: Begin,
    work: (uow: StoreUnitOfWork) => Promise<T>,
  ): Promise<Outcome<T>> {
    try {
      for (const statement of begin) await runner.query(statement)
    } catch (thrown) {
      return { failure: classify(thrown) }
    }
    const current = { unit, verbs: new StoreUnitOfWork(unit) }
    let result: { value: T } | { thrown: unknown }
    try {
      const value = await withTimeout(this.#current.run(current, () => work(current.verbs)))
      result = { value }
    } catch (thrown) {
      result = { thrown }
    }
    await unit.end()
    // What the database said first counts, whatever the work made of it.
    const failure: Failure | undefined =
      unit.failure ??
      ('thrown' in result ? { kind: 'bug', error: asError(result.thrown) } : undefined)
    if (failure !== undefined || 'thrown' in result) {
      await rollback(runner, unit)
      return { failure: failure! }
    }
    try {
      await runner.query('COMMIT')
      unit.isSettled = true
      return result
    } catch (thrown) {
      await rollback(runner, unit)
      return { failure: classify(thrown) }
    }
  }
}

type Outcome<T> = { readonly value: T } | { readonly failure: Failure }

function take<T>(outcome: Outcome<T>): T {
  if (!('failure' in outcome)) return outcome.value
  // One connection cannot lose a race.
  if (outcome.failure.kind === 'lost_race') throw new StorageUnavailable()
  throw outcome.failure.error
}

/** A unit inside a unit is part of it: if it fails, so does the whole. */
async function join<T>(
  { unit, verbs }: Current,
  work: (uow: StoreUnitOfWork) => Promise<T>,
): Promise<T> {
  try {
    return await work(verbs)
  } catch (thrown) {
    unit.failWith(asError(thrown))
    throw thrown
  }
}

async function rollback(runner: QueryRunner, unit: Unit): Promise<void> {
  try {
    await runner.query('ROLLBACK')
    unit.isSettled = true
  } catch {
    // The connection is gone, or the database has rolled back by itself.
  }
}

async function withTimeout<T>(work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new StorageUnavailable({ cause: new Error('a unit of work took too long') }))
    }, UNIT_TIMEOUT_MS)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

const asError = (thrown: unknown): Error =>
  thrown instanceof Error ? thrown : new Error('something that is no error was thrown')
