import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { StorageUnavailable } from '../vault/ports.js'
import { primaryText, table, text, time } from './columns.js'
import { classify, StoreRefused } from './errors.js'
import { connectionTo } from './postgres-login.js'
import type { Database } from './open.js'

interface LeaseRow {
  name: string
  holder: string
  /** On the clock of the database. */
  expiresAt: number
}

export const leasesTable = () =>
  table<LeaseRow>('leases', {
    columns: {
      name: primaryText('name', 'pk_leases'),
      holder: text('holder'),
      expiresAt: time('expires_at'),
    },
  })

/** What happens to the lease, for the log. */
export type LeaseEvent =
  /** Another process answers for this database, or did until now; this one waits for its lease to end. */
  | { readonly event: 'lease_waiting' }
  /** This process answers from now on. */
  | { readonly event: 'lease_taken' }
  /** This process answers no more: another one does, or the database could not be asked in time. */
  | { readonly event: 'lease_lost'; readonly to: 'another process' | 'silence' }

/** The right to be the one process that answers for a database. */
export interface Lease {
  /** Whether this process may answer now. */
  readonly held: boolean
  /**
   * Gets it, and keeps it until {@link end}. One that a dead process left behind has run out meanwhile.
   * @throws StoreRefused when a living process holds it
   * @throws StorageUnavailable when the database could not be asked
   */
  begin(): Promise<void>
  /** Gives it to the next one. */
  end(): Promise<void>
}

/** What a lease lasts in the database. Whoever holds it and dies is followed after this time at the latest. */
const LEASE_MS = 8_000
/** How long the holder believes in it: less, so that it has stopped before another begins. */
const TRUST_MS = 5_000
const RENEW_MS = 1_500
const RETRY_MS = 500
/** Whoever has renewed it for so long after another began to wait is alive. */
const PATIENCE_MS = LEASE_MS + 1_500
/** One renewal must not wait so long that the next comes too late. */
const ATTEMPT_MS = 2_000

const NOW = '(extract(epoch FROM clock_timestamp()) * 1000)::bigint'
/** While replicas that share a Redis live, nobody begins to answer alone. */
const TAKE = `INSERT INTO leases (name, holder, expires_at) SELECT 'answering', $1::text, ${NOW} + $2::bigint
  WHERE NOT EXISTS (SELECT FROM leases WHERE name = 'replicas' AND expires_at > ${NOW})
    OR EXISTS (SELECT FROM leases WHERE name = 'answering' AND holder = $1::text)
  ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, expires_at = excluded.expires_at
  WHERE leases.holder = excluded.holder OR leases.expires_at <= ${NOW}
  RETURNING holder`
const MARK = `INSERT INTO leases (name, holder, expires_at) VALUES ('replicas', 'all', ${NOW} + $1)
  ON CONFLICT (name) DO UPDATE SET expires_at = greatest(leases.expires_at, excluded.expires_at)`
const GIVE_BACK = `DELETE FROM leases WHERE name = 'answering' AND holder = $1`

/**
 * A lease on a Postgres. It has a connection of its own, so that no load keeps it waiting, and is a row with a time,
 * so that it outlives a failover and works through a pooler. See docs/decisions/0017-one-process-holds-the-lease.md.
 */
export function postgresLease(
  database: Database & { readonly kind: 'postgres' },
  log: (event: LeaseEvent) => void,
): Lease {
  return new PostgresLease(database, log)
}

/** Says in the database that replicas live which answer together, as long as one of them does. */
export interface ReplicasMark {
  /** From now on. Idempotent. */
  begin(): void
  end(): Promise<void>
}

export function postgresReplicas(database: Database & { readonly kind: 'postgres' }): ReplicasMark {
  let pool: pg.Pool | undefined
  let timer: NodeJS.Timeout | undefined
  let running = Promise.resolve()
  const renew = () => {
    // Where this fails, the next one follows; the mark lasts longer than several.
    running = (pool?.query(MARK, [LEASE_MS]) ?? running).then(ignore, ignore).then(() => {
      if (pool !== undefined) timer = setTimeout(renew, RENEW_MS)
    })
  }
  return {
    begin: () => {
      if (pool !== undefined) return
      pool = poolOf(database)
      renew()
    },
    end: async () => {
      const ended = pool
      pool = undefined
      clearTimeout(timer)
      await running
      await ended?.end()
    },
  }
}

const ignore = () => undefined

/** A connection of its own, so that no load keeps it waiting. */
function poolOf({ url, tokenFor }: Database & { readonly kind: 'postgres' }): pg.Pool {
  const pool = new pg.Pool({
    ...connectionTo(url, tokenFor),
    application_name: 'vertex-lease',
    max: 1,
    idleTimeoutMillis: 0,
    keepAlive: true,
    connectionTimeoutMillis: ATTEMPT_MS,
    statement_timeout: ATTEMPT_MS,
    query_timeout: ATTEMPT_MS,
  })
  // An idle connection that breaks is dropped; the next attempt finds out by itself.
  pool.on('error', ignore)
  return pool
}

type Outcome = 'taken' | 'refused' | 'silence'

class PostgresLease implements Lease {
  readonly #holder = randomUUID()
  readonly #pool: pg.Pool
  readonly #log: (event: LeaseEvent) => void
  /** When the last renewal that succeeded was sent, on both clocks. */
  #renewed: Moment | undefined
  #said: LeaseEvent['event'] | undefined
  #running: Promise<unknown> | undefined
  #timer: NodeJS.Timeout | undefined
  #ended = false

  constructor(
    database: Database & { readonly kind: 'postgres' },
    log: (event: LeaseEvent) => void,
  ) {
    this.#log = log
    this.#pool = poolOf(database)
  }

  get held(): boolean {
    return this.#renewed !== undefined && since(this.#renewed) < TRUST_MS
  }

  async begin(): Promise<void> {
    const giveUpAt = performance.now() + PATIENCE_MS
    let outcome = await this.#attempt()
    while (outcome !== 'taken' && performance.now() < giveUpAt) {
      await sleep(RETRY_MS)
      outcome = await this.#attempt()
    }
    if (outcome === 'taken') {
      this.#renewLater()
      return
    }
    if (outcome === 'silence') throw new StorageUnavailable()
    throw new StoreRefused(
      'another Vertex answers for this database; stop it first or, to run several, give all of them the same REDIS_URL',
    )
  }

  async end(): Promise<void> {
    this.#ended = true
    clearTimeout(this.#timer)
    await this.#running
    this.#renewed = undefined
    // Where this fails, the lease ends by itself.
    await this.#pool.query(GIVE_BACK, [this.#holder]).catch(() => undefined)
    await this.#pool.end()
  }

  #renewLater(): void {
    if (this.#ended) return
    const renew = () =>
      void this.#attempt().then(() => {
        this.#renewLater()
      })
    this.#timer = setTimeout(renew, this.held ? RENEW_MS : RETRY_MS)
  }

  #attempt(): Promise<Outcome> {
    if (this.#ended) throw new StoreRefused('it was told to stop')
    const attempt = this.#once()
    this.#running = attempt
    return attempt
  }

  async #once(): Promise<Outcome> {
    const sent = moment()
    try {
      const { rows } = await this.#pool.query(TAKE, [this.#holder, LEASE_MS])
      const outcome = rows.length === 1 ? 'taken' : 'refused'
      this.#renewed = outcome === 'taken' ? sent : undefined
      this.#say(outcome)
      return outcome
    } catch (thrown) {
      const failure = classify(thrown)
      if (failure.kind === 'bug') this.#renewed = undefined
      if (!this.held) this.#say('silence')
      return 'silence'
    }
  }

  /** Once for each change. */
  #say(outcome: Outcome): void {
    const event: LeaseEvent =
      outcome === 'taken'
        ? { event: 'lease_taken' }
        : this.#said === 'lease_taken'
          ? { event: 'lease_lost', to: outcome === 'refused' ? 'another process' : 'silence' }
          : { event: 'lease_waiting' }
    if (event.event === this.#said || (event.event === 'lease_waiting' && this.#said !== undefined))
      return
    this.#said = event.event
    this.#log(event)
  }
}

interface Moment {
  readonly monotonic: number
  readonly wall: number
}

const moment = (): Moment => ({ monotonic: performance.now(), wall: Date.now() })

/** By the clock that went further: the one stands still while the machine sleeps, the other can be set back. */
function since({ monotonic, wall }: Moment): number {
  return Math.max(performance.now() - monotonic, Date.now() - wall)
}
