import { anchorMac, macOf, sameMac, type AuditKeys } from './keys.js'
import type { Anchor, SealedRecord } from './line.js'
import { hashRecord, NO_HASH, type AuditRecord } from './record.js'

/** The last record of a log; `seq` is 0 before the first. */
export interface Head {
  readonly seq: number
  readonly hash: string
}

export const EMPTY: Head = { seq: 0, hash: NO_HASH }

/** A record that has no place in the log yet. */
export type Entry = Omit<AuditRecord, 'seq' | 'prev'>

/** Appends an entry to the log that ends with `head`. */
export function seal(keys: AuditKeys, head: Head, entry: Entry): SealedRecord {
  const record = { ...entry, seq: head.seq + 1, prev: head.hash }
  const hash = hashRecord(record)
  return { record, hash, mac: macOf(keys.chain, hash) }
}

/** What of a record is not as {@link seal} makes it. Without the key only the hash is checked. */
export function sealProblem(
  { record, hash, mac }: SealedRecord,
  chainKey: Uint8Array | undefined,
): 'changed' | 'forged' | undefined {
  if (hashRecord(record) !== hash) return 'changed'
  if (chainKey !== undefined && !sameMac(mac, macOf(chainKey, hash))) return 'forged'
  return undefined
}

/** What to keep elsewhere of the log that ends with `head`. */
export function anchorOf(keys: AuditKeys, head: Head, generation: string, at: number): Anchor {
  const anchor = { seq: head.seq, at, generation, hash: head.hash }
  return { ...anchor, mac: anchorMac(keys.chain, anchor) }
}
