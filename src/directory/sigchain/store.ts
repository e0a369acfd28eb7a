import type { CheckedEvent, Head, Primary } from '@vertex/directory/sigchain'
import { appendLeaf } from '../log/leaves.js'
import { primaryText, table, text, wide } from '../../store/columns.js'
import type { Unit, UnitStore } from '../../store/index.js'

const TABLE = 'sigchain_events'

interface EventRow {
  readonly scheme: string
  readonly id: string
  readonly seq: number
  /** As it was received, byte for byte. */
  readonly envelope: string
  readonly hash: string
  readonly createdAt: string
  readonly signedBytes: string
  readonly receivedAt: number
}

export const sigchainTable = () =>
  table<EventRow>(TABLE, {
    columns: {
      scheme: primaryText('primary_scheme', 'pk_sigchain_events'),
      id: primaryText('primary_id', 'pk_sigchain_events'),
      seq: wide('seq', { primary: true, primaryKeyConstraintName: 'pk_sigchain_events' }),
      envelope: text('envelope_json'),
      hash: text('envelope_hash'),
      createdAt: text('created_at'),
      signedBytes: text('signed_bytes'),
      receivedAt: wide('received_at'),
    },
  })

/** Where a chain ends, read in the unit that goes on with it: of two that do, only one can be kept. */
export async function headIn(unit: Unit, { scheme, id }: Primary): Promise<Head | undefined> {
  const [last] = await unit.verb((manager) =>
    manager.find<EventRow>(TABLE, {
      select: { seq: true, hash: true },
      where: { scheme, id },
      order: { seq: 'DESC' },
      take: 1,
    }),
  )
  return last
}

/** An event of a chain, in the words of the log. */
export const recordOf = ({ text }: Primary, seq: number) => ({
  kind: 'sigchain-event' as const,
  source: `${text}/${seq}`,
})

/** Keeps the next event of a chain, and puts it into the log. */
export async function append(
  unit: Unit,
  primary: Primary,
  { seq, hash, envelope, signedBytes }: CheckedEvent,
  received: { readonly text: string; readonly at: number },
): Promise<void> {
  const { scheme, id, text: subject } = primary
  const createdAt = envelope.payload.created_at
  const row = { scheme, id, seq, hash, createdAt, signedBytes }
  await unit.verb((manager) =>
    manager.insert<EventRow>(TABLE, { ...row, envelope: received.text, receivedAt: received.at }),
  )
  await appendLeaf(unit, {
    ...recordOf(primary, seq),
    subject,
    digest: Buffer.from(hash.slice('sha256:'.length), 'hex'),
    at: received.at,
  })
}

/** The last event of a chain, with its envelope as it was received. */
export async function lastOf(
  store: UnitStore,
  { scheme, id }: Primary,
): Promise<(Head & { readonly envelope: string }) | undefined> {
  const [row] = await store.select(
    `SELECT seq, envelope_hash, envelope_json FROM ${TABLE}
     WHERE primary_scheme = $1 AND primary_id = $2 ORDER BY seq DESC LIMIT 1`,
    [scheme, id],
  )
  if (row === undefined) return undefined
  const [seq, hash, envelope] = [row['seq'], row['envelope_hash'], row['envelope_json']]
  return { seq: Number(seq), hash: String(hash), envelope: String(envelope) }
}

/** So many events are read at a time, */
const PAGE = 64
/** and so many characters, or one event that has more: a reader who is slow has them kept for as long. */
const PAGE_CHARACTERS = 128 * 1024

/** The envelopes of a chain as they were received, in order from an event on, some at a time. */
export async function* envelopesOf(
  store: UnitStore,
  { scheme, id }: Primary,
  from = 0,
): AsyncGenerator<readonly string[]> {
  for (let after = from - 1; ;) {
    const rows = await store.select(
      `SELECT seq, envelope_json, events FROM (
         SELECT seq, envelope_json, count(*) OVER () AS events,
           sum(length(envelope_json)) OVER (ORDER BY seq) AS characters
         FROM (
           SELECT seq, envelope_json FROM ${TABLE}
           WHERE primary_scheme = $1 AND primary_id = $2 AND seq > $3 ORDER BY seq LIMIT ${PAGE}
         ) AS page
       ) AS counted
       WHERE characters <= ${PAGE_CHARACTERS} OR characters = length(envelope_json) ORDER BY seq`,
      [scheme, id, after],
    )
    if (rows.length > 0) yield rows.map((row) => String(row['envelope_json']))
    const events = Number(rows[0]?.['events'] ?? 0)
    if (events < PAGE && rows.length === events) return
    after = Number(rows.at(-1)!['seq'])
  }
}
