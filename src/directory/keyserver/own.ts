import { randomBytes } from 'node:crypto'
import {
  entryText,
  escrowOf,
  KEYSERVER,
  makeUid,
  ROLLOVER,
  checkMessage,
  stateOf,
  toBase64,
  updateUid,
} from '@vertex/directory/keyserver'
import type { Unit, UnitStore } from '../../store/index.js'
import { byOpenssl } from '../equation.js'
import { append, inUnit, lastEntry, lastOfName, openRow } from './chain.js'
import { KeyserverKeys } from './keys.js'
import type { KeyserverSettings } from './settings.js'
import { CHAIN, type ChainRow } from './tables.js'

const ID = 1

/** The chain of this database is not this keyserver's; the message tells the operator what to do. */
export class ChainRefused extends Error {
  override readonly name = 'ChainRefused'
}

/**
 * Finds the chain of the database, or begins one, and sees to it that the keyserver's own messages are in it and last.
 * docs/spec/keyserver.md, 3.8 and section 9
 * @param now milliseconds since 1970
 * @throws ChainRefused, StorageUnavailable
 */
export function openChain(
  store: UnitStore,
  settings: KeyserverSettings,
  now: number,
): Promise<KeyserverKeys> {
  return store.inChain(async (unit) => {
    const keys = await keysOf(unit, settings.seed)
    for (const domain of settings.domains) await sayOwn(unit, keys, domain, settings, now)
    return keys
  })
}

async function keysOf(unit: Unit, seed: Uint8Array): Promise<KeyserverKeys> {
  const row = await unit.verb((manager) => manager.findOneBy<ChainRow>(CHAIN, { id: ID }))
  const chainId = row?.chainId ?? randomBytes(16).toString('hex')
  const keys = new KeyserverKeys(seed, chainId)
  const { publicKey } = keys
  if (row === null)
    await unit.verb((manager) => manager.insert<ChainRow>(CHAIN, { id: ID, chainId, publicKey }))
  else if (row.publicKey !== publicKey)
    throw new ChainRefused(
      'the chain of the keyserver in this database was begun with another key: put that key back, or use another database',
    )
  return keys
}

async function sayOwn(
  unit: Unit,
  keys: KeyserverKeys,
  domain: string,
  { escrowKey }: KeyserverSettings,
  at: number,
): Promise<void> {
  const now = Math.floor(at / 1000)
  const identity = `${KEYSERVER}@${domain}`
  const last = await lastEntry(inUnit(unit))
  const lastEntryText = last === undefined ? '' : entryText(last.entry)
  const row = await lastOfName(inUnit(unit), keys.tagOf(identity))
  if (row === undefined || !stateOf(row.notAfter, now).isKnown) {
    const message = makeUid(keys.own(), { identity, lastEntry: lastEntryText, now, escrowKey })
    await append(unit, keys, checkMessage(message, byOpenssl), at)
    return
  }
  const { message } = openRow(row, identity)
  const wanted = escrowKey === undefined ? undefined : toBase64(escrowKey)
  if (escrowOf(message.UIDContent)?.PUBKEY !== wanted)
    throw new ChainRefused(
      `${identity} began with another escrow key, which it cannot change by itself: set that one`,
    )
  // In time: what has expired can still be updated, but nobody knows it any more.
  if (row.notAfter - now > ROLLOVER / 2) return
  const next = updateUid(message, keys.own(), keys.own(), { lastEntry: lastEntryText, now })
  await append(unit, keys, checkMessage(next, byOpenssl), at)
}
