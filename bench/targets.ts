/** What a ratio or a result has to reach. */
export interface Target {
  readonly name: string
  /** In words, for the table. */
  readonly what: string
  readonly atMost?: Limit
  readonly atLeast?: Limit
}

/** A number, or one that follows from other results. */
type Limit = number | ((value: (name: string) => number | undefined) => number | undefined)

export interface Verdict {
  readonly name: string
  readonly what: string
  /** Absent where it was not measured. */
  readonly value?: number
  readonly atMost?: number
  readonly atLeast?: number
  readonly met?: boolean
}

/** Milliseconds that HTTP, relay and database may add to three times the protocol's CPU. */
const LATENCY_ALLOWANCE_MS = 5

export const targets: readonly Target[] = [
  ratio('sign_2of2/dkls_wasm_ll', 'signature of two, over dkls-wasm-ll', 1 / 24),
  ratio('sign_2of2/tss_dkls_lib', 'signature of two, over tss-dkls-lib', 1 / 6),
  ratio('keygen_2of2/dkls_wasm_ll', 'keygen of two with OT setup', 1 / 12),
  ratio('sign_2of3/dkls_wasm_ll', 'signature of a 2-of-3 key', 1 / 24),
  ratio('keygen_2of3/dkls_wasm_ll', 'keygen of three with OT setups', 1 / 12),
  ratio('portable_sign_2of2/dkls_wasm_ll', 'signature without native modules', 1 / 3),
  ratio('portable_keygen_2of2/dkls_wasm_ll', 'keygen without native modules', 0.7),
  {
    name: 'sign_2of2_bytes',
    what: 'bytes of protocol messages per signature, both directions',
    atMost: 94_000,
  },
  {
    name: 'sign_2of2_round_trips',
    what: 'round trips of the protocol, handshake included',
    atMost: 3,
  },
  {
    name: 'service_sqlite/protocol',
    what: 'signatures per second, service on SQLite over two bare protocols',
    atLeast: 0.6,
  },
  {
    name: 'service_postgres/protocol',
    what: 'signatures per second, service on Postgres over two bare protocols',
    atLeast: 0.5,
  },
  ratio('batch_16/single', 'CPU per signature of a batch of 16, over a single one', 0.7),
  {
    name: 'service_1_latency_ms',
    what: 'latency of one client, at most 3 × protocol CPU + 5 ms',
    atMost: (value) => {
      const protocol = value('sign_2of2_cpu_ms')
      return protocol === undefined ? undefined : 3 * protocol + LATENCY_ALLOWANCE_MS
    },
  },
  { name: 'service_round_trips', what: 'round trips of the first signature', atMost: 6 },
  { name: 'service_round_trips_warm', what: 'round trips with warm rooms', atMost: 4 },
  { name: 'livez_p99_ms', what: 'p99 of /livez under full load, ms', atMost: 20 },
  {
    name: 'keys_100000/keys_10',
    what: 'signatures per second with 100,000 keys stored, over 10 keys',
    atLeast: 0.9,
    atMost: 1.1,
  },
  {
    name: 'idle_key_rss_bytes',
    what: "server's memory for an idle key, bytes: the database's own cache",
    atMost: 512,
  },
  { name: 'open_room_bytes', what: 'memory of an open room, bytes', atMost: 64 * 1024 },
]

function ratio(name: string, what: string, atMost: number): Target {
  return { name, what, atMost }
}

/** Holds what was measured against the targets. @param value the median of a ratio or result, if measured */
export function judge(
  value: (name: string) => number | undefined,
  what: readonly Target[] = targets,
): Verdict[] {
  return what.map((target) => {
    const limit = (of: Limit | undefined) => (typeof of === 'function' ? of(value) : of)
    const [measured, atMost, atLeast] = [
      value(target.name),
      limit(target.atMost),
      limit(target.atLeast),
    ]
    const { name, what: words } = target
    const verdict = {
      name,
      what: words,
      ...(atMost === undefined ? {} : { atMost }),
      ...(atLeast === undefined ? {} : { atLeast }),
    }
    if (measured === undefined || (atMost === undefined && atLeast === undefined)) return verdict
    const met = measured <= (atMost ?? Infinity) && measured >= (atLeast ?? -Infinity)
    return { ...verdict, value: measured, met }
  })
}
