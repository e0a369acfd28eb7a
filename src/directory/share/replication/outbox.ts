import { randomBytes } from 'node:crypto'
import {
  decodeResponse,
  encodeEvent,
  encodeReplication,
  operations,
  ShareFault,
  statuses,
  type ShareEvent,
} from '@vertex/directory/share'
import type { Row, Unit, UnitStore } from '../../../store/index.js'
import { DELIVERIES, EPOCHS, EVENTS, PEERS } from './tables.js'

/** Posts bytes and gives the bytes of a 200. Whatever else comes of it is an error, and so is the signal. */
export type Post = (url: string, body: Uint8Array, signal?: AbortSignal) => Promise<Uint8Array>

export interface OutboxSettings {
  readonly serverId: number
  readonly token: string
  /** Who is told of what happens here. */
  readonly peers: readonly string[]
  /** Undefined for the time at which this database first gave a number. */
  readonly originEpoch?: bigint | undefined
}

/** What happens between servers, for the log. `peer` is a host, `error` a name, a code or a status. */
export type ReplicationLogEvent =
  | { readonly event: 'share_peer_failed'; readonly peer: string; readonly error: string }
  | { readonly event: 'share_peer_answers'; readonly peer: string }
  | { readonly event: 'share_event_dropped'; readonly peer: string; readonly error: string }
  | { readonly event: 'share_events_missing'; readonly origin: number; readonly missing: number }

export type ReplicationLog = (event: ReplicationLogEvent) => void

/** So many events get their number, or are told, at a time. */
const STEP = 50
/** For so long a process that tells a peer is not followed by another one, should it die. */
const HELD_MS = 60_000
/** Whoever tells a peer lets go of it after this time, so that it ends well before it is followed. */
const TURN_MS = 20_000
/** Clocks of servers differ. */
const CLOCKS_MS = 5 * 60_000
/** A unit that has just told of an event is about to be committed. */
const SOON_MS = 25

/** What an answer says that will be the same each time. docs/spec/share-replication.md, 5.6 */
const hopeless: readonly number[] = [
  statuses.malformedRequest,
  statuses.unknownOperation,
  statuses.payloadTooLarge,
]

/**
 * What peers are still to be told. It is in the database from the unit on in which it happened until the peer has
 * answered, so it outlives every process; and one process tells one peer at a time, on whichever replica.
 */
export class Outbox {
  readonly #holder = randomBytes(16).toString('hex')
  /** Those that did not answer when they were last told something, and what came instead. */
  readonly #silent = new Map<string, string>()
  #soon: NodeJS.Timeout | undefined
  #delivering: Promise<void> | undefined
  readonly #end = new AbortController()

  constructor(
    private readonly store: UnitStore,
    private readonly settings: OutboxSettings,
    private readonly post: Post,
    private readonly now: () => number,
    private readonly log: ReplicationLog,
  ) {}

  /**
   * In the unit in which it happens.
   * @param expiresAt when the share ends
   * @param peer the only one it is for
   */
  async enqueue(unit: Unit, event: ShareEvent, expiresAt: number, peer?: string): Promise<void> {
    await unit.rows(
      `INSERT INTO ${EVENTS} (peer, event, expires_at) VALUES ($1, $2, $3) RETURNING id`,
      [peer ?? null, Buffer.from(encodeEvent(event)), expiresAt],
    )
    this.#soon ??= setTimeout(() => {
      this.#soon = undefined
      // What fails here is done by the job.
      this.deliver().catch(() => undefined)
    }, SOON_MS)
    this.#soon.unref()
  }

  /** Events that some peer has not answered yet. */
  async pending(peer?: string): Promise<number> {
    const [sql, values] =
      peer === undefined
        ? [`SELECT count(*) AS n FROM ${EVENTS}`, []]
        : [`SELECT count(*) AS n FROM ${EVENTS} WHERE peer = $1`, [peer]]
    const [row] = await this.store.select(sql, values)
    return Number(row?.['n'] ?? 0)
  }

  /** The number that was given last. */
  async lastSequence(): Promise<bigint> {
    const [row] = await this.store.select(`SELECT sequence FROM ${EPOCHS} WHERE origin = $1`, [
      this.settings.serverId,
    ])
    return row === undefined ? 0n : BigInt(String(row['sequence']))
  }

  get #ended(): boolean {
    return this.#end.signal.aborted
  }

  /** Tells every peer what waits for it, as far as it answers. One after another in this process. */
  deliver(): Promise<void> {
    const before = this.#delivering ?? Promise.resolve()
    const own = before
      .catch(() => undefined)
      .then(() => this.#deliver())
      .finally(() => {
        if (this.#delivering === own) this.#delivering = undefined
      })
    this.#delivering = own
    return own
  }

  /** Begins nothing more, and waits for nobody's answer: what a peer has taken meanwhile it is told again. */
  async end(): Promise<void> {
    this.#end.abort()
    clearTimeout(this.#soon)
    await this.#delivering?.catch(() => undefined)
  }

  /** Forgets what nobody needs to be told any more. */
  async prune(): Promise<void> {
    const late = this.now() - CLOCKS_MS
    await this.store.change(`DELETE FROM ${EVENTS} WHERE expires_at < $1 RETURNING id`, [late])
    await this.store.change(
      `DELETE FROM ${DELIVERIES} WHERE event_id NOT IN (SELECT id FROM ${EVENTS})
       RETURNING event_id`,
      [],
    )
  }

  async #deliver(): Promise<void> {
    while (!this.#ended && (await this.#isWaiting()) && (await this.#number()) === STEP);
    const others = await this.store.select(
      `SELECT DISTINCT peer FROM ${EVENTS} WHERE peer IS NOT NULL`,
      [],
    )
    const peers = new Set([...this.settings.peers, ...others.map(({ peer }) => String(peer))])
    const told = [...peers].map((peer) => this.#tell(peer))
    // One that fails does not keep the others waiting.
    for (const each of await Promise.allSettled(told))
      if (each.status === 'rejected') throw each.reason
  }

  async #isWaiting(): Promise<boolean> {
    const found = await this.store.select(
      `SELECT id FROM ${EVENTS} WHERE ${this.#unnumbered} LIMIT 1`,
      [],
    )
    return found.length > 0
  }

  /** Without peers of its own, a process leaves what is for all peers to those that have some. */
  get #unnumbered(): string {
    return `sequence IS NULL${this.settings.peers.length === 0 ? ' AND peer IS NOT NULL' : ''}`
  }

  /** Gives numbers to the next events. 5.5 @returns how many were looked at */
  #number(): Promise<number> {
    return this.store.inUnit(async (unit) => {
      const rows = await unit.rows(
        `SELECT id, peer, expires_at FROM ${EVENTS} WHERE ${this.#unnumbered} ORDER BY id LIMIT ${STEP}`,
        [],
      )
      const late = this.now() - CLOCKS_MS
      const { epoch, sequence } = await this.#last(unit)
      let next = sequence
      for (const row of rows) {
        const [id, peer] = [Number(row['id']), row['peer'] as string | null]
        const peers = peer === null ? this.settings.peers : [peer]
        if (Number(row['expires_at']) < late) await deleteEvent(unit, id)
        else {
          await unit.rows(
            `UPDATE ${EVENTS} SET origin = $1, epoch = $2, sequence = $3 WHERE id = $4 RETURNING id`,
            [this.settings.serverId, epoch, String(++next), id],
          )
          for (const peer of peers)
            await unit.rows(
              `INSERT INTO ${DELIVERIES} (event_id, peer) VALUES ($1, $2) RETURNING event_id`,
              [id, peer],
            )
        }
      }
      await unit.rows(`UPDATE ${EPOCHS} SET sequence = $1 WHERE origin = $2 RETURNING origin`, [
        String(next),
        this.settings.serverId,
      ])
      return rows.length
    })
  }

  /** The last number, in an epoch that never goes back: a peer would take no event of an earlier one. */
  async #last(unit: Unit): Promise<{ readonly epoch: string; readonly sequence: bigint }> {
    const { serverId: origin, originEpoch } = this.settings
    const [kept] = await unit.rows(`SELECT epoch, sequence FROM ${EPOCHS} WHERE origin = $1`, [
      origin,
    ])
    const before = kept === undefined ? undefined : BigInt(String(kept['epoch']))
    const wanted = originEpoch ?? before ?? BigInt(this.now())
    if (before !== undefined && before >= wanted)
      return { epoch: String(before), sequence: BigInt(String(kept!['sequence'])) }
    const epoch = String(wanted)
    await unit.rows(
      `INSERT INTO ${EPOCHS} (origin, epoch, sequence) VALUES ($1, $2, '0')
       ON CONFLICT (origin) DO UPDATE SET epoch = excluded.epoch, sequence = excluded.sequence
       RETURNING origin`,
      [origin, epoch],
    )
    return { epoch, sequence: 0n }
  }

  /** Tells one peer, if nobody else does. */
  async #tell(peer: string): Promise<void> {
    if (!(await this.#take(peer))) return
    try {
      const until = this.now() + TURN_MS
      while (!this.#ended && this.now() < until && (await this.#tellNext(peer, until)));
    } finally {
      await this.#letGo(peer)
    }
  }

  /** @returns whether there may be more, and the peer answers */
  async #tellNext(peer: string, until: number): Promise<boolean> {
    const own = this.settings.peers.includes(peer) ? '' : 'AND e.peer IS NOT NULL'
    const rows = await this.store.select(
      `SELECT e.id, e.origin, e.epoch, e.sequence, e.event FROM ${DELIVERIES} d
       JOIN ${EVENTS} e ON e.id = d.event_id WHERE d.peer = $1 ${own} ORDER BY e.id LIMIT ${STEP}`,
      [peer],
    )
    const done: number[] = []
    let silence: string | undefined
    for (const row of rows) {
      silence = await this.#tellOne(peer, row)
      if (silence !== undefined) break
      done.push(Number(row['id']))
      if (this.#ended || this.now() >= until) break
    }
    if (done.length > 0) await this.store.inUnit((unit) => acknowledge(unit, peer, done))
    if (!this.#ended) this.#remember(peer, silence)
    return silence === undefined && rows.length === STEP
  }

  /** @returns why it is to be told again */
  async #tellOne(peer: string, row: Row) {
    // Another node of this database, with an id of its own, may have given the number.
    const number = {
      origin: Number(row['origin']),
      epoch: BigInt(String(row['epoch'])),
      sequence: BigInt(String(row['sequence'])),
    }
    const request = encodeReplication(this.settings.token, number, row['event'] as Uint8Array)
    try {
      const { status, operation } = decodeResponse(await this.post(peer, request, this.#end.signal))
      if (status === statuses.success && operation === operations.replicate) return undefined
      if (!hopeless.includes(status)) return `status ${status}`
      this.log({ event: 'share_event_dropped', peer: hostOf(peer), error: `status ${status}` })
      return undefined
    } catch (error) {
      return error instanceof ShareFault ? 'no answer of a server of share codes' : nameOf(error)
    }
  }

  /** Said when it changes, not each time. */
  #remember(peer: string, silence: string | undefined): void {
    if (silence === undefined) {
      if (this.#silent.delete(peer)) this.log({ event: 'share_peer_answers', peer: hostOf(peer) })
      return
    }
    if (!this.#silent.has(peer))
      this.log({ event: 'share_peer_failed', peer: hostOf(peer), error: silence })
    this.#silent.set(peer, silence)
  }

  /** What came in the place of an answer when a peer was last told something. */
  silenceOf(peer: string): string | undefined {
    return this.#silent.get(peer)
  }

  /** One process at a time, and one that has died is followed. */
  async #take(peer: string): Promise<boolean> {
    const now = this.now()
    const taken = await this.store.change(
      `INSERT INTO ${PEERS} (peer, holder, held_until) VALUES ($1, $2, $3)
       ON CONFLICT (peer) DO UPDATE SET holder = excluded.holder, held_until = excluded.held_until
       WHERE ${PEERS}.held_until <= $4 RETURNING peer`,
      [peer, this.#holder, now + HELD_MS, now],
    )
    return taken.length > 0
  }

  async #letGo(peer: string): Promise<void> {
    await this.store.change(`DELETE FROM ${PEERS} WHERE peer = $1 AND holder = $2 RETURNING peer`, [
      peer,
      this.#holder,
    ])
  }
}

/** An event that nobody is still to be told of is gone. */
async function acknowledge(unit: Unit, peer: string, ids: readonly number[]): Promise<void> {
  for (const id of ids) {
    await unit.rows(
      `DELETE FROM ${DELIVERIES} WHERE event_id = $1 AND peer = $2 RETURNING event_id`,
      [id, peer],
    )
    const others = await unit.rows(`SELECT peer FROM ${DELIVERIES} WHERE event_id = $1`, [id])
    if (others.length === 0) await deleteEvent(unit, id)
  }
}

async function deleteEvent(unit: Unit, id: number): Promise<void> {
  await unit.rows(`DELETE FROM ${EVENTS} WHERE id = $1 RETURNING id`, [id])
}

/** Without what a URL may hold of secrets. */
export const hostOf = (url: string): string => (URL.canParse(url) ? new URL(url).host : 'unknown')

function nameOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  const { cause } = error
  const code = (cause instanceof Error ? cause : error) as { code?: unknown }
  return typeof code.code === 'string' ? code.code : error.name
}
