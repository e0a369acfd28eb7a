import { createHash } from 'node:crypto'
import type { EntryKind } from '@vertex/directory/log'
import { envelopeHash, parseEnvelope } from '@vertex/directory/sigchain'
import { verificationDigest } from '../share/hashes.js'

/** A row as the driver gives it. */
type Row = Readonly<Record<string, unknown>>

/** How the rows of one kind are found again, and what the log says of them. docs/spec/directory-log.md, 2.6 */
export interface LoggedRows {
  readonly kind: EntryKind
  /** The table that has them; there may be none yet. */
  readonly table: string
  /** In SQL, of the table's row `r`: what `source` of its entry is. */
  readonly source: string
  /** In SQL, of the table's row `r`: the columns that `subject` and `digest` are given, with their names. */
  readonly columns: string
  /** In SQL, of the table's row `r`: which of them belong into the log; all without. */
  readonly where?: string
  readonly subject: (row: Row) => string
  /** Undefined for a row that cannot be what was logged. */
  readonly digest: (row: Row) => Uint8Array | undefined
}

const sigchainEvents: LoggedRows = {
  kind: 'sigchain-event',
  table: 'sigchain_events',
  source: `(r.primary_scheme || ':' || r.primary_id || '/' || r.seq)`,
  columns: 'r.primary_scheme, r.primary_id, r.envelope_json, r.envelope_hash',
  subject: (row) => `${String(row['primary_scheme'])}:${String(row['primary_id'])}`,
  digest: (row) => {
    try {
      const hash = envelopeHash(parseEnvelope(Buffer.from(String(row['envelope_json']), 'utf8')))
      // What the head of a chain is said to be.
      if (hash !== row['envelope_hash']) return undefined
      return Buffer.from(hash.slice('sha256:'.length), 'hex')
    } catch {
      return undefined
    }
  },
}

const accountBundles: LoggedRows = {
  kind: 'account-bundle',
  table: 'account_bundles',
  source: `(r.account_id || '/' || r.lamport)`,
  columns: 'r.account_id, r.payload, r.signature',
  subject: (row) => String(row['account_id']),
  digest: ({ payload, signature }) =>
    createHash('sha256')
      .update(payload as Buffer)
      .update(signature as Buffer)
      .digest(),
}

const keyserverEntries: LoggedRows = {
  kind: 'keyserver-entry',
  table: 'keyserver_entries',
  source: `('' || r.position)`,
  columns: 'r.position, r.entry AS chain_entry',
  subject: (row) => String(row['position']),
  digest: (row) =>
    createHash('sha256')
      .update(row['chain_entry'] as Buffer)
      .digest(),
}

const contactVerifications: LoggedRows = {
  kind: 'contact-verification',
  table: 'share_codes',
  source: 'r.code',
  columns: 'r.email, r.payload, r.verified_at',
  where: 'r.verified_at IS NOT NULL',
  subject: (row) => String(row['email']),
  digest: ({ payload, verified_at: at }) => verificationDigest(payload as Buffer, Number(at)),
}

/** Of every kind but the batches of audit records, which are checked by themselves. */
export const loggedRows: readonly LoggedRows[] = [
  sigchainEvents,
  accountBundles,
  keyserverEntries,
  contactVerifications,
]
