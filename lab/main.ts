import { randomInt } from 'node:crypto'
import { constants } from 'node:os'
import { parseArgs } from 'node:util'
import { experiment } from './laboratory.js'
import { failureText, isClean, toText } from './report.js'
import { scenarios } from './scenarios/index.js'

const help = `npm run lab -- [--short] [--json] [--scenario NAME]… [--engine NAME] [--seed N]

Makes a vault fail in every way we know, with real processes, disks and databases, and looks for what was acknowledged.
Exit 0: nothing was lost and nothing was wrong. 1: something was. 2: the command line is not right.
Ctrl-C ends it early, with 130, and reports what was run until then.
Times to recover are told and never fail.

  --short          a run or two of the scenarios that tell most; ends within a minute
  --json           one JSON object on stdout instead of the table
  --scenario NAME  only this one; may be given several times
  --engine NAME    sqlite or postgres; both if absent
  --seed N         alone: draws everything from N. With one --scenario: makes only its run of seed N

Progress is on stderr, and so is what a run found, as it ends. Scenarios that need root (a mount), Postgres or strace are skipped, and named, without.

${scenarios.map(({ name, about }) => `  ${name.padEnd(20)} ${about}`).join('\n')}
`

function usage(message: string): never {
  process.stderr.write(`${message}; --help tells what there is\n`)
  process.exit(2)
}

function flagsOf() {
  try {
    return parseArgs({
      options: {
        short: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        scenario: { type: 'string', multiple: true, default: [] },
        engine: { type: 'string' },
        seed: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    }).values
  } catch (error) {
    return usage(error instanceof Error ? error.message : 'the command line is not right')
  }
}

const flags = flagsOf()
if (flags.help) {
  process.stdout.write(help)
  process.exit(0)
}
for (const name of flags.scenario)
  if (!scenarios.some((scenario) => scenario.name === name)) usage(`there is no scenario ${name}`)
const { engine } = flags
if (engine !== undefined && engine !== 'sqlite' && engine !== 'postgres')
  usage(`there is no engine ${engine}`)
if (flags.seed !== undefined && !/^\d{1,10}$/.test(flags.seed)) usage('--seed is a whole number')

// What was run until then is reported, and with the process its servers, folders, mounts and databases go.
const interrupted = new AbortController()
let signalled = 0
for (const signal of ['SIGINT', 'SIGTERM'] as const)
  process.once(signal, () => {
    signalled = 128 + constants.signals[signal]
    interrupted.abort()
  })

const began = performance.now()
const report = await experiment({
  scenarios:
    flags.scenario.length === 0
      ? scenarios
      : scenarios.filter(({ name }) => flags.scenario.includes(name)),
  engine,
  seed: flags.seed === undefined ? randomInt(2 ** 31) : Number(flags.seed),
  once: flags.seed !== undefined && flags.scenario.length === 1,
  short: flags.short,
  named: flags.scenario.length > 0,
  progress: (what) => {
    const seconds = ((performance.now() - began) / 1000).toFixed(0).padStart(4)
    if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${seconds} s  ${what} …`)
    else process.stderr.write(`${seconds} s  ${what}\n`)
  },
  found: (failure) => {
    if (process.stderr.isTTY) process.stderr.write('\r\x1b[K')
    process.stderr.write(`${failureText(failure).join('\n')}\n`)
  },
  interrupted: interrupted.signal,
})
if (process.stderr.isTTY) process.stderr.write('\r\x1b[K')
process.stdout.write(flags.json ? `${JSON.stringify(report)}\n` : toText(report))
process.exit(signalled || (isClean(report) ? 0 : 1))
