import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import type { Logger } from 'pino'
import { TokenBuckets } from '../directory/share/bucket.js'
import { letter } from '../directory/share/letter.js'
import { Mails } from '../directory/share/mails.js'
import { operatorRoutes } from '../directory/share/operator.js'
import { Replication, type Post } from '../directory/share/replication/index.js'
import type { ShareSettings } from '../directory/share/settings.js'
import { ShareStore } from '../directory/share/store.js'
import { shareSystem } from '../directory/share/system.js'
import { ShareTopology } from '../directory/share/topology.js'
import type { System } from '../directory/system.js'
import { sendByCommand, sendBySmtp } from '../mail/index.js'
import { isLoopback, type Config } from '../config.js'
import {
  defaultShareConfig,
  publicUrlOf,
  readShareFile,
  ShareConfigError,
  STATE_DIR,
  topologyOf,
  type ShareConfig,
} from '../share-config.js'
import { StartRefused } from '../vault/index.js'
import type { Database, Job, UnitStore } from '../store/index.js'
import { clock } from './clock.js'

/** A server of share codes ready to be mounted, and its jobs, not begun yet. */
export interface ShareParts {
  readonly system: System
  readonly jobs: readonly Job[]
  readonly shares: ShareStore
  /** Where there is a token that is shared with others. */
  readonly replication: Replication | undefined
  /** Waits for what is under way beside the jobs. */
  end(): Promise<void>
}

/**
 * What the operator of a Vertex says about share codes: a file such as the command has, in which where to listen and the
 * database are not looked at.
 * @throws StartRefused
 */
export function shareConfigOf(config: Config): ShareConfig {
  const share = readConfig(config.shareConfigFile)
  return { ...share, publicUrl: share.publicUrl ?? shareUrlOf(config) }
}

function readConfig(file: string | undefined): ShareConfig {
  if (file === undefined) return defaultShareConfig
  try {
    return readShareFile(file, (path) => readFileSync(path, 'utf8'))
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (error instanceof ShareConfigError)
      throw new StartRefused(`VERTEX_SHARE_CONFIG: ${error.message}`)
    if (code === undefined) throw error
    throw new StartRefused(`VERTEX_SHARE_CONFIG: ${file} cannot be read (${code})`)
  }
}

function shareUrlOf({ publicHost, transport, host, port }: Config): string {
  if (publicHost !== undefined) return `https://${publicHost}/v1/share`
  const inUrl = host.includes(':') ? `[${host}]` : host
  return `${transport.kind === 'plain' ? 'http' : 'https'}://${inUrl}:${port}/v1/share`
}

const SECOND = 1000
const now = () => clock.now()

export function shareParts(
  store: UnitStore,
  database: Database,
  config: ShareConfig,
  logger: Pick<Logger, 'info' | 'warn'>,
): ShareParts {
  for (const peer of plainPeersOf(config)) logger.warn({ event: 'share_peer_unencrypted', peer })
  const settings = settingsOf(config)
  const replication = replicationOf(store, config, logger)
  const shares = new ShareStore(store, {
    now,
    mailLimits: { perEmail: settings.mailsPerEmail, perSource: settings.mailsPerSource },
    ...(replication === undefined ? {} : { tell: replication.tell }),
  })
  const mail = mailOf(config)
  const mails =
    mail &&
    new Mails(store, now, mail.send, (event) => {
      logger[event.event === 'share_mail_failed' ? 'warn' : 'info'](event)
    })
  const topology = new ShareTopology(store, topologySettingsOf(config, database), now)
  const requests = new TokenBuckets(settings.ratePerMinute, settings.rateBurst)
  const { replicationToken: token } = config
  const peers =
    replication && token !== undefined
      ? {
          token,
          replication,
          replicas: replication.replicas((unit, event) => shares.apply(unit, event)),
        }
      : undefined
  const more = operatorRoutes({
    shares,
    topology,
    peers,
    bytesKept: () => bytesKept(store, database),
    admit: (source) => requests.take(source),
  })
  const jobs: Job[] = [
    { name: 'share-purge', everyMs: 60 * SECOND, work: () => shares.purge() },
    ...(mails ? [{ name: 'share-mail', everyMs: 30 * SECOND, work: () => mails.sendDue() }] : []),
    ...(replication
      ? [
          { name: 'share-events-prune', everyMs: 60 * SECOND, work: () => replication.prune() },
          // What is told at once needs no job; this is for what was not answered.
          { name: 'share-events', everyMs: 5 * SECOND, work: () => replication.outbox.deliver() },
        ]
      : []),
    ...(config.topologyToken !== undefined && config.heartbeatMs > 0
      ? [
          {
            name: `share-heartbeat-${config.serverId}`,
            everyMs: Math.max(SECOND, config.heartbeatMs),
            work: () => topology.report(post),
          },
        ]
      : []),
  ]
  return {
    system: shareSystem({ shares, mails, cluster: topology, settings, more, requests }),
    jobs,
    shares,
    replication,
    async end() {
      await mails?.end()
      await replication?.outbox.end()
      mail?.close()
    },
  }
}

const settingsOf = (config: ShareConfig): ShareSettings => ({
  defaultTtlMs: Math.min(config.defaultTtlSeconds, config.maxTtlSeconds) * SECOND,
  maxTtlMs: config.maxTtlSeconds * SECOND,
  maxPayloadBytes: config.maxPayloadBytes,
  maxFetches: config.maxFetches,
  ratePerMinute: config.ratePerMinute,
  rateBurst: config.rateBurst,
  mailsPerEmail: config.verificationPerHour,
  mailsPerSource: config.verificationIpPerHour,
  publicUrl: publicUrlOf(config),
  developer: config.developer,
})

function replicationOf(
  store: UnitStore,
  config: ShareConfig,
  logger: Pick<Logger, 'info' | 'warn'>,
): Replication | undefined {
  const { replicationToken: token, serverId, peerUrls: peers, originEpoch } = config
  if (token === undefined) return undefined
  const maxTtlMs = config.maxTtlSeconds * SECOND
  const settings = { token, serverId, peers, originEpoch, maxTtlMs }
  return new Replication(store, settings, post, now, (event) => {
    logger[event.event === 'share_peer_answers' ? 'info' : 'warn'](event)
  })
}

const topologySettingsOf = (config: ShareConfig, database: Database) => ({
  serverId: config.serverId,
  configured: topologyOf(config),
  makesRoutes: config.routes.length === 0,
  staleAfterMs: config.staleAfterMs,
  token: config.topologyToken,
  promotedOwners: config.promotedOwners,
  strict: isStrict(config, database),
})

/** Nodes that share a Postgres, and nobody else, can answer for each other's codes. */
const isStrict = ({ strictLocator, replicationToken }: ShareConfig, { kind }: Database) =>
  strictLocator ?? (kind === 'sqlite' || replicationToken !== undefined)

function mailOf({ smtp, verificationCommand }: ShareConfig) {
  if (verificationCommand !== undefined)
    return { send: sendByCommand(verificationCommand), close: () => undefined }
  if (smtp === undefined) return undefined
  const send = sendBySmtp(smtp)
  return {
    send: (to: string, url: string) => send({ to, ...letter(url) }),
    close: () => send.close(),
  }
}

/** What the database has for shares, as far as it says. */
async function bytesKept(store: UnitStore, { kind }: Database): Promise<number> {
  const sql =
    kind === 'postgres'
      ? `SELECT pg_total_relation_size('share_codes') AS bytes`
      : 'SELECT page_count * page_size AS bytes FROM pragma_page_count(), pragma_page_size()'
  const [row] = await store.select(sql, [])
  return Number(row?.['bytes'] ?? 0)
}

/** Peers to which shares, and addresses, would go unencrypted over a network; their hosts. */
const plainPeersOf = ({ peerUrls }: ShareConfig): readonly string[] =>
  peerUrls
    .map((url) => new URL(url))
    .filter(({ protocol, hostname }) => protocol === 'http:' && !isLoopback(hostname))
    .map(({ host }) => host)

/** Where the rows are: in the state directory, or in the database that is named. */
export function shareDatabaseOf(config: ShareConfig): Database {
  const { db, stateDir, developer } = config
  if (db !== undefined && /^postgres(?:ql)?:\/\//.test(db))
    return { kind: 'postgres', url: db, setting: '--db' }
  if (db !== undefined) {
    const path = resolve(db)
    return { kind: 'sqlite', dataDir: dirname(path), file: basename(path), setting: '--db' }
  }
  // A new one that nobody else can have made.
  const isTemporary = developer && stateDir === STATE_DIR
  const dataDir = isTemporary ? mkdtempSync(join(tmpdir(), 'vertex-share-')) : resolve(stateDir)
  return { kind: 'sqlite', dataDir, file: 'key-server.db', setting: '--state-dir' }
}

/** How long another server may take to answer. */
const ANSWER_MS = 10 * SECOND
/** More than an answer with the largest topology has. */
const MOST_ANSWERED = 128 * 1024

/** Another server did not answer as one. */
class NoAnswer extends Error {
  override readonly name = 'NoAnswer'
  constructor(readonly code: string) {
    super('another server did not answer as one')
  }
}

/** Posts to another server. Not to where it sends us on: what goes there is for one server alone. */
export const post: Post = async (url, body, signal) => {
  const late = AbortSignal.timeout(ANSWER_MS)
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'Content-Type': 'application/octet-stream' },
    body: Buffer.from(body),
    redirect: 'error',
    signal: signal === undefined ? late : AbortSignal.any([late, signal]),
  })
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    size += chunk.length
    if (size > MOST_ANSWERED) throw new NoAnswer('too_large')
    chunks.push(chunk)
  }
  if (response.status !== 200) throw new NoAnswer(`http_${response.status}`)
  return new Uint8Array(Buffer.concat(chunks))
}
