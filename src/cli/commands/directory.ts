import { basename, dirname, resolve } from 'node:path'
import type { DirectoryServer, DirectoryServerSettings, SystemName } from '../../compose/index.js'
import { errorCode } from '../../error-code.js'
import { group, type AddCommand, type Running } from '../command.js'
import { CommandError } from '../output.js'
import { keyserverFlags } from './keyserver.js'

/** One system of the directory by itself, with the flags and environment names of its original. */
interface Standalone {
  readonly name: SystemName
  readonly description: string
  /** Each with its environment name, where the original has one. */
  readonly bind: { readonly env?: string; readonly default: string }
  readonly db: { readonly env?: string; readonly default: string }
  /** Its other flags, each with the setting of the server that says what it may be. */
  readonly more?: readonly {
    readonly flag: string
    readonly what: string
    readonly setting: NumberSetting
  }[]
  /** What else it needs, and how its flags become settings. */
  readonly own?: {
    readonly flags: readonly { readonly flag: string; readonly what: string }[]
    readonly settings: (options: Options) => Promise<Partial<DirectoryServerSettings>>
  }
}

export type Options = Readonly<Record<string, string | undefined>>

type NumberSetting =
  | 'VERTEX_KEYPACKAGE_MAX_PER_IDENTITY'
  | 'VERTEX_KEYPACKAGE_RETENTION_DAYS'
  | 'VERTEX_KEYPACKAGE_PRUNE_INTERVAL'

const standalones: readonly Standalone[] = [
  {
    name: 'sigchain',
    description: 'signed histories of identities (docs/directory/sigchains.md)',
    bind: { env: 'KEZ_BIND', default: '0.0.0.0:7878' },
    db: { env: 'KEZ_DB', default: 'kez-sigchains.db' },
  },
  {
    name: 'keypackage',
    description: 'key packages of devices, devices of accounts (docs/directory/key-packages.md)',
    bind: { default: '0.0.0.0:8080' },
    db: { default: 'keypackage-registry.db' },
    more: [
      {
        flag: '--max-per-identity',
        what: 'bundles kept of each device (default: 5)',
        setting: 'VERTEX_KEYPACKAGE_MAX_PER_IDENTITY',
      },
      {
        flag: '--retention-days',
        what: 'older bundles are dropped (default: 30)',
        setting: 'VERTEX_KEYPACKAGE_RETENTION_DAYS',
      },
      {
        flag: '--prune-interval-secs',
        what: 'how often it is looked what to drop (default: 3600)',
        setting: 'VERTEX_KEYPACKAGE_PRUNE_INTERVAL',
      },
    ],
  },
  {
    name: 'keyserver',
    description: 'names, and keys that are given out once (docs/directory/keyserver.md)',
    bind: { default: '0.0.0.0:443' },
    db: { default: 'keyserver.db' },
    own: keyserverFlags,
  },
]

/** `vertex directory SYSTEM`: one system of the directory on a port of its own, until it is told to stop. */
export const addDirectory: AddCommand = (program, action) => {
  for (const standalone of standalones) {
    const { name, description, bind, db, more = [], own } = standalone
    const command = group(
      program,
      'directory',
      'one system of the key directory on a port of its own',
    )
      .command(name)
      .description(description)
      .option('--bind <host:port>', `where to listen${also(bind)}`)
      .option('--db <file|url>', `the database, a file or a postgres:// URL${also(db)}`)
    for (const { flag, what } of more) command.option(`${flag} <n>`, what)
    for (const { flag, what } of own?.flags ?? []) command.option(flag, what)
    command.action(action((running, options: Options) => serve(standalone, running, options)))
  }
}

const also = ({ env, default: value }: Standalone['bind']) =>
  `${env === undefined ? '' : `; ${env}`} (default: ${value})`

async function serve(standalone: Standalone, running: Running, options: Options) {
  const { name, bind, db } = standalone
  const { env } = running
  const given = (from: Standalone['bind'], flag: string) => {
    const value =
      options[flag] ?? (from.env === undefined ? undefined : env[from.env]) ?? from.default
    if (value !== '') return value
    throw new CommandError('usage', 'empty', `${nameOf(`--${flag}`, from)} is set but empty`)
  }
  const where = given(bind, 'bind')
  let settings: DirectoryServerSettings = {
    ...hostAndPortOf(where, nameOf('--bind', bind)),
    database: databaseOf(given(db, 'db'), nameOf('--db', db)),
    keyPackages: await keyPackagesOf(standalone, options),
  }
  const { createLogger, isForOperator, isUnavailable, serveSystem } =
    await import('../../compose/index.js')
  const { level, ignored } = levelOf(env['RUST_LOG'])
  if (ignored.length > 0)
    running.output.note(`of RUST_LOG only a level is used; ignored: ${ignored.join(', ')}`)
  const logger = createLogger(level)
  let server: DirectoryServer
  try {
    settings = { ...settings, ...(await standalone.own?.settings(options)) }
    server = await serveSystem(name, settings, logger)
  } catch (error) {
    if (isForOperator(error)) throw new CommandError('config', 'refused', error.message)
    if (isUnavailable(error))
      throw new CommandError('unavailable', 'unavailable', `${error.message}; try again`)
    throw listenProblem(error, where, bind) ?? error
  }
  logger.info({ event: 'listening', url: server.url, port: server.port })
  await toldToStop()
  await server.stop()
}

const nameOf = (flag: string, { env }: Standalone['bind']) =>
  env === undefined ? flag : `${flag} (${env})`

/** What a flag may be is what the server's setting may be. @throws CommandError */
async function keyPackagesOf({ more = [] }: Standalone, options: Options) {
  const config = await import('../../config.js')
  const valueOf = (setting: NumberSetting): number => {
    const flag = more.find((each) => each.setting === setting)?.flag ?? ''
    // As commander names it.
    const name = flag.slice(2).replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())
    const read = config.settings[setting].safeParse(options[name])
    if (read.success) return read.data
    throw new CommandError('usage', 'flag', `${flag} ${read.error.issues[0]!.message}`)
  }
  return config.keyPackagesOf({
    VERTEX_KEYPACKAGE_MAX_PER_IDENTITY: valueOf('VERTEX_KEYPACKAGE_MAX_PER_IDENTITY'),
    VERTEX_KEYPACKAGE_RETENTION_DAYS: valueOf('VERTEX_KEYPACKAGE_RETENTION_DAYS'),
    VERTEX_KEYPACKAGE_PRUNE_INTERVAL: valueOf('VERTEX_KEYPACKAGE_PRUNE_INTERVAL'),
  })
}

/** Once more, and the process ends at once. */
export function toldToStop(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const)
      process.once(signal, () => {
        process.once(signal, () => process.exit(1))
        resolve()
      })
  })
}

/** Why a server cannot listen, and which flag is to be changed; undefined for anything else. */
export function listenProblem(
  error: unknown,
  where: string,
  { env }: { readonly env?: string },
): CommandError | undefined {
  const code = errorCode(error) ?? ''
  const why: Readonly<Record<string, string>> = {
    EADDRINUSE: 'another program listens there: stop it, or choose another port',
    EADDRNOTAVAIL: 'this machine does not have that address: choose another',
    EACCES: 'this user may not: choose a port above 1023',
    ENOTFOUND: 'the host name is not known: choose another',
  }
  const reason = why[code]
  if (reason === undefined) return undefined
  const message = `cannot listen on ${where} (${code}): ${reason} with --bind${env === undefined ? '' : ` or ${env}`}`
  return new CommandError('config', 'bind', message)
}

/** @throws CommandError */
export function hostAndPortOf(text: string, setting: string): { host: string; port: number } {
  const [, bracketed, plain, port = ''] =
    /^(?:\[([0-9A-Fa-f:.%]+)\]|([0-9A-Za-z._-]+)):(\d{1,5})$/.exec(text) ?? []
  const host = bracketed ?? plain
  if (host === undefined || Number(port) > 65_535)
    throw new CommandError('usage', 'bind', `${setting} must be HOST:PORT, such as 127.0.0.1:7878`)
  return { host, port: Number(port) }
}

/** @throws CommandError */
function databaseOf(text: string, setting: string): DirectoryServerSettings['database'] {
  if (/^postgres(?:ql)?:\/\//.test(text)) {
    if (!URL.canParse(text))
      throw new CommandError('usage', 'db', `${setting} is not a valid postgres:// URL`)
    return { kind: 'postgres', url: text, setting }
  }
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text))
    throw new CommandError('usage', 'db', `${setting} must be a file or a postgres:// URL`)
  const path = resolve(text)
  return { kind: 'sqlite', dataDir: dirname(path), file: basename(path), setting }
}

const levels = {
  off: 'silent',
  error: 'error',
  warn: 'warn',
  info: 'info',
  debug: 'debug',
  trace: 'debug',
} as const

/** The level in a filter of Rust's tracing, in which the rest is about parts of another program. */
function levelOf(filter: string | undefined) {
  const parts = (filter ?? '')
    .split(',')
    .map((part) => part.trim().toLowerCase())
    .filter((part) => part !== '')
  const known = parts.filter((part): part is keyof typeof levels => Object.hasOwn(levels, part))
  const ignored = parts.filter((part) => !Object.hasOwn(levels, part))
  return { level: levels[known.at(-1) ?? 'info'], ignored }
}
