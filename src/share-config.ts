import {
  MOST_SERVERS,
  problemOf,
  ringRoutes,
  serverStatuses,
  type ServerStatus,
  type Topology,
  type TopologyRoute,
  type TopologyServer,
} from '@vertex/directory/share'
import { isAddressRange } from './http/host-and-port.js'

/*
 * How an operator sets up a server of share codes: by switches and by files, with the names, the defaults and the form
 * of the original. docs/directory/share-codes-operation.md lists them; a test compares.
 */

/** The settings are wrong; the message is for the operator and quotes no secret. */
export class ShareConfigError extends Error {
  override readonly name = 'ShareConfigError'
}

export interface ShareConfig {
  /** HOST:PORT. */
  readonly bind: string
  readonly stateDir: string
  /** A file or a postgres:// URL; undefined for a file in the state directory. */
  readonly db?: string
  readonly developer: boolean
  readonly serverId: number
  readonly cluster: string
  /** Where clients post shares; undefined for what follows from `bind`. */
  readonly publicUrl?: string
  readonly topologyVersion: bigint
  readonly topologyToken?: string
  /** 0: nobody is ever stale. */
  readonly staleAfterMs: number
  /** 0: this server reports to nobody. */
  readonly heartbeatMs: number
  readonly topologyServers: readonly TopologyServer[]
  readonly routes: readonly TopologyRoute[]
  readonly replicationToken?: string
  readonly peerUrls: readonly string[]
  /** Undefined for the time at which the database first counted events. */
  readonly originEpoch?: bigint
  readonly promotedOwners: readonly number[]
  /** Whether codes of other servers are refused; undefined for what follows from the rest. */
  readonly strictLocator?: boolean
  /** Addresses and ranges whose X-Forwarded-For is believed. */
  readonly trustedProxies: readonly string[]
  readonly ratePerMinute: number
  readonly rateBurst: number
  readonly verificationCommand?: string
  readonly verificationPerHour: number
  readonly verificationIpPerHour: number
  /** The server that takes e-mail, `smtp://…` or `smtps://…`, and whom it comes from. */
  readonly smtp?: { readonly url: string; readonly from: string }
  readonly defaultTtlSeconds: number
  readonly maxTtlSeconds: number
  readonly maxPayloadBytes: number
  readonly maxFetches: number
  readonly benchmark: {
    readonly requests: number
    readonly payloadBytes: number
    /** 0: as many as fit the processors. */
    readonly concurrency: number
    readonly preload: number
  }
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }
type Draft = Mutable<Omit<ShareConfig, 'smtp' | 'benchmark'>> & {
  smtpUrl?: string
  smtpFrom?: string
  benchmark: Mutable<ShareConfig['benchmark']>
}

/** The directory of the original, where it is installed. */
export const STATE_DIR = '/var/lib/lockbox-key-server'

const defaults = (): Draft => ({
  bind: '127.0.0.1:8089',
  stateDir: STATE_DIR,
  developer: false,
  serverId: 0,
  cluster: 'default',
  topologyVersion: 1n,
  staleAfterMs: 90_000,
  heartbeatMs: 30_000,
  topologyServers: [],
  routes: [],
  peerUrls: [],
  promotedOwners: [],
  trustedProxies: [],
  ratePerMinute: 120,
  rateBurst: 40,
  verificationPerHour: 5,
  verificationIpPerHour: 30,
  defaultTtlSeconds: 900,
  maxTtlSeconds: 900,
  maxPayloadBytes: 8192,
  maxFetches: 8,
  benchmark: { requests: 50_000, payloadBytes: 512, concurrency: 0, preload: 0 },
})

/** As they are when nothing is said. */
export const defaultShareConfig: ShareConfig = defaults()

/** One setting: its name in a file, and the switch for it where there is one. */
interface Option {
  readonly key: string
  /** Without one it can only stand in a file. */
  readonly flag?: string
  /** What stands behind the switch, in the help; a switch without one says yes. */
  readonly value?: string
  readonly what: string
  /** Whether several are several, and the last one is not the one that counts. */
  readonly repeats?: true
  readonly set: (draft: Draft, text: string) => void
}

/** A switch whose key is its name with underscores. */
const option = (
  flag: string,
  value: string | undefined,
  what: string,
  set: Option['set'],
  more: Partial<Option> = {},
): Option => ({
  key: flag.slice(2).replaceAll('-', '_'),
  flag,
  ...(value === undefined ? {} : { value }),
  what,
  set,
  ...more,
})

const MS = 9_007_199_254_740_991
/** A timer that is set for longer goes off at once. */
const LONGEST_WAIT_MS = 2_147_483_647

/** In the order of the help. */
export const shareOptions: readonly Option[] = [
  option(
    '--bind',
    'ADDR',
    'Where to listen, HOST:PORT (default: 127.0.0.1:8089)',
    (draft, text) => (draft.bind = text),
    { key: 'bind_addr' },
  ),
  option(
    '--state-dir',
    'PATH',
    `Directory of the database file (default: ${STATE_DIR})`,
    (draft, text) => (draft.stateDir = filled(text)),
  ),
  option(
    '--db',
    'FILE|URL',
    'The database in place of one in the state directory: a file or a postgres:// URL',
    (draft, text) => (draft.db = filled(text)),
  ),
  option(
    '--developer',
    undefined,
    'Developer mode: the state directory is a temporary one',
    (draft, text) => (draft.developer = yesOrNo(text)),
    { key: 'developer_mode' },
  ),
  option(
    '--server-id',
    'N',
    'Server routing id, 0..35 (0..9, a..z), default 0',
    (draft, text) => (draft.serverId = serverId(text)),
  ),
  option(
    '--cluster-id',
    'ID',
    'Public topology cluster id (default: default)',
    (draft, text) => (draft.cluster = filled(text)),
  ),
  option(
    '--public-url',
    'URL',
    'Public /v1/share URL of this server (default: made of --bind)',
    (draft, text) => optional(draft, 'publicUrl', text === '' ? text : bareUrl(text)),
  ),
  option(
    '--topology-version',
    'N',
    'Public topology version (default: 1)',
    (draft, text) => (draft.topologyVersion = wide(text)),
  ),
  option('--topology-token', 'TOKEN', 'Shared token for topology heartbeats', (draft, text) =>
    optional(draft, 'topologyToken', text),
  ),
  option(
    '--topology-stale-after-ms',
    'N',
    'Leave out servers that have not reported for so long (default: 90000)',
    (draft, text) => (draft.staleAfterMs = whole(text, MS)),
  ),
  option(
    '--topology-heartbeat-interval-ms',
    'N',
    'Between reports to other servers (default: 30000)',
    (draft, text) => (draft.heartbeatMs = whole(text, LONGEST_WAIT_MS)),
  ),
  option(
    '--topology-server',
    'ID=URL[,STATUS]',
    'Add a server to the public topology',
    (draft, text) => (draft.topologyServers = [...draft.topologyServers, topologyServer(text)]),
    { repeats: true },
  ),
  option(
    '--route',
    'OWNER=PRIMARY[,FAILOVER...]',
    'Add an owner routing rule',
    (draft, text) => (draft.routes = [...draft.routes, route(text)]),
    { repeats: true },
  ),
  option('--replication-token', 'TOKEN', 'Token shared with replication peers', (draft, text) =>
    optional(draft, 'replicationToken', text),
  ),
  option(
    '--replication-peer-url',
    'URL',
    'Peer /v1/replicate URL',
    (draft, text) => (draft.peerUrls = [...new Set([...draft.peerUrls, webUrl(text)])]),
    { repeats: true },
  ),
  option(
    '--origin-epoch',
    'N',
    'Replication epoch of this server (default: the time at which its database began one)',
    (draft, text) => (draft.originEpoch = wide(text)),
  ),
  option(
    '--promoted-owner',
    'N',
    'Serve shares of owner id N too',
    (draft, text) => (draft.promotedOwners = [...draft.promotedOwners, serverId(text)]),
    { repeats: true },
  ),
  option(
    '--strict-locator',
    'yes|no',
    'Refuse codes of other servers (default: yes, but for nodes that share a Postgres)',
    (draft, text) => (draft.strictLocator = yesOrNo(text)),
  ),
  option(
    '--requests',
    'N',
    'Benchmark request count (default: 50000)',
    (draft, text) => (draft.benchmark.requests = whole(text, 10_000_000)),
  ),
  option(
    '--payload-bytes',
    'N',
    'Benchmark payload size (default: 512)',
    (draft, text) => (draft.benchmark.payloadBytes = whole(text, 1_048_576)),
  ),
  option(
    '--concurrency',
    'N',
    'Benchmark concurrency (default: 0, by the processors)',
    (draft, text) => (draft.benchmark.concurrency = whole(text, 10_000)),
  ),
  option(
    '--preload-shares',
    'N',
    'Benchmark live shares to make before timing (default: 0)',
    (draft, text) => (draft.benchmark.preload = whole(text, 10_000_000)),
  ),
  option(
    '--compact-min-bytes',
    'N',
    'Taken and not used: the database looks after itself',
    (_, text) => whole(text, MS),
  ),
  option(
    '--rate-limit-per-minute',
    'N',
    'Per-IP request rate, 0 disables (default: 120)',
    (draft, text) => (draft.ratePerMinute = whole(text, 4_294_967_295)),
  ),
  option(
    '--rate-limit-burst',
    'N',
    'Per-IP burst capacity (default: 40)',
    (draft, text) => (draft.rateBurst = whole(text, 4_294_967_295)),
  ),
  option(
    '--trusted-proxies',
    'LIST',
    'Addresses or ranges, with commas between, whose X-Forwarded-For is believed',
    (draft, text) => (draft.trustedProxies = addressRanges(text)),
  ),
  option(
    '--verification-email-command',
    'PATH',
    'Command called as PATH <email> <url>',
    (draft, text) => optional(draft, 'verificationCommand', text),
  ),
  option(
    '--verification-email-rate-limit-per-hour',
    'N',
    'E-mails to one address (default: 5)',
    (draft, text) => (draft.verificationPerHour = whole(text, 4_294_967_295)),
  ),
  option(
    '--verification-email-ip-rate-limit-per-hour',
    'N',
    'E-mails that one source IP causes (default: 30)',
    (draft, text) => (draft.verificationIpPerHour = whole(text, 4_294_967_295)),
  ),
  {
    key: 'default_ttl_seconds',
    what: 'how long a share lives that asks for 0 (900)',
    set: (draft, text) => (draft.defaultTtlSeconds = whole(text, 4_294_967_295)),
  },
  {
    key: 'max_ttl_seconds',
    what: 'how long a share lives at most (900)',
    set: (draft, text) => (draft.maxTtlSeconds = whole(text, 4_294_967_295)),
  },
  {
    key: 'max_payload_bytes',
    what: 'the largest payload (8192)',
    set: (draft, text) => (draft.maxPayloadBytes = whole(text, 1_048_576)),
  },
  {
    key: 'max_fetches_per_share',
    what: 'how often a share is given out at most (8)',
    set: (draft, text) => (draft.maxFetches = Math.max(1, whole(text, 65_535))),
  },
  {
    key: 'shard_count',
    what: 'taken and not used: there is one database',
    set: (_, text) => whole(text, MS),
  },
  {
    key: 'index_cache_entries',
    what: 'taken and not used: the database has its own cache',
    set: (_, text) => whole(text, MS),
  },
  {
    key: 'smtp_url',
    what: 'server that takes e-mail: smtp://user:password@host:587, or smtps://',
    set: (draft, text) => optional(draft, 'smtpUrl', text === '' ? text : smtpUrl(text)),
  },
  {
    key: 'smtp_from',
    what: 'the address that e-mail comes from',
    set: (draft, text) => optional(draft, 'smtpFrom', text),
  },
]

const byFlag = new Map(shareOptions.map((each) => [each.flag, each]))
const byKey = new Map(shareOptions.map((each) => [each.key, each]))

/** What a command line says. */
export interface ShareArguments {
  readonly settings: ShareConfig
  /** Of `resync-peer`. */
  readonly peerUrl?: string
  readonly help: boolean
}

/**
 * Settings of a command line and of the files it names, in the order of the line: what comes later counts.
 * @param readFile the text of a file
 * @param peer whether `--peer-url` is known
 * @throws ShareConfigError
 */
export function readShareArguments(
  words: readonly string[],
  readFile: (path: string) => string,
  peer = false,
): ShareArguments {
  const draft = defaults()
  let peerUrl: string | undefined
  let help = false
  for (let i = 0; i < words.length; i++) {
    const flag = words[i]!
    const value = () => {
      const text = words[++i]
      if (text === undefined) throw new ShareConfigError(`missing value for ${flag}`)
      return text
    }
    if (flag === '--help' || flag === '-h') help = true
    else if (flag === '--config') applyFile(draft, value(), readFile)
    else if (flag === '--peer-url' && peer) peerUrl = named(flag, () => webUrl(value()))
    else {
      const known = byFlag.get(flag)
      if (known === undefined) throw new ShareConfigError(`unknown option \`${flag}\``)
      const text = known.value === undefined ? 'true' : value()
      named(flag, () => known.set(draft, text))
    }
  }
  return { settings: checked(draft), ...(peerUrl === undefined ? {} : { peerUrl }), help }
}

/** Settings of one file. @throws ShareConfigError */
export function readShareFile(path: string, readFile: (path: string) => string): ShareConfig {
  const draft = defaults()
  applyFile(draft, path, readFile)
  return checked(draft)
}

/** `key = value` on each line, `#` for what is not read. */
function applyFile(draft: Draft, path: string, readFile: (path: string) => string): void {
  for (const [i, line] of readFile(path).split(/\r?\n/).entries()) {
    const [, key, quoted, plain, rest] = LINE.exec(line) ?? []
    const where = `${path}:${i + 1}`
    if (key === undefined) {
      if (/^\s*(?:#.*)?$/.test(line)) continue
      throw new ShareConfigError(`${where}: expected key = value`)
    }
    if (rest !== undefined) throw new ShareConfigError(`${where}: unterminated quoted config value`)
    const known = byKey.get(key)
    if (known === undefined) throw new ShareConfigError(`${where}: unknown config key \`${key}\``)
    named(where, () => known.set(draft, quoted ?? plain?.trim() ?? ''))
  }
}

/** A quoted value may have a `#` in it. */
const LINE = /^\s*([^\s=#"]+)\s*=\s*(?:"([^"]*)"\s*(?:#.*)?|([^"#][^#]*)?(?:#.*)?|(".*))$/

/** Says which setting it is that is wrong. */
function named<T>(name: string, set: () => T): T {
  try {
    return set()
  } catch (error) {
    if (!(error instanceof ShareConfigError)) throw error
    throw new ShareConfigError(`${name}: ${error.message}`)
  }
}

/** The rules between settings. @throws ShareConfigError */
function checked(draft: Draft): ShareConfig {
  if (draft.peerUrls.length > 0 && draft.replicationToken === undefined)
    throw new ShareConfigError(
      'replication_peer_url is for servers that share a token: set replication_token, too',
    )
  const { smtpUrl: url, smtpFrom: from, ...config } = draft
  if ((url === undefined) !== (from === undefined))
    throw new ShareConfigError('smtp_url and smtp_from are only of use together')
  if (url !== undefined && config.verificationCommand !== undefined)
    throw new ShareConfigError('smtp_url and verification_email_command are both set; choose one')
  const problem = problemOf(topologyOf(config))
  if (problem !== undefined) throw new ShareConfigError(problem)
  return url === undefined || from === undefined ? config : { ...config, smtp: { url, from } }
}

/** The topology as the operator says it. docs/spec/share-replication.md, 1.6 */
export function topologyOf(settings: ShareConfig): Topology {
  const { cluster, topologyVersion: version, serverId: id, topologyServers, routes } = settings
  const self: TopologyServer = { id, url: publicUrlOf(settings), status: 'active' }
  const servers = topologyServers.length > 0 ? topologyServers : [self]
  return { cluster, version, servers, routes: routes.length > 0 ? routes : ringRoutes(servers) }
}

/** Where clients post shares. */
export const publicUrlOf = ({ publicUrl, bind }: Pick<ShareConfig, 'publicUrl' | 'bind'>) =>
  publicUrl ?? `http://${bind.replace(/^0\.0\.0\.0:/, '127.0.0.1:')}/v1/share`

function optional<Key extends string>(
  target: { [K in Key]?: string },
  key: Key,
  text: string,
): void {
  if (text === '') Reflect.deleteProperty(target, key)
  else target[key] = text
}

function filled(text: string): string {
  if (text === '') throw new ShareConfigError('is empty')
  return text
}

function whole(text: string, most: number): number {
  if (!/^\d{1,16}$/.test(text) || Number(text) > most)
    throw new ShareConfigError(`must be a whole number up to ${most}`)
  return Number(text)
}

function wide(text: string): bigint {
  if (!/^\d{1,20}$/.test(text) || BigInt(text) >= 1n << 64n)
    throw new ShareConfigError('must be a whole number of 64 bits')
  return BigInt(text)
}

function yesOrNo(text: string): boolean {
  if (/^(?:true|yes)$/.test(text)) return true
  if (/^(?:false|no)$/.test(text)) return false
  throw new ShareConfigError('must be yes or no')
}

function webUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol) || text.length > 2_048)
    throw new ShareConfigError('must be an http:// or https:// URL')
  return text
}

/** One that a path and a query can be put behind: links in e-mail are made so. */
function bareUrl(text: string): string {
  if (/[?#]/.test(webUrl(text))) throw new ShareConfigError('must be a URL without ? and #')
  return text
}

function addressRanges(text: string): readonly string[] {
  const ranges = text.split(',').map((range) => range.trim())
  if (ranges.every(isAddressRange)) return ranges
  throw new ShareConfigError('must be addresses or ranges such as 10.0.0.0/8, with commas between')
}

function smtpUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^smtps?:$/.test(url.protocol) || url.hostname === '')
    throw new ShareConfigError('must be an smtp:// or smtps:// URL')
  return text
}

/** A number, or one of a to z for 10 to 35. */
function serverId(text: string): number {
  const id = /^[a-z]$/.test(text) ? parseInt(text, 36) : /^\d{1,3}$/.test(text) ? Number(text) : NaN
  if (!(id < MOST_SERVERS)) throw new ShareConfigError('server id must be 0..35 (0..9, a..z)')
  return id
}

function topologyServer(text: string): TopologyServer {
  const [, id, url, status = 'active'] = /^([^=]*)=([^,]*)(?:,(.*))?$/.exec(text) ?? []
  if (id === undefined || url === undefined)
    throw new ShareConfigError('topology server must be ID=URL[,STATUS]')
  const known = serverStatuses.find((each) => each === status)
  if (known === undefined) throw new ShareConfigError(`unknown server status \`${status}\``)
  return { id: serverId(id), url: webUrl(url), status: known satisfies ServerStatus }
}

function route(text: string): TopologyRoute {
  const [, owner, rest] = /^([^=]*)=(.+)$/.exec(text) ?? []
  if (owner === undefined || rest === undefined)
    throw new ShareConfigError('route must be OWNER=PRIMARY[,FAILOVER...]')
  const [primary, ...failovers] = rest.split(',').map(serverId)
  return { owner: serverId(owner), primary: primary!, failovers }
}
