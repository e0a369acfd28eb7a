import { Command, CommanderError } from 'commander'
import type { AddCommand, Surroundings, WrapAction } from './command.js'
import { addAuditExport } from './commands/audit-export.js'
import { addAuditVerify } from './commands/audit-verify.js'
import { addBackupBundle } from './commands/backup-bundle.js'
import { addBackupCensus } from './commands/backup-census.js'
import { addBackupRewrap } from './commands/backup-rewrap.js'
import { addDirectory } from './commands/directory.js'
import { addTokens } from './commands/keyserver.js'
import { addDrill } from './commands/drill.js'
import { addLogKey, addLogVerify, addLogWitness } from './commands/log.js'
import { addRestore } from './commands/restore.js'
import { addServe } from './commands/serve.js'
import { addShare } from './commands/share.js'
import { CommandError, exits, Output } from './output.js'

/** Every command, in the order in which `--help` shows them. */
const commands: readonly AddCommand[] = [
  addServe,
  addDrill,
  addBackupCensus,
  addBackupRewrap,
  addBackupBundle,
  addRestore,
  addAuditVerify,
  addAuditExport,
  addLogKey,
  addLogVerify,
  addLogWitness,
  addDirectory,
  addShare,
  addTokens,
]

/**
 * Runs one command line.
 * @param words without the names of Node and the program
 * @returns the exit code, for when the process ends by itself
 */
export async function run(
  words: readonly string[],
  surroundings: Surroundings,
  version: string,
): Promise<number> {
  // Known before anything is parsed, since parsing itself can fail.
  const options = words.slice(0, words.indexOf('--') === -1 ? undefined : words.indexOf('--'))
  const output = new Output(surroundings, options.includes('--json'))
  const action: WrapAction =
    (work) =>
    async (...given) => {
      // Commander calls with the arguments, then the options, then the command.
      const args = given.slice(0, -2)
      const { stdin, stderr, env } = surroundings
      const running = { output, stdin, stderr, env }
      await work(running, given.at(-2) as never, ...(args as never[]))
    }
  const program = new Command('vertex')
    .description('A vault that is one party of threshold keys: the server, and tools for it.')
    .version(version)
    .option('--json', 'give the result as one JSON document')
  for (const add of commands) add(program, action)
  quiet(program)
  try {
    await program.parseAsync(words, { from: 'user' })
    return exits.done
  } catch (error) {
    const known = asCommandError(error)
    if (known === undefined) return exits.done
    output.error(known)
    return exits[known.exit]
  }

  /** Commander neither ends the process nor writes errors; the help that was asked for is a result. */
  function quiet(command: Command): void {
    command.exitOverride().configureOutput({
      writeOut: (text) => surroundings.stdout.write(text),
      writeErr: () => undefined,
    })
    for (const each of command.commands) quiet(each)
  }
}

/** Undefined for what is no failure: help or the version, asked for. */
function asCommandError(error: unknown): CommandError | undefined {
  if (error instanceof CommandError) return error
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return undefined
    const incomplete = error.code === 'commander.help'
    const message = incomplete
      ? 'a command is missing; --help lists them'
      : error.message.replace(/^error: /, '')
    return new CommandError('usage', 'usage', message)
  }
  const name = error instanceof Error ? error.name : 'unknown'
  return new CommandError('internal', 'internal_problem', `this should not have happened (${name})`)
}
