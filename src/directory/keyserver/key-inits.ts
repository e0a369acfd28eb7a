import { createHash, randomInt } from 'node:crypto'
import {
  chooseFallback,
  KeyserverRefusal,
  stateOf,
  type CheckedKeyInit,
} from '@vertex/directory/keyserver'
import type { Unit, UnitStore } from '../../store/index.js'
import { endOfSigKey, inUnit, type Rows } from './chain.js'
import {
  KEY_INITS,
  SIG_KEYS,
  TAKEN,
  type KeyInitRow,
  type SigKeyRow,
  type TakenRow,
} from './tables.js'

/** So many are kept of one SIGKEY. */
const MOST_OF_A_KEY = 500
/** How far the time of a flush may be off, in seconds. */
const FLUSH_WITHIN = 600
/** So much longer, in seconds, it is remembered what was here: clocks of servers may differ. */
const REMEMBERED_FOR = 24 * 3600
/** So many rows are deleted at once. */
const STEP = 200

/** A KeyInit that is given out, as text. */
export interface Dispensed {
  readonly keyInit: string
  readonly fallback: boolean
}

const digestOf = ({ contents }: CheckedKeyInit) =>
  createHash('sha256').update(contents).digest('hex')

/**
 * Keeps those that were never here before, in a unit that has the chain for itself. docs/spec/keyserver.md, 5.4 and 5.5
 * @param now in seconds
 * @param pay is called before anything is kept, if anything is
 * @throws KeyserverRefusal
 */
export async function keep(
  unit: Unit,
  sigKeyHash: string,
  keyInits: readonly CheckedKeyInit[],
  now: number,
  pay: () => Promise<void>,
): Promise<void> {
  await assertInUse(inUnit(unit), sigKeyHash, now)
  const fresh: [string, CheckedKeyInit][] = []
  for (const each of keyInits) {
    const digest = digestOf(each)
    const [before] = await unit.rows(`SELECT 1 AS one FROM ${TAKEN} WHERE digest = $1`, [digest])
    if (before === undefined) fresh.push([digest, each])
  }
  if (fresh.length === 0) return
  const { messageCount, nonce } = await sigKeyIn(unit, sigKeyHash)
  let highest = messageCount
  for (const [, { keyInit }] of fresh) {
    const { MSGCOUNT } = keyInit.Contents
    if (MSGCOUNT !== 0 && MSGCOUNT <= highest)
      throw new KeyserverRefusal('conflict', 'uid: key init message counter not increased')
    highest = Math.max(highest, MSGCOUNT)
  }
  const [kept] = await unit.rows(
    `SELECT count(*) AS n FROM ${KEY_INITS} WHERE sig_key_hash = $1 AND not_after > $2`,
    [sigKeyHash, now],
  )
  if (Number(kept!['n']) + fresh.length > MOST_OF_A_KEY)
    throw new KeyserverRefusal('refused', `uid: at most ${MOST_OF_A_KEY} key inits are kept`)
  await pay()
  const rows = fresh.map(([, { keyInit, bytes }]): KeyInitRow => {
    const { FALLBACK, NOTBEFORE, NOTAFTER } = keyInit.Contents
    const text = new TextDecoder().decode(bytes)
    const times = { notBefore: NOTBEFORE, notAfter: NOTAFTER }
    return { sigKeyHash, keyInit: text, fallback: FALLBACK ? 1 : 0, ...times }
  })
  const taken = fresh.map(([digest, { keyInit }]): TakenRow => {
    return { digest, notAfter: keyInit.Contents.NOTAFTER }
  })
  await unit.verb(async (manager) => {
    await manager.insert<KeyInitRow>(KEY_INITS, rows)
    await manager.insert<TakenRow>(TAKEN, taken)
  })
  await noteSigKey(unit, { sigKeyHash, messageCount: highest, nonce })
}

/** Whether this SIGKEY is that of an identity now. @throws KeyserverRefusal */
export async function assertInUse(rows: Rows, sigKeyHash: string, now: number): Promise<void> {
  const end = await endOfSigKey(rows, sigKeyHash)
  if (end === undefined || !stateOf(end, now).canBeUpdated)
    throw new KeyserverRefusal('not_found', 'uid: SigPubKey is not the SIGKEY of an identity')
}

async function sigKeyIn(unit: Unit, sigKeyHash: string): Promise<SigKeyRow> {
  const row = await unit.verb((manager) => manager.findOneBy<SigKeyRow>(SIG_KEYS, { sigKeyHash }))
  return row ?? { sigKeyHash, messageCount: 0, nonce: 0 }
}

async function noteSigKey(unit: Unit, row: SigKeyRow): Promise<void> {
  await unit.verb((manager) => manager.upsert<SigKeyRow>(SIG_KEYS, row, ['sigKeyHash']))
}

/**
 * Gives out a KeyInit: one that is used once is deleted by the statement that reads it. 5.6
 * @param now in seconds
 * @returns undefined when there is none
 */
export async function dispense(
  store: UnitStore,
  sigKeyHash: string,
  now: number,
): Promise<Dispensed | undefined> {
  const valid = 'sig_key_hash = $1 AND fallback = 0 AND not_before <= $2 AND not_after > $3'
  const values = [sigKeyHash, now, now]
  // Somebody else may have been faster with the one that was found first; as long as there are others, go on.
  for (;;) {
    const [row] = await store.change(
      `DELETE FROM ${KEY_INITS} WHERE id =
        (SELECT id FROM ${KEY_INITS} WHERE ${valid} ORDER BY not_after, id LIMIT 1)
       RETURNING key_init`,
      values,
    )
    if (row !== undefined) return { keyInit: String(row['key_init']), fallback: false }
    const others = await store.select(
      `SELECT 1 AS one FROM ${KEY_INITS} WHERE ${valid} LIMIT 1`,
      values,
    )
    if (others.length === 0) return dispenseFallback(store, sigKeyHash, now)
  }
}

async function dispenseFallback(
  store: UnitStore,
  sigKeyHash: string,
  now: number,
): Promise<Dispensed | undefined> {
  const rows = await store.select(
    `SELECT id, not_after FROM ${KEY_INITS}
     WHERE sig_key_hash = $1 AND fallback = 1 AND not_before <= $2 AND not_after > $3`,
    [sigKeyHash, now, now],
  )
  if (rows.length === 0) return undefined
  const valid = rows.map((row) => ({
    id: Number(row['id']),
    notAfter: Number(row['not_after']),
  }))
  const { chosen, remove } = chooseFallback(valid, now, (most) => randomInt(most))
  // Of the chosen one alone: all of a SIGKEY may be megabytes.
  const [one] = await store.select(`SELECT key_init FROM ${KEY_INITS} WHERE id = $1`, [chosen.id])
  // Somebody was faster and has it deleted.
  if (one === undefined) return dispenseFallback(store, sigKeyHash, now)
  // Under the lock: of two that would each leave the other's, one must stay.
  if (remove)
    await store.inChain((unit) =>
      unit.rows(
        `DELETE FROM ${KEY_INITS} WHERE id = $1 AND EXISTS
          (SELECT 1 FROM ${KEY_INITS} o WHERE o.sig_key_hash = $2 AND o.id <> $3
            AND o.not_before <= $4 AND o.not_after > $5)`,
        [chosen.id, sigKeyHash, chosen.id, now, now],
      ),
    )
  return { keyInit: String(one['key_init']), fallback: true }
}

/** Deletes all of a SIGKEY, in a unit that has the chain for itself. */
export async function deleteAll(unit: Unit, sigKeyHash: string): Promise<void> {
  await unit.verb((manager) => manager.delete<KeyInitRow>(KEY_INITS, { sigKeyHash }))
}

/** Deletes all of a SIGKEY because its owner says so. 5.7 @throws KeyserverRefusal */
export async function flush(
  unit: Unit,
  sigKeyHash: string,
  given: number,
  now: number,
): Promise<void> {
  await assertInUse(inUnit(unit), sigKeyHash, now)
  const { messageCount, nonce } = await sigKeyIn(unit, sigKeyHash)
  if (Math.abs(given - now) > FLUSH_WITHIN || given <= nonce)
    throw new KeyserverRefusal('refused', 'uid: nonce is not the time, or was used before')
  await deleteAll(unit, sigKeyHash)
  await noteSigKey(unit, { sigKeyHash, messageCount, nonce: given })
}

/** Deletes what has expired, in steps between which others get their turn. @param now in seconds */
export async function prune(store: UnitStore, now: number): Promise<void> {
  for (const [name, id, before] of [
    [KEY_INITS, 'id', now],
    [TAKEN, 'digest', now - REMEMBERED_FOR],
  ] as const) {
    let deleted: readonly unknown[]
    do {
      deleted = await store.change(
        `DELETE FROM ${name} WHERE ${id} IN
          (SELECT ${id} FROM ${name} WHERE not_after <= $1 ORDER BY not_after LIMIT ${STEP})
         RETURNING ${id}`,
        [before],
      )
    } while (deleted.length === STEP)
  }
}
