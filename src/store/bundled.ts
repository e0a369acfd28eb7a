import type { RowSeal } from '../vault/ports.js'
import type { Row } from './engine.js'
import { Sealer } from './sealer.js'
import { openShare, sealShare } from './shares.js'
import type { Snapshot } from './snapshot.js'

/** How a value of a column is written down outside of the database. */
export type CellKind = 'text' | 'number' | 'flag' | 'bytes'

export interface BundledColumn {
  readonly name: string
  readonly kind: CellKind
  readonly nullable: boolean
}

export interface BundledTable {
  readonly name: string
  readonly columns: readonly BundledColumn[]
  /** Which of its rows; all without. SQL. */
  readonly where?: string
}

export type Cell = string | number | boolean | Uint8Array | null

/** One row of a bundle: its table, as an index into {@link bundledTables}, and its values. A share is not sealed. */
export interface BundledRow {
  readonly table: number
  readonly cells: readonly Cell[]
}

const column = (kind: CellKind) => (name: string) => ({ name, kind, nullable: false })
const [text, number, flag, bytes] = (['text', 'number', 'flag', 'bytes'] as const).map(column) as [
  ReturnType<typeof column>,
  ReturnType<typeof column>,
  ReturnType<typeof column>,
  ReturnType<typeof column>,
]
const orNull = (one: BundledColumn): BundledColumn => ({ ...one, nullable: true })

/**
 * What of a database is in a bundle, each row after those it refers to. The order of tables and columns is part of the
 * format: docs/spec/bundle.md, section 2.
 */
export const bundledTables: readonly BundledTable[] = [
  {
    name: 'recorded_secrets',
    columns: [...['kind', 'fingerprint', 'name', 'version'].map(text), number('recorded_at')],
    where: `kind <> 'storage'`,
  },
  {
    name: 'users',
    columns: [text('user_id'), text('name'), number('created_at'), flag('recovered')],
  },
  {
    name: 'api_keys',
    columns: [
      ...['api_key_id', 'user_id', 'secret_hash'].map(text),
      number('issued_at'),
      orNull(number('expires_at')),
      flag('recovered'),
    ],
  },
  {
    name: 'tombstones',
    columns: [...['kind', 'user_id', 'subject'].map(text), number('created_at')],
  },
  {
    name: 'shares',
    columns: [
      ...['share_id', 'user_id', 'public_key'].map(text),
      ...['party', 'epoch', 'threshold', 'parties'].map(number),
      ...['keygen_id', 'provenance'].map(text),
      bytes('record'),
      number('created_at'),
      orNull(number('confirmed_at')),
    ],
  },
  {
    name: 'key_handles',
    columns: [
      ...['key_id', 'user_id', 'share_id'].map(text),
      orNull(text('source_digest')),
      number('created_at'),
    ],
  },
  {
    name: 'backups',
    columns: [
      ...['share_id', 'user_id', 'digest'].map(text),
      number('exported_at'),
      ...['secret_fingerprint', 'secret_name', 'secret_version'].map(text).map(orNull),
      ...['verified_at', 'drilled_at'].map(number).map(orNull),
    ],
  },
  {
    name: 'crypto_failures',
    columns: [...['failure_id', 'share_id'].map(text), ...['peer', 'at'].map(number)],
  },
]

/** Tables of which nothing is in a bundle, and why. */
export const leftOut: Readonly<Record<string, string>> = {
  meta: 'a restored database is another one, with a generation and a sentinel of its own',
  pending_keys: 'there is no key yet; who makes one begins anew',
  ot_setups: 'one that was retired must never come back',
  audit_records: 'the log lives and dies with its database; the header names its head',
  leases: 'a process held it',
  sigchain_events: 'public, and signed by their owners, who post them again',
  key_packages: 'their devices publish them anew; a restored old one would stand for a newer one',
  account_bundles: 'as key_packages: an older list of devices would be in place of a newer one',
  keyserver_chain: 'a restored database begins another chain, with a key of its own',
  keyserver_entries: 'as keyserver_chain: whoever kept the old chain sees that it is another one',
  keyserver_links: 'as keyserver_chain',
  keyserver_key_inits: 'one that was given out must never come back',
  keyserver_taken: 'as keyserver_key_inits',
  keyserver_sig_keys: 'as keyserver_chain',
  keyserver_tokens: 'tokens are used up at one keyserver; another chain is another one',
  log_leaves: 'a restored database begins another log, under a name and a key of its own',
  log_tiles: 'as log_leaves',
  log_state: 'as log_leaves',
}

const SHARES = bundledTables.findIndex(({ name }) => name === 'shares')

/** Every row that belongs into a bundle. @throws SealedValueInvalid for a share that does not open */
export async function* readBundled(
  snapshot: Snapshot,
  rowSeal: RowSeal,
): AsyncGenerator<BundledRow> {
  const sealer = new Sealer(rowSeal)
  for (const [table, { name, columns, where }] of bundledTables.entries()) {
    const names = columns.map((one) => `"${one.name}"`).join(', ')
    const rows = snapshot.rows(
      `SELECT ${names} FROM "${name}"${where === undefined ? '' : ` WHERE ${where}`}`,
    )
    for await (const row of rows) {
      const cells = columns.map((one) => cellOf(row, one))
      yield { table, cells: table === SHARES ? openedShare(sealer, cells) : cells }
    }
  }
}

/** The values of a row as they stand in a database of this storage key; the share that was open is wiped. */
export function sealedAnew(rowSeal: RowSeal, { table, cells }: BundledRow): readonly Cell[] {
  if (table !== SHARES) return cells
  const opened = shareColumn(cells, 'record') as Uint8Array
  const record = sealShare(new Sealer(rowSeal), identityIn(cells), opened)
  opened.fill(0)
  return withRecord(cells, record)
}

function openedShare(sealer: Sealer, cells: readonly Cell[]): readonly Cell[] {
  const record = shareColumn(cells, 'record') as Buffer
  return withRecord(cells, openShare(sealer, { ...identityIn(cells), record }))
}

const shareColumn = (cells: readonly Cell[], name: string): Cell =>
  cells[bundledTables[SHARES]!.columns.findIndex((one) => one.name === name)]!

const withRecord = (cells: readonly Cell[], record: Uint8Array): readonly Cell[] =>
  cells.map((cell, i) => (bundledTables[SHARES]!.columns[i]!.name === 'record' ? record : cell))

const identityIn = (cells: readonly Cell[]) => {
  const of = (name: string) => String(shareColumn(cells, name))
  return {
    shareId: of('share_id'),
    userId: of('user_id'),
    publicKey: of('public_key'),
    party: Number(of('party')),
    epoch: Number(of('epoch')),
    provenance: of('provenance'),
  }
}

/** The drivers differ: wide numbers are text with one, flags are numbers with the other. */
function cellOf(row: Row, { name, kind }: BundledColumn): Cell {
  const value = row[name]
  if (value === null) return null
  switch (kind) {
    case 'text':
      return value as string
    case 'number':
      return Number(value)
    case 'flag':
      return Boolean(value)
    case 'bytes':
      return value as Uint8Array
  }
}
