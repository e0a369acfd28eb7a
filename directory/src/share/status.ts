import { utf8ToBytes } from '@noble/hashes/utils.js'
import { Reader, ShareFault, Writer } from './bytes.js'

// How much a server has done and has. docs/spec/share-replication.md, section 4.

/** In the order of the wire. */
const fields = [
  'created',
  'fetched',
  'deleted',
  'expired',
  'misses',
  'live',
  'segmentBytes',
  'replicationPending',
  'replicationLastSequence',
] as const

export type ServerCounts = Readonly<Record<(typeof fields)[number], bigint>>

const MAGIC = 'LBSS'
const VERSION = 1

/** 4.1 */
export function encodeStatus(counts: ServerCounts): Uint8Array {
  const out = new Writer().raw(utf8ToBytes(MAGIC)).u16(VERSION)
  for (const field of fields) out.u64(counts[field])
  return out.done()
}

/** 4.1 @throws ShareFault */
export function decodeStatus(bytes: Uint8Array): ServerCounts {
  const reader = new Reader(bytes)
  reader.magic(MAGIC)
  if (reader.u16() !== VERSION) throw new ShareFault('UnsupportedVersion')
  const counts = Object.fromEntries(fields.map((field) => [field, reader.u64()]))
  if (!reader.isDone) throw new ShareFault('TrailingBytes')
  return counts as ServerCounts
}
