import type { EntityManager } from 'typeorm'
import { StoreConflict, type Conflict } from '../vault/ports.js'
import type { Row, SqlValue } from './engine.js'
import type { Sealer } from './sealer.js'
import { classify, type Failure } from './errors.js'

/**
 * One open transaction. Every verb runs through {@link Unit.verb}, so that nothing is sent after the unit has ended
 * (it would land in somebody else's transaction) and the first failure ends the unit even if the work catches it.
 */
export class Unit {
  #open = true
  /** The database has confirmed the end of the transaction, one way or the other. */
  isSettled = false
  #failure: Failure | undefined
  readonly #running = new Set<Promise<unknown>>()

  constructor(
    private readonly manager: EntityManager,
    readonly sealer: Sealer,
  ) {}

  get isOpen(): boolean {
    return this.#open
  }

  /** Why this unit cannot be committed. */
  get failure(): Failure | undefined {
    return this.#failure
  }

  async verb<T>(work: (manager: EntityManager) => Promise<T>): Promise<T> {
    if (!this.#open) throw new Error('a unit of work was used after its end')
    const running = work(this.manager)
    this.#running.add(running)
    try {
      return await running
    } catch (thrown) {
      throw this.fail(thrown)
    } finally {
      this.#running.delete(running)
    }
  }

  /** One statement of this unit that answers with rows, with parameters as those of `UnitStore.select`. */
  rows(sql: string, values: readonly SqlValue[]): Promise<readonly Row[]> {
    return this.verb(async ({ dataSource, queryRunner }) => {
      const isPostgres = dataSource.options.type === 'postgres'
      const text = isPostgres ? sql : sql.replace(/\$\d+/g, '?')
      const result = await queryRunner!.query(text, [...values], true)
      return result.records as Row[]
    })
  }

  /** Remembers the first failure and answers the error to throw. */
  fail(thrown: unknown): Error {
    const failure = asFailure(thrown)
    this.#failure ??= failure
    return failure.kind === 'lost_race' ? new Error('this unit runs again') : failure.error
  }

  /** Remembers that something else inside the unit failed. */
  failWith(error: Error): void {
    this.#failure ??= { kind: 'bug', error }
  }

  /** Takes no more verbs and waits for those under way. */
  async end(): Promise<void> {
    this.#open = false
    await Promise.allSettled(this.#running)
  }
}

/** For verbs that find out by themselves that something stands in the way. */
export function conflict(what: Conflict): StoreConflict {
  return new StoreConflict(what)
}

function asFailure(thrown: unknown): Failure {
  if (thrown instanceof StoreConflict) return { kind: 'conflict', error: thrown }
  return classify(thrown)
}
