import {
  compose,
  createLogger,
  isForOperator,
  isUnavailable,
  readVersion,
  type ListeningRecord,
  type Note,
} from './compose/index.js'
import { ConfigError, takeConfig, type Config } from './config.js'
import { growHeapsFreely } from './engine/heap.js'
import { ThreadPool } from './engine/pool.js'
import { errorCode } from './error-code.js'
import { emptyCoreDumps, openings } from './hardening.js'
import { logUnexpected } from './http/log.js'

/** The configuration is wrong (EX_CONFIG of sysexits.h). */
const EXIT_CONFIG = 78

/** Nothing waits longer than this for a clean end. Milliseconds. */
const HARD_STOP_MS = 20_000

// A debugger attached to the process reads every share in it; Node would open one for this signal.
process.on('SIGUSR1', () => undefined)

const openTo = closeUp()
growHeapsFreely()
const config = readConfigOrExit()
const logger = createLogger(config.logLevel)
process.on('uncaughtException', (error) => {
  logUnexpected(logger, 'none', 'process', error)
  process.exit(1)
})
process.on('unhandledRejection', (error) => logUnexpected(logger, 'none', 'process', error))

const life = { stopping: false }
try {
  const threads = await ThreadPool.start({
    program: new URL('./engine/worker.js', import.meta.url),
    log: (event) => {
      logger.warn(event)
    },
  })
  const service = await compose(config, logger, threads)
  const onSignal = (signal: string) => {
    if (life.stopping) process.exit(1)
    life.stopping = true
    say({
      level: 'info',
      text: `${signal}: finishing what is under way; once more to stop at once`,
    })
    setTimeout(() => process.exit(1), HARD_STOP_MS).unref()
    const stop = async () => {
      await service.stop()
      await threads.close()
    }
    stop().then(
      () => process.exit(0),
      (error: unknown) => {
        logUnexpected(logger, 'none', 'stop', error)
        process.exit(1)
      },
    )
  }
  process.on('SIGTERM', onSignal)
  process.on('SIGINT', onSignal)
  const { url, port, metricsUrl } = await service.listen()
  for (const text of openTo) say({ level: 'warn', text: `${text} in production` })
  for (const note of service.notes) say(note)
  const version = await readVersion()
  if (process.stdout.isTTY)
    say({
      level: 'info',
      text: `Vertex ${version} listens on ${url}, its API is described at ${url}/docs`,
    })
  else {
    const record: ListeningRecord = { event: 'listening', url, port, version, metrics: metricsUrl }
    logger.info(record)
  }
} catch (error) {
  // Told to stop while it waited for its turn: that is no failure, and the end is under way.
  if (!life.stopping) fail(error)
}

/** Keeps others out of the process. In production it does not start where they could get in; elsewhere it says so. */
function closeUp(): readonly string[] {
  const cores = emptyCoreDumps()
  const found = openings({ env: process.env, execArgv: process.execArgv })
  if (cores !== undefined) found.push(cores)
  if (process.env['NODE_ENV'] !== 'production' || found.length === 0) return found
  process.stderr.write('Vertex does not start, because others could read what is in its memory:\n')
  for (const problem of found) process.stderr.write(`  - ${problem}\n`)
  process.stderr.write(
    'docs/operations/hardening.md says what is allowed with NODE_ENV=production.\n',
  )
  process.exit(EXIT_CONFIG)
}

function readConfigOrExit(): Config {
  try {
    return takeConfig(process.env)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    process.stderr.write('Vertex does not start, because its configuration is not right:\n')
    for (const problem of error.problems) process.stderr.write(`  - ${problem}\n`)
    process.stderr.write('docs/operations/configuration.md describes every setting.\n')
    process.exit(EXIT_CONFIG)
  }
}

function fail(error: unknown): never {
  if (isForOperator(error)) {
    process.stderr.write(`Vertex does not start: ${error.message}\n`)
    process.exit(EXIT_CONFIG)
  }
  const code = errorCode(error)
  if (isUnavailable(error))
    process.stderr.write(`Vertex does not start: ${error.message}; try again\n`)
  else if (code === 'EADDRINUSE' || code === 'EACCES' || code === 'EADDRNOTAVAIL')
    process.stderr.write(`Vertex does not start: HOST and PORT cannot be listened on (${code})\n`)
  else {
    logUnexpected(logger, 'none', 'start', error)
    process.stderr.write('Vertex does not start; its log says why\n')
  }
  process.exit(1)
}

/** For people on a terminal, as a record for everyone else. */
function say({ level, text }: Note): void {
  if (process.stdout.isTTY) process.stdout.write(`${level === 'warn' ? '! ' : '  '}${text}\n`)
  else logger[level]({ event: 'note' }, text)
}
