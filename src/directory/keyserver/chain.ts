import { createHash, randomBytes } from 'node:crypto'
import {
  canonical,
  decryptMessage,
  encryptMessage,
  entryText,
  fromBase64,
  KeyserverRefusal,
  makeEntry,
  NO_HASH,
  replyOf,
  sigKeyHash,
  splitEntry,
  uidHashIn,
  type CheckedMessage,
  type UidReply,
} from '@vertex/directory/keyserver'
import { toHex } from '../../store/columns.js'
import type { Row, Unit, UnitStore } from '../../store/index.js'
import { byOpenssl } from '../equation.js'
import { appendLeaf } from '../log/leaves.js'
import type { KeyserverKeys } from './keys.js'
import { ENTRIES, type EntryRow } from './tables.js'

/** So many entries are read at a time. */
const PAGE = 1_000

/** An entry of a name, as the keyserver has it. */
export interface NameEntry {
  readonly position: number
  readonly entry: Uint8Array
  /** Lower-case hex. */
  readonly uidIndex: string
  readonly message: Uint8Array
  readonly serverSignature: string
  /** In seconds. */
  readonly notAfter: number
}

const COLUMNS = 'position, entry, uid_index, message, server_signature, not_after'

const nameEntryOf = (row: Row): NameEntry => ({
  position: Number(row['position']),
  entry: new Uint8Array(row['entry'] as Buffer),
  uidIndex: String(row['uid_index']),
  message: new Uint8Array(row['message'] as Buffer),
  serverSignature: String(row['server_signature']),
  notAfter: Number(row['not_after']),
})

/** Answers SELECTs: the store, or a unit of it. */
export type Rows = (sql: string, values: readonly (string | number)[]) => Promise<readonly Row[]>

export const inUnit =
  (unit: Unit): Rows =>
  (sql, values) =>
    unit.rows(sql, values)

export const outside =
  (store: UnitStore): Rows =>
  (sql, values) =>
    store.select(sql, values)

/** The end of the chain; undefined before the first entry. */
export async function lastEntry(
  rows: Rows,
): Promise<{ readonly position: number; readonly entry: Uint8Array } | undefined> {
  const [row] = await rows(
    `SELECT position, entry FROM ${ENTRIES} ORDER BY position DESC LIMIT 1`,
    [],
  )
  if (row === undefined) return undefined
  return { position: Number(row['position']), entry: new Uint8Array(row['entry'] as Buffer) }
}

/** Of all entries of a name the last one. */
export async function lastOfName(rows: Rows, tag: string): Promise<NameEntry | undefined> {
  const [row] = await rows(
    `SELECT ${COLUMNS} FROM ${ENTRIES} WHERE name_tag = $1 ORDER BY position DESC LIMIT 1`,
    [tag],
  )
  return row && nameEntryOf(row)
}

/** Entries of a name, the first ones, in order. */
export async function allOfName(
  rows: Rows,
  tag: string,
  most: number,
): Promise<readonly NameEntry[]> {
  const found = await rows(
    `SELECT ${COLUMNS} FROM ${ENTRIES} WHERE name_tag = $1 ORDER BY position LIMIT $2`,
    [tag, most],
  )
  return found.map(nameEntryOf)
}

export async function byIndex(rows: Rows, uidIndex: Uint8Array): Promise<NameEntry | undefined> {
  const [row] = await rows(`SELECT ${COLUMNS} FROM ${ENTRIES} WHERE uid_index = $1`, [
    toHex(uidIndex),
  ])
  return row && nameEntryOf(row)
}

/** Where an entry stands; undefined for one that this chain does not have. */
export async function positionOf(rows: Rows, text: string): Promise<number | undefined> {
  const entry = fromBase64(text)
  if (entry === undefined) return undefined
  const [row] = await rows(`SELECT position, entry FROM ${ENTRIES} WHERE entry_hash = $1`, [
    toHex(entry.subarray(0, 32)),
  ])
  if (row === undefined || !(row['entry'] as Buffer).equals(entry)) return undefined
  return Number(row['position'])
}

/** When the entry after this one came, in milliseconds; undefined while there is none. */
export async function timeAfter(rows: Rows, position: number): Promise<number | undefined> {
  const [row] = await rows(`SELECT at FROM ${ENTRIES} WHERE position = $1`, [position + 1])
  return row && Number(row['at'])
}

/** When the last message ends, in seconds, of an identity whose SIGKEY this is now. */
export async function endOfSigKey(rows: Rows, hash: string): Promise<number | undefined> {
  const [row] = await rows(
    `SELECT e.not_after AS not_after FROM ${ENTRIES} e WHERE e.sig_key_hash = $1 AND NOT EXISTS
      (SELECT 1 FROM ${ENTRIES} n WHERE n.name_tag = e.name_tag AND n.position > e.position)
     ORDER BY e.not_after DESC LIMIT 1`,
    [hash],
  )
  return row && Number(row['not_after'])
}

/** Entries from one place to another, both included, some at a time, as base64. */
export async function* entriesBetween(
  store: UnitStore,
  from: number,
  to: number,
): AsyncGenerator<readonly string[]> {
  for (let at = from; at <= to; at += PAGE) {
    const end = Math.min(to, at + PAGE - 1)
    const rows = await store.select(
      `SELECT entry FROM ${ENTRIES} WHERE position >= $1 AND position <= $2 ORDER BY position`,
      [at, end],
    )
    if (rows.length !== end - at + 1) throw new Error('entries of the chain are missing')
    yield rows.map((row) => entryText(row['entry'] as Buffer))
  }
}

/** As it is answered. */
export const replyTo = (row: NameEntry): UidReply => ({
  ENTRY: replyOf(row.message, row.entry, row.position),
  SERVERSIGNATURE: row.serverSignature,
})

/** Opens the message of a row, which only its name does. @throws KeyserverRefusal */
export function openRow({ entry, message }: NameEntry, identity: string): CheckedMessage {
  const uidHash = uidHashIn(splitEntry(entry), identity)
  if (uidHash === undefined)
    throw new KeyserverRefusal('refused', 'hashchain: an entry is of another name than its row')
  return decryptMessage(message, uidHash, byOpenssl)
}

/**
 * Appends the entry of a message, in a unit that has the chain for itself. docs/spec/keyserver.md, section 3
 * @param at milliseconds since 1970
 */
export async function append(
  unit: Unit,
  keys: KeyserverKeys,
  { message: { UIDContent: uid }, identity, bytes }: CheckedMessage,
  at: number,
): Promise<NameEntry> {
  const last = await lastEntry(inUnit(unit))
  const position = last === undefined ? 0 : last.position + 1
  const { uidHash, encrypted } = encryptMessage(bytes, new Uint8Array(randomBytes(16)))
  const before = last === undefined ? NO_HASH : splitEntry(last.entry).hash
  const entry = makeEntry(identity.text, uidHash, before, new Uint8Array(randomBytes(24)))
  const { hash, uidIndex } = splitEntry(entry)
  const row: EntryRow = {
    position,
    entry: Buffer.from(entry),
    entryHash: toHex(hash),
    uidIndex: toHex(uidIndex),
    message: Buffer.from(encrypted),
    serverSignature: keys.sign(canonical(replyOf(encrypted, entry, position))),
    nameTag: keys.tagOf(identity.text),
    sigKeyHash: sigKeyHash(fromBase64(uid.SIGKEY.PUBKEY)!),
    notAfter: uid.NOTAFTER,
    at,
  }
  await unit.verb((manager) => manager.insert<EntryRow>(ENTRIES, row))
  await appendLeaf(unit, {
    kind: 'keyserver-entry',
    subject: String(position),
    source: String(position),
    digest: createHash('sha256').update(entry).digest(),
    at,
  })
  return row
}
