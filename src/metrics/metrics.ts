import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { MeasuredRequest } from '../http/trace.js'
import type { SealEvent } from '../seal/index.js'
import type { Coverage, RoundTime, VaultErrorType, VaultEvent, VaultUsage } from '../vault/index.js'

export type RunKind = 'keygen' | 'sign'
/** A run ends well, or with an error of the closed set; a bug of ours is `internal_problem`. */
export type RunOutcome = 'ok' | VaultErrorType

/** What is read when somebody asks for the metrics, because it is a state and not something that happens. */
export interface Sources {
  vault(): VaultUsage
  relay(): { rooms: number; sockets: number; bufferedBytes: number }
  /** Units of work that the database was asked for and has not ended. */
  database(): number
  /** Records that wait to be in the audit log. */
  audit(): number
  /** How many keys have which backup; asked for once in {@link BACKUPS_EVERY_MS} at most, because it counts them all. */
  backups(): Promise<Pick<Coverage, 'counts' | 'secrets'>>
  /** Seconds; undefined where there is no backup secret, or its age is not known. */
  secretAges(): { secret: number | undefined; reading: number | undefined }
}

/** Everything that is counted by its name: an event that is missing here does not compile. */
const events: Readonly<Record<VaultEvent['event'] | SealEvent['event'], true>> = {
  api_key_issued: true,
  api_key_revoked: true,
  audit_anchor: true,
  audit_anchor_failed: true,
  audit_head: true,
  audit_refused: true,
  audit_unwritten: true,
  backup_drilled: true,
  backup_exported: true,
  backup_imported: true,
  backup_refused: true,
  backup_rewrapped: true,
  backup_sealed: true,
  database_restored: true,
  key_created: true,
  key_deleted: true,
  key_generated: true,
  key_locked: true,
  key_vault_trouble: true,
  newest_secret_disabled: true,
  log_delayed: true,
  log_opened: true,
  log_refused: true,
  recovered: true,
  run_aborted: true,
  secret_file_open_to_others: true,
  secret_version_malformed: true,
  secret_version_refused: true,
  secrets_loaded: true,
  setup_retired: true,
  setup_retirement_unwritten: true,
  setup_unreadable: true,
  thread_ended: true,
  tombstone_lifted: true,
  user_created: true,
  user_deleted: true,
}

/** From a signature on an idle machine to the longest deadline of a run. Seconds. */
const DURATIONS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

/**
 * What a Vertex tells Prometheus. A label has few values, all known beforehand: routes, statuses, kinds, codes. None of
 * them says who asked, or of which key or room.
 */
export class Metrics {
  readonly #registry = new Registry()
  readonly #requests: Counter<'method' | 'route' | 'status'>
  readonly #requestSeconds: Histogram<'route'>
  readonly #problems: Counter
  readonly #runs: Counter<'kind' | 'outcome'>
  readonly #runSeconds: Histogram<'kind'>
  readonly #signatures: Counter
  readonly #roundSeconds: Histogram<'protocol' | 'round'>
  readonly #setups: Counter<'what'>
  readonly #events: Counter<'event'>

  constructor(version: string) {
    const registers = [this.#registry]
    collectDefaultMetrics({ register: this.#registry })
    this.#requests = new Counter({
      name: 'vertex_http_requests_total',
      help: 'HTTP requests that were answered, or given up by who asked (499)',
      labelNames: ['method', 'route', 'status'],
      registers,
    })
    this.#requestSeconds = new Histogram({
      name: 'vertex_http_request_duration_seconds',
      help: 'From the head of a request to the end of its answer',
      labelNames: ['route'],
      buckets: DURATIONS,
      registers,
    })
    this.#problems = new Counter({
      name: 'vertex_internal_problems_total',
      help: 'Requests that were answered with internal_problem: faults of the server',
      registers,
    })
    this.#runs = new Counter({
      name: 'vertex_protocol_runs_total',
      help: 'Protocol runs that were computed, by how they ended: ok, or the err_type that was answered',
      labelNames: ['kind', 'outcome'],
      registers,
    })
    this.#runSeconds = new Histogram({
      name: 'vertex_protocol_run_duration_seconds',
      help: 'Protocol runs that ended well, waiting for the other parties included',
      labelNames: ['kind'],
      buckets: DURATIONS,
      registers,
    })
    this.#signatures = new Counter({
      name: 'vertex_signatures_total',
      help: 'Signatures made, each one of a batch',
      registers,
    })
    this.#roundSeconds = new Histogram({
      name: 'vertex_protocol_round_duration_seconds',
      help: 'One round of a run that ended well, waiting for the messages of the others included',
      labelNames: ['protocol', 'round'],
      buckets: DURATIONS,
      registers,
    })
    this.#setups = new Counter({
      name: 'vertex_ot_setups_total',
      help: 'OT setups that were made, retired after a failed check, or found unreadable',
      labelNames: ['what'],
      registers,
    })
    this.#events = new Counter({
      name: 'vertex_events_total',
      help: 'Events as in the log',
      labelNames: ['event'],
      registers,
    })
    new Gauge({
      name: 'vertex_build_info',
      help: 'Always 1; the version is its label',
      labelNames: ['version'],
      registers,
    }).set({ version }, 1)
    // A series that begins with its first event hides that event from increase().
    for (const kind of ['keygen', 'sign']) this.#runs.inc({ kind, outcome: 'ok' }, 0)
    for (const what of ['made', 'retired', 'unreadable']) this.#setups.inc({ what }, 0)
    for (const event of Object.keys(events)) this.#events.inc({ event }, 0)
  }

  request({ method, route, status, seconds }: MeasuredRequest): void {
    // Methods that no route has are for whoever sends them to choose.
    this.#requests.inc({ method: route === 'none' ? 'other' : method, route, status })
    this.#requestSeconds.observe({ route }, seconds)
    // For itself, and there from the beginning: increase() does not see the first of a series.
    if (status === 500) this.#problems.inc()
  }

  run(kind: RunKind, outcome: RunOutcome, seconds: number, signatures = 0): void {
    this.#runs.inc({ kind, outcome })
    if (outcome !== 'ok') return
    this.#runSeconds.observe({ kind }, seconds)
    this.#signatures.inc(signatures)
  }

  rounds(times: readonly RoundTime[]): void {
    for (const { protocol, round, seconds } of times)
      this.#roundSeconds.observe({ protocol, round }, seconds)
  }

  setup(what: 'made' | 'retired' | 'unreadable'): void {
    this.#setups.inc({ what })
  }

  event({ event }: Pick<VaultEvent | SealEvent, 'event'>): void {
    this.#events.inc({ event })
  }

  /** All of it, in the text format of Prometheus. */
  text(): Promise<string> {
    return this.#registry.metrics()
  }

  get contentType(): string {
    return this.#registry.contentType
  }

  /** From now on these states are among the metrics. To be called once. */
  read(from: Sources): void {
    const gauge = (name: string, help: string, read: () => number | undefined) =>
      new Gauge({
        name,
        help,
        registers: [this.#registry],
        collect() {
          const value = read()
          if (value === undefined) this.remove()
          else this.set(value)
        },
      })
    const backups = remembered(() => from.backups())
    new Gauge({
      name: 'vertex_backups',
      help: 'Keys by what is known of their backup: none, exported, verified; drilled are among the others',
      labelNames: ['state'],
      registers: [this.#registry],
      async collect() {
        const found = await backups()
        if (found === undefined) this.reset()
        else for (const [state, keys] of Object.entries(found.counts)) this.set({ state }, keys)
      },
    })
    new Gauge({
      name: 'vertex_backup_secret_keys',
      help: 'Keys by the version of the backup secret that their backup was made under',
      labelNames: ['fingerprint', 'version', 'newest'],
      registers: [this.#registry],
      async collect() {
        // A version under which nothing is any more is not there.
        this.reset()
        for (const { fingerprint, version, newest, keys } of (await backups())?.secrets ?? [])
          this.set({ fingerprint: fingerprint.slice(0, 16), version, newest: String(newest) }, keys)
      },
    })
    gauge('vertex_runs_running', 'Protocol runs under way', () => from.vault().running)
    gauge(
      'vertex_runs_waiting',
      'Runs that wait for a slot on their share',
      () => from.vault().waiting,
    )
    gauge('vertex_runs_capacity', 'Runs there may be at one time', () => from.vault().capacity)
    gauge(
      'vertex_database_pending',
      'Units of work that have begun or wait for their turn at the database',
      () => from.database(),
    )
    gauge(
      'vertex_audit_pending',
      'Records of the audit log that are being written or wait for it',
      () => from.audit(),
    )
    gauge('vertex_relay_rooms', 'Open rooms of the relay', () => from.relay().rooms)
    gauge('vertex_relay_sockets', 'WebSockets at the relay', () => from.relay().sockets)
    gauge(
      'vertex_relay_buffered_bytes',
      'Bytes that wait in rooms for who has not read them',
      () => from.relay().bufferedBytes,
    )
    gauge(
      'vertex_backup_secret_age_seconds',
      'Since the newest version of the backup secret was made',
      () => from.secretAges().secret,
    )
    gauge(
      'vertex_backup_secret_reading_age_seconds',
      'Since the key vault was last read; only with a key vault, and grows while nobody exports or imports',
      () => from.secretAges().reading,
    )
  }
}

/** A count of all keys is no older than this. */
const BACKUPS_EVERY_MS = 60_000

/** The answer of the last minute; undefined while the database does not answer, which other metrics tell. */
function remembered<T>(ask: () => Promise<T>): () => Promise<T | undefined> {
  let last: Promise<T | undefined> | undefined
  let askedAt = 0
  return () => {
    const now = performance.now()
    if (last === undefined || now - askedAt > BACKUPS_EVERY_MS) {
      askedAt = now
      last = ask().catch(() => undefined)
    }
    return last
  }
}
