import { nativeSuite } from '@vertex/mpc/native'
import type { Logger } from 'pino'
import { AuditWriter } from '../audit/index.js'
import type { Config } from '../config.js'
import { createApp } from '../http/app.js'
import { Drain } from '../http/drain.js'
import { closeServer, createServer, listen } from '../http/server.js'
import { readTlsFiles } from '../http/tls.js'
import { measuredEngine } from '../metrics/engine.js'
import { Metrics } from '../metrics/metrics.js'
import { metricsServer } from '../metrics/server.js'
import { rowSeal } from '../seal/index.js'
import { answering, openStore, postgresLease, postgresReplicas } from '../store/index.js'
import {
  openVault,
  recordBackupSecret,
  recordedBackupSecrets,
  type Engine,
  type Vault,
  type VaultEvent,
} from '../vault/index.js'
import { composeAnchoring, openAudit } from './audit.js'
import { composeBackup } from './backup.js'
import { composeDirectory, directoryTables } from './directory.js'
import { keyserverOf } from './keyserver.js'
import { composeLog } from './log.js'
import { admitBy, composeRates } from './rates.js'
import { composeParty } from './party.js'
import { shareConfigOf } from './share.js'
import { composeRelay } from './relay.js'
import { clock } from './clock.js'
import { databaseOf, describeDatabase } from './database.js'
import { sealLogger } from './logging.js'
import type { Note, TakeNote } from './notes.js'
import { composeAdminToken, loadStorageKey, makeEmbeddedSecrets } from './secrets.js'
import { readVersion } from './version.js'

/** A composed server. */
export interface Service {
  readonly notes: readonly Note[]
  readonly vault: Vault
  /** Begins to answer. @returns where @throws what {@link isForOperator} and {@link isUnavailable} know */
  listen(): Promise<{ readonly url: string; readonly port: number; readonly metricsUrl?: string }>
  /** Not ready at once, no new runs; the running ones get up to 17 s. Resolves when everything is closed, within 20 s. Idempotent. */
  stop(): Promise<void>
}

/**
 * Builds everything from the configuration; the only place that does.
 * @param engine where protocol runs are computed; the caller ends it after the service
 * @throws what {@link isForOperator} and {@link isUnavailable} know
 */
export async function compose(config: Config, logger: Logger, engine: Engine): Promise<Service> {
  const notes: Note[] = []
  const note: TakeNote = (level, text) => {
    notes.push({ level, text })
  }
  const version = await readVersion()
  const tls =
    config.transport.kind === 'tls'
      ? await readTlsFiles(config.transport.certFile, config.transport.keyFile)
      : undefined

  const suite = nativeSuite()
  if (suite.curve.name !== 'libsecp256k1')
    note(
      'warn',
      `libsecp256k1 is not available here; signing uses the slower curve "${suite.curve.name}"`,
    )

  await makeEmbeddedSecrets(config, note)
  const metrics = config.metrics && new Metrics(version)
  const sealLog = sealLogger(logger, metrics)
  const storageKey = await loadStorageKey(config, sealLog)
  const backup = await composeBackup(config, suite, storageKey, clock, sealLog, note)
  const database = databaseOf(config)
  const relay = composeRelay(config, logger, note)
  // Rooms in the memory of one process are what makes it the only one.
  const lease =
    database.kind === 'postgres' && relay.redis === undefined
      ? postgresLease(database, (event) => {
          logger[event.event === 'lease_lost' ? 'warn' : 'info'](event)
        })
      : undefined
  // From the first Redis on, so that one that never gets ready keeps nobody from answering alone.
  const replicas =
    database.kind === 'postgres' && relay.redis !== undefined
      ? postgresReplicas(database)
      : undefined
  const answers = () => lease === undefined || lease.held
  const store = await openStore({
    database,
    rowSeal: rowSeal(storageKey.key),
    clock,
    more: directoryTables,
  })
  // Until it listens it prepares itself beside the one that answers, as another replica would.
  let listening = false
  const mine = answering(store, () => !listening || answers())
  const log = (event: VaultEvent) => {
    metrics?.event(event)
    logger.info(event)
  }
  try {
    if (backup.secrets) {
      const { secrets } = backup
      secrets.remember(await recordedBackupSecrets(store))
      secrets.recordWith(({ id, name, version: of }) =>
        recordBackupSecret(store, clock, { fingerprint: id, name, version: of }),
      )
    }
    const audit = new AuditWriter(store, storageKey.key.auditKeys(), clock)
    const anchoring = await composeAnchoring(config, audit, storageKey.key, clock, log)
    const adminToken = await composeAdminToken(config, note)
    const rates = composeRates(config, relay.redis)
    const keyserver = await keyserverOf(config.keyserver, storageKey.key.keyserverSeed())
    const settings = { ...config, keyserver, share: shareConfigOf(config) }
    const directory = config.directory && composeDirectory(store, database, settings, logger)
    const names = directory ? directory.names : undefined
    const party = composeParty(config, suite, store, backup.parties, note, names)
    const vault = await openVault({
      store: mine,
      rooms: relay.port,
      clock,
      suite,
      engine: metrics === undefined ? engine : measuredEngine(engine, metrics),
      apiKeys: backup.apiKeys,
      backup: backup.port,
      directory: party.directory,
      secrets: { storage: storageKey.loaded, backup: backup.loaded },
      vaultName: config.vaultName,
      identityPem: backup.identityPem,
      runDeadlineMs: config.runDeadlineMs,
      roomLifetimeMs: config.roomLifetimeMs,
      relayAllow: config.relayAllow,
      apiKeysNotBefore: config.apiKeysNotBefore?.getTime() ?? 0,
      rates,
      log,
      audit,
      signsUnrecorded: config.audit.signsUnrecorded,
    })
    // Once the vault's name is known to be the one of this database: the codes are made with it.
    await openAudit(audit, log)
    const directoryLog = config.directory
      ? await composeLog(config, store, storageKey.key, { clock, log, mayWrite: answers })
      : undefined
    metrics?.read({
      vault: () => vault.usage(),
      database: () => store.pending,
      audit: () => audit.pending,
      relay: () => relay.usage,
      backups: () => vault.backupCoverage(undefined, { limit: 1 }),
      secretAges: () => backup.secrets?.ages ?? { secret: undefined, reading: undefined },
    })
    if (config.transport.kind === 'proxy' && config.trustedProxies.length === 0)
      note(
        'warn',
        'VERTEX_TRUSTED_PROXIES is not set: everyone behind the proxy counts as one source of failed authentications, and the log shows the address of the proxy',
      )
    describeDatabase(config, note)

    if (directory) await directory.jobs.prepare()
    const drain = new Drain()
    const app = createApp({
      vault,
      rates,
      adminToken,
      corsOrigins: config.corsOrigins,
      trustedProxies: config.trustedProxies,
      relayAllow: config.relayAllow,
      logger,
      drain,
      answers,
      version,
      systems:
        directory && directoryLog
          ? [...directory.systems.map(directoryLog.proving), directoryLog.system]
          : [],
      admitToSystems: admitBy(rates),
      measure: metrics && ((request) => metrics.request(request)),
    })
    const server = createServer(app, tls)
    relay.attach(server)
    const scraped = metrics && metricsServer(metrics)

    const stop = async (): Promise<void> => {
      drain.begin()
      const began = performance.now()
      const closed = server.listening ? closeServer(server, CUT_OFF_MS) : Promise.resolve()
      await vault.close()
      // Upgraded connections count as open ones, so the server is closed only after its WebSockets.
      const grace = relay.usage.sockets > 0 ? OUTSIDE_RUNS_MS - (performance.now() - began) : 0
      await relay.close(grace)
      await closed
      await anchoring.end()
      if (directory) {
        await directory.jobs.end()
        await directory.end()
      }
      await directoryLog?.end()
      if (scraped?.listening === true) await closeServer(scraped, 0)
      await store.close()
      await replicas?.end()
      // The next one answers when nothing is left here.
      await lease?.end()
    }
    let stopping: Promise<void> | undefined
    return {
      notes,
      vault,
      listen: async () => {
        listening = true
        await lease?.begin()
        await party.publish()
        if (directory) await directory.open()
        relay.redis?.onReady(() => replicas?.begin())
        await relay.begin()
        const port = await listen(server, config.host, config.port)
        if (directory) directory.jobs.begin()
        anchoring.begin(config.audit.anchorEveryMs)
        directoryLog?.begin()
        const url = `${tls === undefined ? 'http' : 'https'}://${inUrl(config.host)}:${port}`
        if (scraped === undefined || config.metrics === undefined) return { url, port }
        const { host } = config.metrics
        const metricsPort = await listen(scraped, host, config.metrics.port)
        return { url, port, metricsUrl: `http://${inUrl(host)}:${metricsPort}/metrics` }
      },
      stop: () => (stopping ??= stop()),
    }
  } catch (error) {
    await relay.close(0)
    await store.close()
    await replicas?.end()
    await lease?.end()
    throw error
  }
}

const inUrl = (host: string) => (host.includes(':') ? `[${host}]` : host)

/** How long runs between other parties, which only meet here, may go on after the server was told to stop. */
const OUTSIDE_RUNS_MS = 5_000

/** When the vault has given up on its last runs, their answers get this much longer. */
const CUT_OFF_MS = 18_000
