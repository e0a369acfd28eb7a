import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { relative } from 'node:path'
import type { Suite } from '@vertex/mpc'
import { nativeSuite } from '@vertex/mpc/native'
import { pino, type Logger } from 'pino'
import type { Config, KeySourceSetting } from './config.js'
import { AdminTokenError, readAdminToken, readOrMakeAdminToken } from './http/admin-token.js'
import { createApp } from './http/app.js'
import { Drain } from './http/drain.js'
import { closeServer, createServer, listen } from './http/server.js'
import { readTlsFiles, TlsError } from './http/tls.js'
import { measuredEngine } from './metrics/engine.js'
import { Metrics } from './metrics/metrics.js'
import { metricsServer } from './metrics/server.js'
import { roomPort, Rooms } from './relay/index.js'
import {
  apiKeys,
  BackupSecrets,
  type BackupSecret,
  createSecretFile,
  encryptedBackups,
  loadNewest,
  managedIdentity,
  plaintextBackups,
  rowSeal,
  SecretSettingError,
  secretSource,
  SecretsUnavailable,
  StorageKey,
  vaultIdentity,
  type SealLog,
} from './seal/index.js'
import {
  answering,
  openStore,
  postgresLease,
  sqliteDatabaseExists,
  StoreRefused,
  type Database,
} from './store/index.js'
import {
  markRestored,
  openVault,
  recordBackupSecret,
  recordedBackupSecrets,
  StartRefused,
  type Engine,
  type Vault,
  type VaultParts,
} from './vault/index.js'
import { StorageUnavailable, type Clock } from './vault/ports.js'

/** Something the operator should read at start. */
export interface Note {
  readonly level: 'info' | 'warn'
  readonly text: string
}

/** A composed server. */
export interface Service {
  readonly notes: readonly Note[]
  readonly vault: Vault
  /** Begins to answer. @returns where */
  listen(): Promise<{ readonly url: string; readonly port: number; readonly metricsUrl?: string }>
  /** Not ready at once, no new runs; the running ones get up to 17 s. Resolves when everything is closed, within 20 s. Idempotent. */
  stop(): Promise<void>
}

const clock: Clock = { now: () => Date.now() }

export async function readVersion(): Promise<string> {
  const text = await readFile(new URL('../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}

/** JSON lines on stdout. Only what is put into a record by name is ever in one. */
export function createLogger(level: Config['logLevel']): Logger {
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime })
}

/** Whether an error is for the operator to mend, so that its message is all there is to say. */
export function isForOperator(error: unknown): error is Error {
  return [StartRefused, StoreRefused, SecretSettingError, AdminTokenError, TlsError].some(
    (type) => error instanceof type,
  )
}

/** Whether a start failed only because something else does not answer now. */
export function isUnavailable(error: unknown): error is Error {
  return error instanceof StorageUnavailable || error instanceof SecretsUnavailable
}

/**
 * Builds everything from the configuration; the only place that does.
 * @param engine where protocol runs are computed; the caller ends it after the service
 * @throws what {@link isForOperator} and {@link isUnavailable} know
 */
export async function compose(config: Config, logger: Logger, engine: Engine): Promise<Service> {
  const notes: Note[] = []
  const note = (level: Note['level'], text: string) => notes.push({ level, text })
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
  const backup = await composeBackup(config, suite, storageKey, sealLog, note)
  const database = databaseOf(config)
  const lease =
    database.kind === 'postgres'
      ? postgresLease(database, (event) => {
          logger[event.event === 'lease_lost' ? 'warn' : 'info'](event)
        })
      : undefined
  const answers = () => lease === undefined || lease.held
  const store = await openStore({
    database,
    rowSeal: rowSeal(storageKey.key),
    clock,
  })
  // Until it listens it prepares itself beside the one that answers, as another replica would.
  let listening = false
  const mine = answering(store, () => !listening || answers())
  try {
    if (backup.secrets) {
      const { secrets } = backup
      secrets.remember(await recordedBackupSecrets(store))
      secrets.recordWith(({ id, name, version: of }) =>
        recordBackupSecret(store, clock, { fingerprint: id, name, version: of }),
      )
    }
    const adminToken = await composeAdminToken(config, note)
    const rooms = new Rooms({ roomLifetimeMs: config.roomLifetimeMs })
    const vault = await openVault({
      store: mine,
      rooms: roomPort(rooms),
      clock,
      suite,
      engine: metrics === undefined ? engine : measuredEngine(engine, metrics),
      apiKeys: backup.apiKeys,
      backup: backup.port,
      secrets: { storage: storageKey.loaded, backup: backup.loaded },
      vaultName: config.vaultName,
      identityPem: backup.identityPem,
      runDeadlineMs: config.runDeadlineMs,
      roomLifetimeMs: config.roomLifetimeMs,
      relayAllow: config.relayAllow,
      apiKeysNotBefore: config.apiKeysNotBefore?.getTime() ?? 0,
      log: (event) => {
        metrics?.event(event)
        logger.info(event)
      },
    })
    metrics?.read({
      vault: () => vault.usage(),
      relay: () => rooms.usage,
      backups: async () => (await vault.backupCoverage(undefined, { limit: 1 })).counts,
      secretAges: () => backup.secrets?.ages ?? { secret: undefined, reading: undefined },
    })
    if (config.transport.kind === 'proxy' && config.trustedProxies.length === 0)
      note(
        'warn',
        'VERTEX_TRUSTED_PROXIES is not set: everyone behind the proxy counts as one source of failed authentications, and the log shows the address of the proxy',
      )
    describeDatabase(config, note)

    const drain = new Drain()
    const app = createApp({
      vault,
      adminToken,
      corsOrigins: config.corsOrigins,
      trustedProxies: config.trustedProxies,
      relayAllow: config.relayAllow,
      logger,
      drain,
      answers,
      version,
      measure: metrics && ((request) => metrics.request(request)),
    })
    const server = createServer(app, tls)
    rooms.attach(server)
    const scraped = metrics && metricsServer(metrics)

    const stop = async (): Promise<void> => {
      drain.begin()
      const began = performance.now()
      const closed = server.listening ? closeServer(server, CUT_OFF_MS) : Promise.resolve()
      await vault.close()
      // Upgraded connections count as open ones, so the server is closed only after its WebSockets.
      const grace = rooms.usage.sockets > 0 ? OUTSIDE_RUNS_MS - (performance.now() - began) : 0
      await rooms.close(grace)
      await closed
      if (scraped?.listening === true) await closeServer(scraped, 0)
      await store.close()
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
        const port = await listen(server, config.host, config.port)
        const url = `${tls === undefined ? 'http' : 'https'}://${inUrl(config.host)}:${port}`
        if (scraped === undefined || config.metrics === undefined) return { url, port }
        const { host } = config.metrics
        const metricsPort = await listen(scraped, host, config.metrics.port)
        return { url, port, metricsUrl: `http://${inUrl(host)}:${metricsPort}/metrics` }
      },
      stop: () => (stopping ??= stop()),
    }
  } catch (error) {
    await store.close()
    await lease?.end()
    throw error
  }
}

const inUrl = (host: string) => (host.includes(':') ? `[${host}]` : host)

/** How long runs between other parties, which only meet here, may go on after the server was told to stop. */
const OUTSIDE_RUNS_MS = 5_000

/** When the vault has given up on its last runs, their answers get this much longer. */
const CUT_OFF_MS = 18_000

/**
 * What `npm run restored` does after a database was put back from an older copy.
 * @returns the new generation
 */
export async function markDatabaseRestored(config: Config, logger: Logger): Promise<string> {
  if (config.database.kind === 'sqlite' && !sqliteDatabaseExists(config.database.dataDir))
    throw new StartRefused('VERTEX_DATA_DIR: there is no database here')
  const storageKey = await loadStorageKey(config, sealLogger(logger))
  const store = await openStore({
    database: databaseOf(config),
    rowSeal: rowSeal(storageKey.key),
    clock,
  })
  try {
    const { generation } = await markRestored(store, clock, (event) => logger.info(event))
    return generation
  } finally {
    await store.close()
  }
}

/**
 * Generates what the embedded default lacks, while there is no database: beside one, a missing secret is a lost one,
 * and a new one in its place would make what is there unreadable.
 */
async function makeEmbeddedSecrets(
  config: Config,
  note: (level: Note['level'], text: string) => void,
): Promise<void> {
  const embedded = (source: KeySourceSetting | undefined) =>
    source?.kind === 'embedded' ? source : undefined
  const backup = embedded(config.backup.mode === 'encrypted' ? config.backup.source : undefined)
  const storage = embedded(config.storageKey)
  const isMissing = (source: typeof backup): source is NonNullable<typeof backup> =>
    source !== undefined && !existsSync(source.path)

  const databaseExists =
    config.database.kind === 'sqlite' && sqliteDatabaseExists(config.database.dataDir)
  if (databaseExists)
    for (const source of [backup, storage])
      if (isMissing(source))
        throw new StartRefused(
          `${source.setting}: ${shown(source.path)} is missing, and the database was used with it or has none; put it back or name another file`,
        )
  if (isMissing(backup) && storage !== undefined && existsSync(storage.path))
    throw new StartRefused(
      `${backup.setting}: ${shown(backup.path)} is missing, but the storage key beside it is there; put it back, or remove both to begin anew`,
    )
  // The backup secret first: after a crash between the two, the next start finds it and goes on.
  for (const source of [backup, storage])
    if (isMissing(source)) {
      await createSecretFile(source.setting, source.path)
      if (source === backup)
        note(
          'warn',
          `a backup secret was generated into ${shown(source.path)}; keep a copy elsewhere, because no backup opens without it`,
        )
      else note('info', `a storage key was generated into ${shown(source.path)}`)
    }
}

async function loadStorageKey(config: Config, log: SealLog) {
  const { bytes, name, version } = await loadNewest(secretSource(config.storageKey, log))
  const key = new StorageKey(bytes, config.vaultName)
  bytes.fill(0)
  const { setting } = config.storageKey
  return { key, loaded: { setting, versions: [{ fingerprint: key.id, name, version }] } }
}

/** The database of the configuration, with the login that only a managed identity has. */
function databaseOf({ database }: Config): Database {
  if (database.kind === 'sqlite') return database
  return { kind: 'postgres', url: database.url, tokenFor: managedIdentity(database.clientId) }
}

interface BackupParts {
  readonly port: VaultParts['backup']
  readonly apiKeys: VaultParts['apiKeys']
  readonly identityPem: () => string
  readonly loaded: VaultParts['secrets']['backup']
  readonly secrets?: BackupSecrets
}

async function composeBackup(
  config: Config,
  suite: Suite,
  storage: { readonly key: StorageKey },
  log: SealLog,
  note: (level: Note['level'], text: string) => void,
): Promise<BackupParts> {
  const envelope = { vaultName: config.vaultName, suite }
  if (config.backup.mode === 'plaintext') {
    note(
      'warn',
      'PLAINTEXT BACKUPS: exported shares leave this server unencrypted, for everyone who sees them to use',
    )
    note('warn', 'in plaintext mode there is no vault identity: recovery after a loss is by hand')
    if (config.backup.unusedSecret)
      note('warn', 'a backup secret is set and not used in plaintext mode')
    return {
      port: {
        seal: plaintextBackups(envelope),
        identity: undefined,
        ready: () => Promise.resolve(true),
      },
      apiKeys: apiKeys(() => [storage.key.tagKey()]),
      identityPem: () => storage.key.identityPem(),
      loaded: undefined,
    }
  }
  const secrets = await BackupSecrets.load(secretSource(config.backup.source, log), {
    vaultName: config.vaultName,
    clock,
    log,
    storageFingerprint: storage.key.fingerprint,
  })
  const from =
    config.backup.source.kind === 'azure'
      ? `the secret ${config.backup.source.name} in ${config.backup.source.vaultUrl}`
      : shown(config.backup.source.path)
  note('info', `backups are encrypted under ${from}, as vault ${config.vaultName}`)
  if (config.apiKeysNotBefore === undefined)
    note(
      'info',
      'after a loss of the database, API keys revoked before it work again unless VERTEX_API_KEYS_NOT_BEFORE is set',
    )
  const versions = secrets
    .all()
    .map(({ id, name, version }) => ({ fingerprint: id, name, version }))
  return {
    port: {
      seal: encryptedBackups(envelope, secrets),
      identity: vaultIdentity(secrets),
      ready: () =>
        secrets.newest().then(
          () => true,
          () => false,
        ),
    },
    apiKeys: apiKeys(() => secrets.all().map((secret) => secret.tagKey())),
    identityPem: () => newestOf(secrets).identityPem(),
    loaded: { setting: config.backup.source.setting, versions },
    secrets,
  }
}

function newestOf(secrets: BackupSecrets): BackupSecret {
  const newest = secrets.all()[0]
  if (newest === undefined) throw new Error('backup secrets are never empty')
  return newest
}

async function composeAdminToken(
  config: Config,
  note: (level: Note['level'], text: string) => void,
): Promise<string> {
  const { adminToken } = config
  if (adminToken.kind === 'value') return adminToken.value
  if (adminToken.kind === 'file') return readAdminToken(adminToken.path, 'VERTEX_ADMIN_TOKEN_FILE')
  const { token, made } = await readOrMakeAdminToken(adminToken.path)
  note('info', `the admin token ${made ? 'was generated into' : 'is in'} ${shown(adminToken.path)}`)
  return token
}

function describeDatabase(
  config: Config,
  note: (level: Note['level'], text: string) => void,
): void {
  if (config.database.kind === 'postgres') {
    note('info', 'the database is Postgres')
    return
  }
  note('info', `the database is the embedded one in ${shown(config.database.dataDir)}`)
  note(
    'info',
    'after putting back an older copy of the database, run npm run restored before the next start',
  )
}

function sealLogger(logger: Logger, metrics?: Metrics): SealLog {
  return (event) => {
    metrics?.event(event)
    if (event.event === 'secrets_loaded') logger.info(event)
    else logger.warn(event)
  }
}

/** A path as the operator would write it here. */
function shown(path: string): string {
  const short = relative(process.cwd(), path)
  return short.startsWith('..') ? path : `./${short}`
}
