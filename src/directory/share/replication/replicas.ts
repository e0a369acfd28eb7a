import { timingSafeEqual } from 'node:crypto'
import {
  authenticate,
  decodePayload,
  highest,
  locatorOf,
  missing,
  normaliseEmail,
  nothingApplied,
  readRanges,
  ShareFault,
  showRanges,
  take,
  type Applied,
  type NumberedEvent,
  type ReplicationRequest,
  type ShareEvent,
} from '@vertex/directory/share'
import { isStorable } from '../../../store/columns.js'
import type { Unit, UnitStore } from '../../../store/index.js'
import { GONE, type Marks } from './marks.js'
import type { ReplicationLog } from './outbox.js'
import { ORIGINS } from './tables.js'

/**
 * Applies what happened at another server, in the unit that keeps its number. A share that is here stays as it is.
 * @returns when the share ends of which this has changed something; undefined for none
 */
export type ApplyEvent = (unit: Unit, event: ShareEvent) => Promise<number | undefined>

/** The events of other servers, applied here. docs/spec/share-replication.md, sections 3 and 5 */
export class Replicas {
  constructor(
    private readonly store: UnitStore,
    private readonly applyEvent: ApplyEvent,
    private readonly marks: Marks,
    private readonly log: ReplicationLog,
  ) {}

  /** @returns whether it was applied; not where it was before. 5.1 @throws ShareFault for one that cannot be kept. 3.7 */
  async apply({ origin, epoch, sequence, event }: NumberedEvent): Promise<boolean> {
    const keepable = assertKeepable(event)
    const missed = await this.store.inUnit(async (unit) => {
      const [kept] = await unit.rows(`SELECT epoch, applied FROM ${ORIGINS} WHERE origin = $1`, [
        origin,
      ])
      const before = kept === undefined ? nothingApplied : appliedOf(kept)
      const after = take(before, epoch, sequence)
      if (after === undefined) return undefined
      await unit.rows(
        `INSERT INTO ${ORIGINS} (origin, epoch, applied) VALUES ($1, $2, $3)
         ON CONFLICT (origin) DO UPDATE SET epoch = excluded.epoch, applied = excluded.applied
         RETURNING origin`,
        [origin, String(after.epoch), showRanges(after.ranges)],
      )
      await this.#apply(unit, keepable)
      return { before: missing(before), after: missing(after) }
    })
    if (missed !== undefined && missed.after > missed.before)
      this.log({ event: 'share_events_missing', origin, missing: Number(missed.after) })
    return missed !== undefined
  }

  /** The highest number that was applied, of whichever server. */
  async lastSequence(): Promise<bigint> {
    const rows = await this.store.select(`SELECT epoch, applied FROM ${ORIGINS}`, [])
    const numbers = rows.map((row) => highest(appliedOf(row)))
    return numbers.reduce((most, each) => (each > most ? each : most), 0n)
  }

  /** 3.9 to 3.11: whatever the order, fetches only become more, and what is gone stays gone. */
  async #apply(unit: Unit, event: ShareEvent): Promise<void> {
    const { code } = event
    if (event.kind === 'put') {
      const fetches = Math.max(event.fetches, await this.marks.of(unit, code))
      await this.applyEvent(unit, { ...event, fetches: Math.min(fetches, event.maxFetches) })
      if (fetches === 0) return
      await this.applyEvent(unit, { kind: 'fetches', code, fetches })
      // As long as it can be sent here again.
      await this.marks.set(unit, code, fetches, event.expiresAt)
    } else {
      const endsAt = await this.applyEvent(unit, event)
      await this.marks.set(unit, code, event.kind === 'fetches' ? event.fetches : GONE, endsAt)
    }
  }
}

const appliedOf = (row: Readonly<Record<string, unknown>>): Applied => ({
  epoch: BigInt(String(row['epoch'])),
  ranges: readRanges(String(row['applied'])),
})

/** A time that both databases can hold. */
const LATEST = Number.MAX_SAFE_INTEGER

/** 3.7 @throws ShareFault */
function assertKeepable(event: ShareEvent): ShareEvent {
  if (locatorOf(event.code) === undefined || !isStorable(event.code))
    throw new ShareFault('InvalidField')
  if (event.kind !== 'put') return event
  decodePayload(event.payload)
  const email = event.email === undefined ? undefined : normaliseEmail(event.email)
  if (event.email !== undefined && email === undefined) throw new ShareFault('InvalidField')
  return { ...event, email, expiresAt: Math.min(event.expiresAt, LATEST) }
}

/** Whether whoever sent it knows the token. 3.4 */
export const isAuthentic = (token: string, request: ReplicationRequest): boolean =>
  sameBytes(request.authentication, authenticate(token, request.signed))

/** In a time that depends on how long they are, and on nothing else. */
const sameBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && timingSafeEqual(a, b)
