import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { DirectoryServer, ShareBench } from '../../compose/index.js'
import {
  readShareArguments,
  ShareConfigError,
  shareOptions,
  type ShareArguments,
} from '../../share-config.js'
import { group, type AddCommand, type Running } from '../command.js'
import { CommandError, OriginalError } from '../output.js'
import { ServiceProblem, ShareService, UNIT } from '../share/service.js'
import { hostAndPortOf, listenProblem, toldToStop } from './directory.js'

/*
 * `vertex directory share`: the command line of the original, whose options commander does not know. So everything after
 * the name is taken as it comes.
 */

type Command = (running: Running, words: readonly string[]) => Promise<void> | void

const benches: readonly ShareBench[] = [
  'bench-store',
  'bench-http',
  'bench-http-fetch',
  'bench-http-flow',
]

const commands: Readonly<Record<string, Command>> = {
  run,
  install,
  uninstall,
  status,
  'resync-peer': resync,
  ...Object.fromEntries(
    benches.map((what): [string, Command] => [
      what,
      (running, words) => bench(what, running, words),
    ]),
  ),
  help: sayHelp,
}

/** `vertex directory share`: a server of share codes by itself, and what its operator needs. */
export const addShare: AddCommand = (program, action) => {
  group(program, 'directory', 'one system of the key directory on a port of its own')
    .command('share')
    .description('share codes: first keys for somebody one meets (docs/directory/share-codes.md)')
    .usage('[run|install|uninstall|status|resync-peer|bench-…|help] [options]')
    .argument('[words...]')
    .allowUnknownOption()
    .helpOption(false)
    .action(
      action(async (running, _: unknown, words: string[]) => {
        const [first = 'run'] = words
        const isOption = first.startsWith('-')
        const command = isOption ? run : own(commands, first)
        if (command === undefined) throw refused('unknown_command', `unknown command \`${first}\``)
        await command(running, isOption ? words : words.slice(1))
      }),
    )
}

function sayHelp({ output }: Running): void {
  output.result({ help: helpText }, helpText.split('\n'))
}

/** @throws CommandError */
async function run(running: Running, words: readonly string[]): Promise<void> {
  const { settings, help } = argumentsOf(words)
  if (help) {
    sayHelp(running)
    return
  }
  const place = placeOf(settings.bind)
  const compose = await import('../../compose/index.js')
  const logger = compose.createLogger('info')
  let server: DirectoryServer
  try {
    server = await compose.serveShares(place, settings, logger)
  } catch (error) {
    throw (await endOf(error)) ?? listenProblem(error, settings.bind, {}) ?? error
  }
  logger.info({ event: 'listening', url: server.url, port: server.port })
  await toldToStop()
  await server.stop()
}

/** @throws CommandError */
function placeOf(bind: string): ReturnType<typeof hostAndPortOf> {
  try {
    return hostAndPortOf(bind, '--bind')
  } catch (error) {
    // As with whatever else cannot be.
    if (error instanceof CommandError) throw refused('settings', error.message)
    throw error
  }
}

/** @throws CommandError */
async function resync({ output }: Running, words: readonly string[]): Promise<void> {
  const { settings, peerUrl } = argumentsOf(words, true)
  if (peerUrl === undefined) throw refused('missing', 'missing --peer-url')
  if (settings.replicationToken === undefined)
    throw refused('missing', 'replication_token is required for resync')
  const compose = await import('../../compose/index.js')
  const say = output.progress()
  try {
    const sent = await compose.resyncPeer(
      settings,
      peerUrl,
      compose.createLogger('silent'),
      (waiting) => say(() => `${waiting} events wait for the peer`),
    )
    output.result({ resynced_live_shares: sent }, [`resynced_live_shares=${sent}`])
  } catch (error) {
    if (error instanceof compose.ResyncStopped)
      throw new CommandError('unavailable', 'peer', error.message)
    throw (await endOf(error)) ?? error
  }
}

/** @throws CommandError */
async function bench(what: ShareBench, { output }: Running, words: readonly string[]) {
  const { settings } = argumentsOf(words)
  const compose = await import('../../compose/index.js')
  try {
    const result = await compose.benchShares(what, settings, compose.createLogger('silent'))
    const shown = Object.entries(result).map(([name, value]) => `${name}=${value}`)
    output.result(result, [shown.join(' ')])
  } catch (error) {
    if (error instanceof compose.BenchFailed) throw refused('bench', error.message)
    throw (await endOf(error)) ?? error
  }
}

function install({ output }: Running, words: readonly string[]): void {
  const forceConfig = onlyFlag(words, '--force-config')
  onService((service) => service.install(forceConfig))
  output.result({ installed: UNIT }, [`installed ${UNIT}`])
}

function uninstall({ output }: Running, words: readonly string[]): void {
  const purgeData = onlyFlag(words, '--purge-data')
  onService((service) => service.uninstall(purgeData))
  output.result({ uninstalled: UNIT }, [`uninstalled ${UNIT}`])
}

function status({ output }: Running, words: readonly string[]): void {
  onlyFlag(words, undefined)
  const value = serviceHere().status()
  output.result(
    value,
    Object.entries(value).map(([name, each]) => `${name}=${each}`),
  )
}

const serviceHere = () =>
  new ShareService({
    node: process.execPath,
    main: fileURLToPath(new URL('../main.js', import.meta.url)),
  })

/** @throws CommandError */
function onService(work: (service: ShareService) => void): void {
  if (process.geteuid?.() !== 0) throw refused('not_root', 'install/uninstall must be run as root')
  try {
    work(serviceHere())
  } catch (error) {
    if (error instanceof ServiceProblem) throw refused('service', error.message)
    const code = (error as { code?: unknown } | null)?.code
    if (typeof code === 'string') throw refused('service', `a file could not be written (${code})`)
    throw error
  }
}

/** @throws CommandError for any other word */
function onlyFlag(words: readonly string[], flag: string | undefined): boolean {
  const other = words.find((word) => word !== flag)
  if (other !== undefined) throw refused('unknown_option', `unknown option \`${other}\``)
  return words.length > 0
}

/** @throws CommandError */
function argumentsOf(words: readonly string[], peer = false): ShareArguments {
  try {
    return readShareArguments(words, readFile, peer)
  } catch (error) {
    if (error instanceof ShareConfigError) throw refused('settings', error.message)
    throw error
  }
}

/** @throws ShareConfigError */
function readFile(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
    throw new ShareConfigError(`${path} cannot be read (${code})`)
  }
}

async function endOf(error: unknown): Promise<CommandError | undefined> {
  const { isForOperator, isUnavailable } = await import('../../compose/index.js')
  if (isForOperator(error)) return new CommandError('config', 'refused', error.message)
  if (isUnavailable(error))
    return new CommandError('unavailable', 'unavailable', `${error.message}; try again`)
  return undefined
}

/** Exit 1, as the original ends with whatever is wrong. */
const refused = (code: string, message: string) => new OriginalError('failed', code, message)

const own = (from: typeof commands, name: string) =>
  Object.hasOwn(from, name) ? from[name] : undefined

/** Of an option, the switch and what stands behind it, where they fit in a column. */
const WIDTH = 34

const helpText = [
  'Usage:',
  '  vertex directory share run [--config PATH] [--bind ADDR] [--state-dir PATH] [--db FILE|URL]',
  '  vertex directory share install [--force-config]',
  '  vertex directory share uninstall [--purge-data]',
  '  vertex directory share status',
  '  vertex directory share resync-peer [--config PATH] --peer-url URL',
  ...benches.map((what) => `  vertex directory share ${what} [--state-dir PATH]`),
  '',
  'Options:',
  line('--config PATH', 'Read a file of settings, key = value on each line; may be repeated'),
  line('--peer-url URL', 'Peer /v1/replicate URL for resync-peer'),
  ...shareOptions.flatMap(({ flag, value, what }) =>
    flag === undefined ? [] : [line(value === undefined ? flag : `${flag} ${value}`, what)],
  ),
  '',
  'Only in a file:',
  ...shareOptions.flatMap(({ flag, key, what }) => (flag === undefined ? [line(key, what)] : [])),
].join('\n')

function line(name: string, what: string): string {
  const left = `  ${name}`
  return left.length < WIDTH ? left.padEnd(WIDTH) + what : `${left}\n${' '.repeat(WIDTH)}${what}`
}
