import { isIP } from 'node:net'
import { join, resolve } from 'node:path'
import { z } from 'zod'
import type { RateSettings } from './rates/index.js'
import { hostAndPort, isAddressRange } from './http/host-and-port.js'

/** Where 32 secret bytes come from. */
export type KeySourceSetting =
  | { readonly kind: 'file'; readonly setting: string; readonly path: string }
  | {
      readonly kind: 'azure'
      readonly setting: string
      readonly vaultUrl: string
      readonly name: string
      /** Of a user-assigned managed identity. */
      readonly clientId?: string
    }
  /** The embedded default: read from this file, which is made when neither it nor a database exists. */
  | { readonly kind: 'embedded'; readonly setting: string; readonly path: string }

export type AdminTokenSetting =
  | { readonly kind: 'value'; readonly value: string }
  | Extract<KeySourceSetting, { kind: 'azure' }>
  | { readonly kind: 'file'; readonly path: string }
  /** The embedded default: generated into this file at the first start. */
  | { readonly kind: 'embedded'; readonly path: string }

export type TransportSetting =
  | { readonly kind: 'plain' }
  | { readonly kind: 'proxy' }
  | { readonly kind: 'tls'; certFile: string; keyFile: string }

/** Everything the operator decides; see docs/operations/configuration.md. */
export interface Config {
  readonly host: string
  readonly port: number
  readonly transport: TransportSetting
  readonly trustedProxies: readonly string[]
  readonly corsOrigins: readonly string[]
  readonly database:
    | { readonly kind: 'sqlite'; readonly dataDir: string }
    | {
        readonly kind: 'postgres'
        readonly url: string
        /** Of a user-assigned managed identity, where the database is logged in to as one. */
        readonly clientId?: string
      }
  /** What replicas on one Postgres share; undefined for a single server. */
  readonly redis: { readonly url: string; readonly clientId: string | undefined } | undefined
  readonly dataDir: string
  readonly adminToken: AdminTokenSetting
  readonly backup:
    | { readonly mode: 'encrypted'; readonly source: KeySourceSetting }
    | { readonly mode: 'plaintext'; readonly unusedSecret: boolean }
  readonly storageKey: KeySourceSetting
  readonly vaultName: string
  readonly relayAllow: readonly string[]
  readonly runDeadlineMs: number
  readonly roomLifetimeMs: number
  /** How often what may be asked for. */
  readonly rates: RateSettings
  /** Whether the systems of the key directory are on the same listener. */
  readonly directory: boolean
  readonly keyPackages: KeyPackageSettings
  /** A file with the settings of share codes. */
  readonly shareConfigFile: string | undefined
  /** Undefined where no domain is served. */
  readonly keyserver: KeyserverConfig | undefined
  /** Under which name the directory's log is published, without the generation; undefined for one of the vault's. */
  readonly logOrigin: string | undefined
  /** Where this server says on its sigchain that it can be reached. */
  readonly publicHost: string | undefined
  readonly logLevel: LogLevel
  /** Where the metrics are asked for; off if undefined. */
  readonly metrics: { readonly host: string; readonly port: number } | undefined
  readonly audit: {
    /** Whether signatures go on when the audit log cannot be written. */
    readonly signsUnrecorded: boolean
    readonly anchorEveryMs: number
    readonly anchorFile: string | undefined
    /** Of a container in Azure Blob Storage and perhaps a folder in it, without a slash at the end. */
    readonly anchorBlob: { readonly url: string; readonly clientId: string | undefined } | undefined
  }
  readonly apiKeysNotBefore: Date | undefined
}

/** How long key packages are kept, how many of each device, and how often it is looked. */
export interface KeyPackageSettings {
  readonly retentionMs: number
  readonly maxPerIdentity: number
  readonly pruneEveryMs: number
}

/** Whose names the keyserver gives out, and on which terms. */
export interface KeyserverConfig {
  /** Lower case; at least one. */
  readonly domains: readonly string[]
  /** Localparts that nobody gets. */
  readonly reserved: readonly string[]
  /** PEM, of RSA public keys; without it calls cost nothing. */
  readonly tokenKeyFile: string | undefined
  /** Base64 of an Ed25519 public key. */
  readonly escrowKey: string | undefined
}

const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'silent'] as const
export type LogLevel = (typeof logLevels)[number]

/** The settings are wrong; `problems` has one line for each of them. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  constructor(readonly problems: readonly string[]) {
    super(problems.join('\n'))
  }
}

const text = z.string()
const file = text.transform((path) => resolve(path))
const list = text.transform((value) => value.split(',').map((item) => item.trim()))
const seconds = (min: number, max: number) =>
  text
    .regex(/^\d{1,6}$/, `must be a whole number of seconds, ${min} to ${max}`)
    .transform(Number)
    .refine((value) => value >= min && value <= max, `must be ${min} to ${max} seconds`)
const count = (max: number) =>
  text
    .regex(/^\d{1,9}$/, `must be a whole number from 1 to ${max}`)
    .transform(Number)
    .refine((value) => value >= 1 && value <= max, `must be 1 to ${max}`)
const times = (min: number) =>
  text
    .regex(/^\d{1,9}$/, `must be a whole number from ${min} to 999999999`)
    .transform(Number)
    .refine((value) => value >= min, `must be ${min} at least`)
const hostName = text.regex(/^[0-9A-Za-z.:_-]+$/, 'must be a host name or an address')
const port = text
  .regex(/^\d{1,5}$/, 'must be a port, 0 to 65535')
  .transform(Number)
  .refine((value) => value <= 65535, 'must be a port, 0 to 65535')
const secretName = text.regex(
  /^[0-9A-Za-z-]{1,127}$/,
  'must be a Key Vault secret name: letters, digits and hyphens',
)
const keyVaultName = text.regex(
  /^[A-Za-z](?:-?[0-9A-Za-z]){2,23}$/,
  'must be a Key Vault name: 3 to 24 letters, digits and single hyphens, beginning with a letter',
)
const keyVaultUrl = text.refine(
  (value) =>
    URL.canParse(value) && new URL(value).protocol === 'https:' && new URL(value).pathname === '/',
  'must be an https URL without a path',
)

function isOrigin(value: string): boolean {
  return URL.canParse(value) && new URL(value).origin === value && /^https?:/.test(value)
}

function hasReadableLogin(url: string): boolean {
  const { username, password } = new URL(url)
  try {
    decodeURIComponent(username)
    decodeURIComponent(password)
    return true
  } catch {
    return false
  }
}

/** Nowhere else, because a token of the managed identity goes there; and without a token of its own in the query. */
function isBlobContainer(value: string): boolean {
  if (!URL.canParse(value)) return false
  const { protocol, hostname, pathname, username, search, hash } = new URL(value)
  return (
    protocol === 'https:' &&
    /^[a-z0-9]{3,24}\.(?:z\d\d\.blob\.storage\.azure\.net|blob\.core\.(?:windows\.net|usgovcloudapi\.net|chinacloudapi\.cn))$/.test(
      hostname,
    ) &&
    /^(?:\/[A-Za-z0-9._-]+)+\/?$/.test(pathname) &&
    username + search + hash === ''
  )
}

/** Names that a reader would take for somebody with an office. */
const reservedNames = [
  'abuse',
  'admin',
  'administrator',
  'hostmaster',
  'postmaster',
  'root',
  'security',
  'support',
  'webmaster',
]

/** Every setting, how it is read, and what it is when it is not given. */
export const settings = {
  HOST: hostName.default('127.0.0.1'),
  PORT: port.default(8080),
  VERTEX_TLS: z.literal('terminated-by-proxy', 'can only be terminated-by-proxy').optional(),
  VERTEX_TLS_CERT_FILE: file.optional(),
  VERTEX_TLS_KEY_FILE: file.optional(),
  VERTEX_TRUSTED_PROXIES: list
    .refine(
      (items) => items.every(isAddressRange),
      'must be addresses or ranges such as 10.0.0.0/8, with commas between',
    )
    .default([]),
  VERTEX_CORS_ORIGINS: list
    .refine(
      (items) => items.every(isOrigin),
      'must be origins such as https://app.example.com, with commas between',
    )
    .default([]),
  DATABASE_URL: text
    .refine(
      (value) => /^postgres(?:ql)?:\/\//.test(value) && URL.canParse(value),
      'must be a postgres:// URL',
    )
    .optional(),
  REDIS_URL: text
    .refine((value) => /^rediss?:\/\//.test(value) && URL.canParse(value), {
      error: 'must be a redis:// or rediss:// URL',
      abort: true,
    })
    // The client would find out with every connection, and the server never get ready.
    .refine(hasReadableLogin, 'has a user or a password with a wrong %; write %25 for a %')
    .refine(
      (value) => /^\/?\d{0,5}$/.test(new URL(value).pathname),
      'can have nothing but the number of a database after the host',
    )
    .optional(),
  VERTEX_DATA_DIR: file.default(resolve('./data')),
  VERTEX_ADMIN_TOKEN: text
    .regex(/^[!-~]{16,512}$/, 'must have 16 to 512 printable ASCII characters and no white space')
    .optional(),
  VERTEX_ADMIN_TOKEN_FILE: file.optional(),
  VERTEX_ADMIN_SECRET_NAME: secretName.optional(),
  VERTEX_ADMIN_SECRET_VAULT_NAME: keyVaultName.optional(),
  VERTEX_ADMIN_SECRET_VAULT_URL: keyVaultUrl.optional(),
  VERTEX_BACKUP_MODE: z
    .enum(['encrypted', 'plaintext'], 'must be encrypted or plaintext')
    .default('encrypted'),
  VERTEX_ALLOW_RAW_EXPORT: z.literal('yes-i-understand', 'can only be yes-i-understand').optional(),
  VERTEX_BACKUP_SECRET_FILE: file.optional(),
  VERTEX_BACKUP_SECRET_NAME: secretName.optional(),
  VERTEX_BACKUP_SECRET_VAULT_NAME: keyVaultName.optional(),
  VERTEX_BACKUP_SECRET_VAULT_URL: keyVaultUrl.optional(),
  VERTEX_STORAGE_KEY_FILE: file.optional(),
  VERTEX_STORAGE_SECRET_NAME: secretName.optional(),
  VERTEX_STORAGE_SECRET_VAULT_NAME: keyVaultName.optional(),
  VERTEX_STORAGE_SECRET_VAULT_URL: keyVaultUrl.optional(),
  VERTEX_VAULT_NAME: text
    .regex(
      /^[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?$/,
      'must be 1 to 63 of a-z, 0-9, dot, hyphen and underscore',
    )
    .optional(),
  VERTEX_API_KEYS_NOT_BEFORE: z.iso
    .datetime({ offset: true, error: 'must be a time such as 2026-01-31T12:00:00Z' })
    .transform((value) => new Date(value))
    .optional(),
  VERTEX_RELAY_ALLOW: list
    .refine(
      (items) => items.every((item) => hostAndPort(item) !== undefined),
      'must be host:port, with commas between',
    )
    .transform((items) => items.map((item) => item.toLowerCase()))
    .default([]),
  VERTEX_RUN_DEADLINE: seconds(1, 600).default(30),
  VERTEX_ROOM_LIFETIME: seconds(1, 3600).default(60),
  VERTEX_RATE_REQUESTS: times(60).default(6_000),
  // A whole batch must fit.
  VERTEX_RATE_SIGNATURES: times(32).default(600),
  VERTEX_RATE_KEY_EXPORTS: times(1).default(60),
  VERTEX_RATE_CREATES: times(1).default(10_000),
  VERTEX_RATE_EXPORTS: times(1).default(10_000),
  VERTEX_RATE_IMPORTS: times(1).default(10_000),
  VERTEX_RATE_DIRECTORY: times(1).default(6_000),
  // A key package of the largest size fits.
  VERTEX_RATE_DIRECTORY_WRITES: times(1).default(32),
  VERTEX_PUBLIC_HOST: text
    .toLowerCase()
    .refine(
      (value) => hostAndPort(value) !== undefined || hostAndPort(`${value}:443`) !== undefined,
      'must be a host, or host:port',
    )
    .optional(),
  VERTEX_DIRECTORY: z.enum(['on', 'off'], 'must be on or off').default('on'),
  VERTEX_KEYPACKAGE_MAX_PER_IDENTITY: count(1_000_000).default(5),
  VERTEX_KEYPACKAGE_RETENTION_DAYS: count(36_500).default(30),
  VERTEX_KEYPACKAGE_PRUNE_INTERVAL: seconds(1, 604_800).default(3600),
  VERTEX_SHARE_CONFIG: file.optional(),
  VERTEX_KEYSERVER_DOMAINS: list
    .transform((items) => items.map((item) => item.toLowerCase()))
    .refine(
      (items) => items.every((item) => /^(?=.{1,253}$)[a-z0-9-]+(?:\.[a-z0-9-]+)*$/.test(item)),
      'must be domains such as example.com, with commas between',
    )
    .refine((items) => new Set(items).size === items.length, 'names a domain twice')
    .optional(),
  VERTEX_KEYSERVER_RESERVED: list
    .refine(
      (items) =>
        items.every((item) => /^(?!.*[.-]{2})[a-z0-9][a-z0-9.-]{1,62}[a-z0-9]$/.test(item)),
      'must be localparts of names, in lower case, with commas between',
    )
    .default(reservedNames),
  VERTEX_KEYSERVER_TOKEN_KEY_FILE: file.optional(),
  VERTEX_KEYSERVER_ESCROW_KEY: text
    .regex(/^[A-Za-z0-9+/]{43}=$/, 'must be base64 of 32 bytes')
    .optional(),
  VERTEX_LOG_ORIGIN: text
    .regex(
      /^(?=.{1,160}$)[a-z0-9][a-z0-9.-]*(?::[0-9]{1,5})?(?:\/[A-Za-z0-9._~-]+)*$/,
      'must be the address of the log without https://, such as vertex.example.com/log',
    )
    .optional(),
  VERTEX_METRICS_PORT: port.optional(),
  VERTEX_METRICS_HOST: hostName.optional(),
  VERTEX_AUDIT_SIGN: z
    .enum(['required', 'best-effort'], 'must be required or best-effort')
    .default('required'),
  VERTEX_AUDIT_ANCHOR_FILE: file.optional(),
  VERTEX_AUDIT_ANCHOR_BLOB_URL: text
    .refine(isBlobContainer, 'must be https://ACCOUNT.blob.core.windows.net/CONTAINER')
    .transform((value) => value.replace(/\/+$/, ''))
    .optional(),
  VERTEX_AUDIT_ANCHOR_SECONDS: seconds(1, 86_400).default(60),
  VERTEX_LOG_LEVEL: z.enum(logLevels, `must be one of ${logLevels.join(', ')}`).default('info'),
} satisfies Record<string, z.ZodType>

type Settings = { [Name in keyof typeof settings]: z.output<(typeof settings)[Name]> }
type SettingName = keyof typeof settings

/** Settings that hold secrets; {@link takeConfig} removes them from the environment once they are read. */
const secretSettings: readonly SettingName[] = ['VERTEX_ADMIN_TOKEN', 'DATABASE_URL', 'REDIS_URL']

/** Where the embedded default keeps what it generates; never under the data directory. */
const embeddedSecretDir = './vertex-secret'

/**
 * Reads the configuration once and takes its secrets out of `env`, so that neither a child process nor a report
 * can show them later.
 * @throws ConfigError with all problems at once
 */
export function takeConfig(env: NodeJS.ProcessEnv): Config {
  try {
    return readConfig(env)
  } finally {
    for (const name of secretSettings) Reflect.deleteProperty(env, name)
  }
}

/** @throws ConfigError with all problems at once */
export function readConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const problems: string[] = []
  const values: Record<string, unknown> = {}
  const names = Object.keys(settings) as SettingName[]
  for (const name of names) {
    const given = env[name]
    if (given === '') problems.push(`${name} is set but empty; give it a value or unset it`)
    const result = settings[name].safeParse(given === '' ? undefined : given)
    // A wrong one stands for its default, so that the rules between settings are checked as well.
    values[name] = result.success ? result.data : settings[name].parse(undefined)
    if (!result.success)
      problems.push(`${name} ${result.error.issues[0]?.message ?? 'is not valid'}`)
  }
  for (const name of Object.keys(env)) {
    if (!name.startsWith('VERTEX_') || name.startsWith('VERTEX_TEST_') || name in settings) continue
    const meant = names.find((known) => distance(known, name) <= 3)
    problems.push(
      `${name} is not a setting of Vertex${meant === undefined ? '' : `; did you mean ${meant}?`}`,
    )
  }
  const config = combine(values as unknown as Settings, env['AZURE_CLIENT_ID'], problems)
  if (problems.length > 0) throw new ConfigError(problems)
  return deepFreeze(config)
}

/** As the settings of key packages say it. */
export function keyPackagesOf(
  s: Pick<
    Settings,
    | 'VERTEX_KEYPACKAGE_MAX_PER_IDENTITY'
    | 'VERTEX_KEYPACKAGE_RETENTION_DAYS'
    | 'VERTEX_KEYPACKAGE_PRUNE_INTERVAL'
  >,
): KeyPackageSettings {
  return {
    maxPerIdentity: s.VERTEX_KEYPACKAGE_MAX_PER_IDENTITY,
    retentionMs: s.VERTEX_KEYPACKAGE_RETENTION_DAYS * 24 * 3_600_000,
    pruneEveryMs: s.VERTEX_KEYPACKAGE_PRUNE_INTERVAL * 1000,
  }
}

/** As they are when nothing is said. */
export const defaultKeyPackages: KeyPackageSettings = keyPackagesOf({
  VERTEX_KEYPACKAGE_MAX_PER_IDENTITY: settings.VERTEX_KEYPACKAGE_MAX_PER_IDENTITY.parse(undefined),
  VERTEX_KEYPACKAGE_RETENTION_DAYS: settings.VERTEX_KEYPACKAGE_RETENTION_DAYS.parse(undefined),
  VERTEX_KEYPACKAGE_PRUNE_INTERVAL: settings.VERTEX_KEYPACKAGE_PRUNE_INTERVAL.parse(undefined),
})

type KeyserverNames =
  | 'VERTEX_KEYSERVER_DOMAINS'
  | 'VERTEX_KEYSERVER_RESERVED'
  | 'VERTEX_KEYSERVER_TOKEN_KEY_FILE'
  | 'VERTEX_KEYSERVER_ESCROW_KEY'

/** As the settings of the keyserver say it; undefined where no domain is served. */
export function keyserverOf(s: Pick<Settings, KeyserverNames>): KeyserverConfig | undefined {
  if (s.VERTEX_KEYSERVER_DOMAINS === undefined) return undefined
  return {
    domains: s.VERTEX_KEYSERVER_DOMAINS,
    reserved: s.VERTEX_KEYSERVER_RESERVED,
    tokenKeyFile: s.VERTEX_KEYSERVER_TOKEN_KEY_FILE,
    escrowKey: s.VERTEX_KEYSERVER_ESCROW_KEY,
  }
}

/** The rules between settings. */
function combine(s: Settings, clientId: string | undefined, problems: string[]): Config {
  const embedded = s.DATABASE_URL === undefined
  const transport = transportOf(s, problems)
  if (embedded && s.REDIS_URL !== undefined)
    problems.push(
      'REDIS_URL is for several servers on one Postgres, and needs DATABASE_URL; the embedded database has one server',
    )

  const backupSource = keySource(problems, clientId, {
    file: ['VERTEX_BACKUP_SECRET_FILE', s.VERTEX_BACKUP_SECRET_FILE],
    name: ['VERTEX_BACKUP_SECRET_NAME', s.VERTEX_BACKUP_SECRET_NAME],
    vaultName: ['VERTEX_BACKUP_SECRET_VAULT_NAME', s.VERTEX_BACKUP_SECRET_VAULT_NAME],
    vaultUrl: ['VERTEX_BACKUP_SECRET_VAULT_URL', s.VERTEX_BACKUP_SECRET_VAULT_URL],
  })
  const storageVaultGiven =
    s.VERTEX_STORAGE_SECRET_VAULT_NAME !== undefined ||
    s.VERTEX_STORAGE_SECRET_VAULT_URL !== undefined
  const shared = !storageVaultGiven && s.VERTEX_STORAGE_SECRET_NAME !== undefined
  const storageSource = keySource(problems, clientId, {
    file: ['VERTEX_STORAGE_KEY_FILE', s.VERTEX_STORAGE_KEY_FILE],
    name: ['VERTEX_STORAGE_SECRET_NAME', s.VERTEX_STORAGE_SECRET_NAME],
    vaultName: [
      'VERTEX_STORAGE_SECRET_VAULT_NAME',
      shared ? s.VERTEX_BACKUP_SECRET_VAULT_NAME : s.VERTEX_STORAGE_SECRET_VAULT_NAME,
    ],
    vaultUrl: [
      'VERTEX_STORAGE_SECRET_VAULT_URL',
      shared ? s.VERTEX_BACKUP_SECRET_VAULT_URL : s.VERTEX_STORAGE_SECRET_VAULT_URL,
    ],
  })
  if (
    backupSource !== undefined &&
    storageSource !== undefined &&
    sameSource(backupSource, storageSource)
  )
    problems.push(
      `${storageSource.setting} and ${backupSource.setting} name the same secret; the storage key and the backup secret must differ`,
    )

  for (const name of ['VERTEX_KEYSERVER_TOKEN_KEY_FILE', 'VERTEX_KEYSERVER_ESCROW_KEY'] as const)
    if (s.VERTEX_KEYSERVER_DOMAINS === undefined && s[name] !== undefined)
      problems.push(`VERTEX_KEYSERVER_DOMAINS is needed with ${name}`)

  const generated = (setting: string, fileName: string): KeySourceSetting => {
    if (!embedded)
      problems.push(
        `${setting} or its Key Vault name is needed with DATABASE_URL; nothing is generated there`,
      )
    const path = resolve(embeddedSecretDir, fileName)
    if (embedded && path.startsWith(join(s.VERTEX_DATA_DIR, '/')))
      problems.push(
        `VERTEX_DATA_DIR holds ${embeddedSecretDir}; secrets must not lie in it, choose another directory or set ${setting}`,
      )
    return { kind: 'embedded', setting, path }
  }
  if (s.VERTEX_BACKUP_MODE === 'plaintext' && s.VERTEX_ALLOW_RAW_EXPORT === undefined)
    problems.push(
      'VERTEX_BACKUP_MODE=plaintext lets shares leave unencrypted; it also needs VERTEX_ALLOW_RAW_EXPORT=yes-i-understand',
    )
  const backup: Config['backup'] =
    s.VERTEX_BACKUP_MODE === 'plaintext'
      ? { mode: 'plaintext', unusedSecret: backupSource !== undefined }
      : {
          mode: 'encrypted',
          source: backupSource ?? generated('VERTEX_BACKUP_SECRET_FILE', 'backup-secret'),
        }
  const storageKey = storageSource ?? generated('VERTEX_STORAGE_KEY_FILE', 'storage-key')

  const keyVault = backupSource?.kind === 'azure' || storageSource?.kind === 'azure'
  if (keyVault && s.VERTEX_VAULT_NAME === undefined)
    problems.push(
      'VERTEX_VAULT_NAME is needed with Key Vault; it keeps environments that share a secret apart',
    )

  const adminToken = adminTokenOf(s, embedded, clientId, problems)
  const adminSource = adminSourceOf(adminToken)
  const backupSecret = backup.mode === 'encrypted' ? backup.source : backupSource
  // The admin token travels with requests.
  for (const source of [backupSecret, storageKey])
    if (adminSource !== undefined && source !== undefined && sameSource(adminSource, source))
      problems.push(
        `${adminSource.setting} and ${source.setting} name the same secret; they must differ`,
      )

  return {
    host: s.HOST,
    port: s.PORT,
    transport,
    trustedProxies: s.VERTEX_TRUSTED_PROXIES,
    corsOrigins: s.VERTEX_CORS_ORIGINS,
    database:
      s.DATABASE_URL === undefined
        ? { kind: 'sqlite', dataDir: s.VERTEX_DATA_DIR }
        : {
            kind: 'postgres',
            url: s.DATABASE_URL,
            ...(clientId === undefined ? {} : { clientId }),
          },
    redis: s.REDIS_URL === undefined ? undefined : { url: s.REDIS_URL, clientId },
    dataDir: s.VERTEX_DATA_DIR,
    adminToken,
    backup,
    storageKey,
    vaultName: s.VERTEX_VAULT_NAME ?? 'vertex',
    relayAllow: s.VERTEX_RELAY_ALLOW,
    runDeadlineMs: s.VERTEX_RUN_DEADLINE * 1000,
    roomLifetimeMs: s.VERTEX_ROOM_LIFETIME * 1000,
    rates: {
      requests: s.VERTEX_RATE_REQUESTS,
      signatures: s.VERTEX_RATE_SIGNATURES,
      keyExports: s.VERTEX_RATE_KEY_EXPORTS,
      creates: s.VERTEX_RATE_CREATES,
      exports: s.VERTEX_RATE_EXPORTS,
      imports: s.VERTEX_RATE_IMPORTS,
      directory: s.VERTEX_RATE_DIRECTORY,
      directoryWrites: s.VERTEX_RATE_DIRECTORY_WRITES,
    },
    directory: s.VERTEX_DIRECTORY === 'on',
    keyPackages: keyPackagesOf(s),
    shareConfigFile: s.VERTEX_SHARE_CONFIG,
    keyserver: keyserverOf(s),
    logOrigin: s.VERTEX_LOG_ORIGIN,
    publicHost: s.VERTEX_PUBLIC_HOST,
    logLevel: s.VERTEX_LOG_LEVEL,
    metrics: metricsOf(s, problems),
    audit: {
      signsUnrecorded: s.VERTEX_AUDIT_SIGN === 'best-effort',
      anchorEveryMs: s.VERTEX_AUDIT_ANCHOR_SECONDS * 1000,
      anchorFile: s.VERTEX_AUDIT_ANCHOR_FILE,
      anchorBlob:
        s.VERTEX_AUDIT_ANCHOR_BLOB_URL === undefined
          ? undefined
          : { url: s.VERTEX_AUDIT_ANCHOR_BLOB_URL, clientId },
    },
    apiKeysNotBefore: s.VERTEX_API_KEYS_NOT_BEFORE,
  }
}

function transportOf(s: Settings, problems: string[]): TransportSetting {
  const { VERTEX_TLS_CERT_FILE: certFile, VERTEX_TLS_KEY_FILE: keyFile } = s
  if (certFile !== undefined && keyFile === undefined)
    problems.push('VERTEX_TLS_KEY_FILE is needed with VERTEX_TLS_CERT_FILE')
  if (certFile === undefined && keyFile !== undefined)
    problems.push('VERTEX_TLS_CERT_FILE is needed with VERTEX_TLS_KEY_FILE')
  if (s.VERTEX_TLS !== undefined && (certFile !== undefined || keyFile !== undefined))
    problems.push(
      'VERTEX_TLS=terminated-by-proxy contradicts VERTEX_TLS_CERT_FILE and VERTEX_TLS_KEY_FILE',
    )
  if (certFile !== undefined && keyFile !== undefined) return { kind: 'tls', certFile, keyFile }
  if (s.VERTEX_TLS !== undefined) return { kind: 'proxy' }
  if (certFile === undefined && keyFile === undefined && !isLoopback(s.HOST))
    problems.push(
      'HOST is not a loopback address, which needs VERTEX_TLS_CERT_FILE and VERTEX_TLS_KEY_FILE, or VERTEX_TLS=terminated-by-proxy',
    )
  return { kind: 'plain' }
}

function metricsOf(s: Settings, problems: string[]): Config['metrics'] {
  const { VERTEX_METRICS_PORT: at, VERTEX_METRICS_HOST: host } = s
  if (at === undefined && host !== undefined)
    problems.push('VERTEX_METRICS_PORT is needed with VERTEX_METRICS_HOST')
  if (at !== undefined && at !== 0 && at === s.PORT)
    problems.push('VERTEX_METRICS_PORT and PORT are the same; metrics have a port of their own')
  return at === undefined ? undefined : { host: host ?? '127.0.0.1', port: at }
}

function adminTokenOf(
  s: Settings,
  embedded: boolean,
  clientId: string | undefined,
  problems: string[],
): AdminTokenSetting {
  const value = s.VERTEX_ADMIN_TOKEN
  const source = keySource(problems, clientId, {
    file: ['VERTEX_ADMIN_TOKEN_FILE', s.VERTEX_ADMIN_TOKEN_FILE],
    name: ['VERTEX_ADMIN_SECRET_NAME', s.VERTEX_ADMIN_SECRET_NAME],
    vaultName: ['VERTEX_ADMIN_SECRET_VAULT_NAME', s.VERTEX_ADMIN_SECRET_VAULT_NAME],
    vaultUrl: ['VERTEX_ADMIN_SECRET_VAULT_URL', s.VERTEX_ADMIN_SECRET_VAULT_URL],
  })
  if (value !== undefined && source !== undefined)
    problems.push(`VERTEX_ADMIN_TOKEN and ${source.setting} are both set; choose one`)
  if (value !== undefined) return { kind: 'value', value }
  if (source?.kind === 'azure') return source
  if (source !== undefined) return { kind: 'file', path: source.path }
  if (!embedded)
    problems.push(
      'VERTEX_ADMIN_TOKEN_FILE, VERTEX_ADMIN_SECRET_NAME or VERTEX_ADMIN_TOKEN is needed with DATABASE_URL',
    )
  return { kind: 'embedded', path: resolve(s.VERTEX_DATA_DIR, 'admin-token') }
}

/** Where an admin token lies that is kept somewhere. */
function adminSourceOf(token: AdminTokenSetting): KeySourceSetting | undefined {
  if (token.kind === 'value') return undefined
  if (token.kind === 'azure') return token
  return { kind: 'file', setting: 'VERTEX_ADMIN_TOKEN_FILE', path: token.path }
}

type Named = readonly [setting: string, value: string | undefined]

function keySource(
  problems: string[],
  clientId: string | undefined,
  from: { file: Named; name: Named; vaultName: Named; vaultUrl: Named },
): KeySourceSetting | undefined {
  const [[fileSetting, path], [nameSetting, name]] = [from.file, from.name]
  const [[vaultSetting, vaultName], [urlSetting, vaultUrl]] = [from.vaultName, from.vaultUrl]
  if (path !== undefined && name !== undefined)
    problems.push(`${fileSetting} and ${nameSetting} are both set; choose one`)
  if (vaultName !== undefined && vaultUrl !== undefined)
    problems.push(`${vaultSetting} and ${urlSetting} are both set; choose one`)
  if (name === undefined && path === undefined && (vaultName ?? vaultUrl) !== undefined)
    problems.push(
      `${nameSetting} is needed with ${vaultName === undefined ? urlSetting : vaultSetting}`,
    )
  if (path !== undefined) return { kind: 'file', setting: fileSetting, path }
  if (name === undefined) return undefined
  if (vaultName === undefined && vaultUrl === undefined)
    problems.push(`${vaultSetting} or ${urlSetting} is needed with ${nameSetting}`)
  const url = vaultUrl ?? `https://${vaultName ?? ''}.vault.azure.net`
  const identity = clientId === undefined || clientId === '' ? {} : { clientId }
  return { kind: 'azure', setting: nameSetting, vaultUrl: url, name, ...identity }
}

function sameSource(a: KeySourceSetting, b: KeySourceSetting): boolean {
  if (a.kind === 'azure')
    return (
      b.kind === 'azure' &&
      a.vaultUrl === b.vaultUrl &&
      a.name.toLowerCase() === b.name.toLowerCase()
    )
  return b.kind !== 'azure' && a.path === b.path
}

/** Whether a server bound to this host can be reached from this machine only. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value)
    for (const member of Object.values(value)) deepFreeze(member)
  }
  return value
}

/** Edit distance, to guess which setting a misspelt name was meant to be. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++)
      next.push(
        Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)),
      )
    row = next
  }
  return row[b.length]!
}
