import { existsSync } from 'node:fs'
import { readFile, rename, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { BadLog, LogReport } from '../../compose/index.js'
import { makeFile } from '../../new-file.js'
import { type AddCommand, group, type Running } from '../command.js'
import { fileError } from '../file-error.js'
import { CommandError } from '../output.js'
import { withSettings } from '../settings.js'

const LOG = "the directory's log"

/** A checkpoint has at most 16 KiB. */
const MOST_BYTES = 32_768

/** `vertex log key`: what the checkpoints of this server's log are verified with. */
export const addLogKey: AddCommand = (program, action) => {
  group(program, 'log', LOG)
    .command('key')
    .description("print the verifier key of the log of the settings' database")
    .action(
      action(async (running) => {
        const { logKey, sealLogger } = await import('../../compose/index.js')
        const key = await withSettings(running, (config, logger) =>
          logKey(config, sealLogger(logger)),
        )
        running.output.result(key, [key.verifier_key])
      }),
    )
}

interface VerifyOptions {
  readonly key?: string
  readonly checkpoint: readonly string[]
}

/** `vertex log verify`: whether the log is whole, and what is the first that is not. */
export const addLogVerify: AddCommand = (program, action) => {
  group(program, 'log', LOG)
    .command('verify')
    .description('check the log of the database, beside a running server, or one that is published')
    .argument('[url]', 'where the log is published; without it the database of the settings')
    .option('--key <verifier key>', 'with an address: what its checkpoints are verified with')
    .option(
      '--checkpoint <file...>',
      'checkpoints that were kept, which the log must continue',
      [] as string[],
    )
    .action(
      action(async (running, { key, checkpoint }: VerifyOptions, url?: string) => {
        const { verifyLogAt, verifyLogHere, sealLogger } = await import('../../compose/index.js')
        const { output } = running
        if ((url === undefined) !== (key === undefined))
          throw new CommandError('usage', 'key', 'an address needs --key, and --key an address')
        const kept = await Promise.all(checkpoint.map((file) => readText(resolve(file))))
        const report = await told(() =>
          url === undefined || key === undefined
            ? withSettings(running, (config, logger) =>
                verifyLogHere(config, kept, sealLogger(logger), output.progress()),
              )
            : verifyLogAt(url, key, kept, output.progress()),
        )
        output.result(report, linesOf(report))
        if (!report.ok) throw notInOrder(report)
      }),
    )
}

interface WitnessOptions {
  readonly key: string
  readonly state: string
  readonly cosignKey?: string
  readonly cosignName?: string
}

/** `vertex log witness`: one look at a log, which must continue what it showed before. */
export const addLogWitness: AddCommand = (program, action) => {
  group(program, 'log', LOG)
    .command('witness')
    .description('look at a log once: does it continue what it showed the last time?')
    .argument('<url>', 'where the log is published')
    .requiredOption('--key <verifier key>', 'what its checkpoints are verified with')
    .requiredOption('--state <file>', 'keeps the last checkpoint from one look to the next')
    .option('--cosign-key <file>', 'sign what was checked: 32 secret bytes, as base64 or hex')
    .option('--cosign-name <name>', 'the name of that key, such as witness.example.com')
    .action(action(look))
}

async function look(running: Running, options: WitnessOptions, url: string): Promise<void> {
  const { witnessLog } = await import('../../compose/index.js')
  const state = resolve(options.state)
  const { cosignKey, cosignName } = options
  if ((cosignKey === undefined) !== (cosignName === undefined))
    throw new CommandError('usage', 'cosign', '--cosign-key and --cosign-name go together')
  const cosigner =
    cosignKey === undefined || cosignName === undefined
      ? undefined
      : { name: cosignName, secret: await readText(resolve(cosignKey)) }
  const kept = existsSync(state) ? await readText(state) : undefined
  const now = Date.now()
  const seen = await told(() => witnessLog(url, options.key, kept, cosigner, now))
  if (!seen.ok) {
    const { evidence, ...report } = seen
    // Each as it was signed, for whoever checks them with other tools. The state stays what it was.
    const files = evidence === undefined ? [] : [`${state}.${now}.kept`, `${state}.${now}.shown`]
    for (const [i, file] of files.entries()) await written(() => makeFile(file, evidence![i]!))
    running.output.result({ ...report, evidence: files }, [
      seen.what,
      ...files.map((file) => `evidence: ${file}`),
    ])
    throw notInOrder(seen)
  }
  const { keep, ...report } = seen
  if (keep !== kept) await written(() => replace(state, keep, now))
  running.output.result(report, [
    {
      first: `${seen.size} entries; kept as the first checkpoint`,
      same: `${seen.size} entries, as before`,
      newer: `${seen.size} entries, which continue the ${seen.before} of the last look`,
      older: `${seen.size} entries: an older view, which the kept checkpoint of ${seen.before} continues`,
    }[seen.what],
    `log ${seen.origin}`,
    ...(seen.witness_key === undefined ? [] : [`cosigned; ${seen.witness_key}`]),
  ])
}

const notInOrder = ({ problem }: BadLog) =>
  new CommandError('failed', problem, 'the log is not in order')

/** What goes wrong with the log or the command line, as an end of the command. */
async function told<T>(work: () => Promise<T>): Promise<T> {
  const { LogUnreachable, LogUsage, isForOperator } = await import('../../compose/index.js')
  try {
    return await work()
  } catch (error) {
    if (error instanceof LogUnreachable)
      throw new CommandError('unavailable', 'unavailable', `${error.message}; try again`)
    if (error instanceof LogUsage || isForOperator(error))
      throw new CommandError('usage', 'usage', error.message)
    throw error
  }
}

async function readText(file: string): Promise<string> {
  try {
    if ((await stat(file)).size > MOST_BYTES)
      throw new CommandError('usage', 'file', `${file} is too long to be what it should be`)
    return await readFile(file, 'utf8')
  } catch (error) {
    throw fileError(error, 'read')
  }
}

/** There is the former file or the new one, whole. If the former comes back after a crash, the next look begins there. */
async function replace(file: string, text: string, now: number): Promise<void> {
  const draft = `${file}.${now}.new`
  await makeFile(draft, text)
  await rename(draft, file)
}

async function written(work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    throw fileError(error, 'written')
  }
}

function linesOf(report: LogReport): string[] {
  if (!report.ok) return [`${report.problem}: ${report.what}`]
  const { origin, size, root, kinds, database } = report
  const of = Object.entries(kinds).map(([kind, count]) => `${count} ${kind}`)
  return [
    `${size} entries, all in order; root ${root}`,
    `log ${origin}`,
    ...(of.length === 0 ? [] : [of.join(', ')]),
    ...(database === undefined
      ? []
      : [
          `rows as they were logged: ${database.rows}; erased: ${database.erased}`,
          `audit records as they were committed to: ${database.audit_records}`,
          `entries that wait for the next checkpoint: ${database.waiting}`,
        ]),
  ]
}
