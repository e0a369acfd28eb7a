import type { Command } from 'commander'
import type { Output, Streams } from './output.js'

/** What a command has of the process it runs in. */
export interface Surroundings extends Streams {
  readonly stdin: AsyncIterable<Uint8Array | string>
  readonly env: NodeJS.ProcessEnv
}

/** What the action of a command is given. */
export interface Running {
  readonly output: Output
  readonly stdin: Surroundings['stdin']
  readonly env: Surroundings['env']
  /** For log records, which are lines of JSON. */
  readonly stderr: Surroundings['stderr']
}

/**
 * Puts one command, or a group of them, on the program: names, arguments, options and `--help` by commander, and an
 * action wrapped by `action`, which supplies the output and ends a failure with the right exit code. To add a command,
 * write such a function in src/cli/commands/ and list it in src/cli/program.ts.
 */
export type AddCommand = (program: Command, action: WrapAction) => void

/**
 * @param work gets the options and then the positional arguments, as commander parsed them; it states their types. What
 * it needs beyond the command line it imports when it runs, so that no command pays for another. It throws CommandError
 * for every end but success.
 */
export type WrapAction = (
  work: (running: Running, options: never, ...args: never[]) => Promise<void> | void,
) => (...given: unknown[]) => Promise<void>

/** The group of this name, made where it is not there yet, so that several files can put commands into one. */
export function group(program: Command, name: string, description: string): Command {
  return (
    program.commands.find((command) => command.name() === name) ??
    program.command(name).description(description)
  )
}
