import { setTimeout as sleep } from 'node:timers/promises'
import { statuses } from '@vertex/directory/share'
import type { Logger } from 'pino'
import type { ShareConfig } from '../share-config.js'
import { openUnsealed, type Database } from '../store/index.js'
import { jobsOf, serveAlone, type DirectoryServer } from './alone.js'
import { directoryTables } from './directory.js'
import { shareDatabaseOf, shareParts } from './share.js'

/**
 * Runs a server of share codes by itself.
 * @throws what `isForOperator` and `isUnavailable` know; of the operating system where it cannot listen
 */
export async function serveShares(
  place: { readonly host: string; readonly port: number },
  config: ShareConfig,
  logger: Logger,
): Promise<DirectoryServer> {
  const database = shareDatabaseOf(config)
  const store = await openUnsealed(database, directoryTables)
  const parts = shareParts(store, database, config, logger)
  const end = async () => {
    await parts.end()
    await store.close()
  }
  return serveAlone(
    { ...place, trustedProxies: config.trustedProxies },
    { system: parts.system, jobs: jobsOf(database, parts.jobs, logger), end },
    logger,
  )
}

/** So many shares are read at a time. */
const PAGE = 50
/** How often it is looked whether a peer has answered. */
const LOOK_MS = 200

/** A peer did not take everything; the message is for the operator. */
export class ResyncStopped extends Error {
  override readonly name = 'ResyncStopped'
}

/** What a peer answers that has been asked too often. */
const SLOW_DOWN = `status ${statuses.rateLimited}`

/**
 * Tells one peer of every share that can be had, also while a server runs on the database; then it is the server that
 * tells, or this process, whichever comes first.
 * @param progress is told how many are still to be told
 * @returns how many there were
 * @throws ResyncStopped, and what `isForOperator` and `isUnavailable` know
 */
export async function resyncPeer(
  config: ShareConfig,
  peerUrl: string,
  logger: Logger,
  progress: (waiting: number) => void,
): Promise<number> {
  const database = shareDatabaseOf(config)
  const store = await openUnsealed(besideOf(database), directoryTables)
  // What is for all peers, the server tells.
  const parts = shareParts(store, database, { ...config, peerUrls: [] }, logger)
  const { shares, replication } = parts
  try {
    if (replication === undefined) throw new Error('resync without a token')
    const { outbox } = replication
    let told = 0
    for (let last = ''; ;) {
      const page = await shares.liveAfter(last, PAGE)
      await store.inUnit(async (unit) => {
        for (const share of page) await outbox.enqueue(unit, share, share.expiresAt, peerUrl)
      })
      told += page.length
      if (page.length < PAGE) break
      last = page.at(-1)!.code
    }
    for (;;) {
      await outbox.deliver()
      const waiting = await outbox.pending(peerUrl)
      if (waiting === 0) return told
      const silence = outbox.silenceOf(peerUrl)
      if (silence !== undefined && silence !== SLOW_DOWN)
        throw new ResyncStopped(
          `the peer did not take it (${silence}); ${waiting} events wait, and a server on this database goes on`,
        )
      progress(waiting)
      await sleep(LOOK_MS)
    }
  } finally {
    await parts.end()
    await store.close()
  }
}

const besideOf = (database: Database): Database =>
  database.kind === 'sqlite' ? { ...database, beside: true } : database
