import { randomBytes } from 'node:crypto'
import { encodeEntry, SALT_BYTES, subjectHash, type EntryKind } from '@vertex/directory/log'
import type { Unit } from '../../store/index.js'
import { LEAVES, type LeafRow } from './tables.js'

/** What is to be in the log about a row. docs/spec/directory-log.md, section 2. */
export interface NewLeaf {
  readonly kind: EntryKind
  /** Whom or what it is about; in the log it is a salted hash. At most 255 bytes. */
  readonly subject: string
  /** Which row, in the words of its kind (rows.ts); of one row there is one entry. */
  readonly source: string
  /** SHA-256 of what the kind says. */
  readonly digest: Uint8Array
  /** Milliseconds since 1970. */
  readonly at: number
}

/**
 * Puts an entry into the log, in the unit that writes the row it is about: kept with it, or not at all. It gets its place
 * from the appender, soon after.
 */
export async function appendLeaf(unit: Unit, leaf: NewLeaf): Promise<void> {
  const { kind, subject, source, digest, at } = leaf
  const salt = randomBytes(SALT_BYTES)
  const entry = encodeEntry({ kind, subject: subjectHash(kind, salt, subject), digest, time: at })
  await unit.verb((manager) =>
    manager.insert<LeafRow>(LEAVES, { idx: null, kind, source, salt, entry: Buffer.from(entry) }),
  )
}

/**
 * Takes away what links an entry to a row, in the unit that erases the row. The entry itself stays, and with it every
 * proof: of the person there is left a hash of bytes that nobody has any more.
 */
export async function eraseLeaf(unit: Unit, kind: EntryKind, source: string): Promise<void> {
  await unit.verb((manager) =>
    manager.update<LeafRow>(LEAVES, { kind, source }, { source: null, salt: null }),
  )
}
