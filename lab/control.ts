import { writeFileSync, renameSync } from 'node:fs'

/** What the laboratory asks of the hook in a server, by a file that the hook reads before each statement. */
export interface Control {
  /** Another number begins another count of statements. */
  readonly id: number
  /** Ends the process by SIGKILL around a statement. */
  readonly kill?: {
    /** The first statement is 1. */
    readonly at: number
    readonly when: KillMoment
  }
  /** How far the clock of the process is from the machine's, in milliseconds. */
  readonly clockMs?: number
  /** A fault of the product that a checker must find; for the tests of the laboratory only. */
  readonly plant?: Plant
}

/** `sent`: it was given to the database, and its answer has not come. On SQLite that is `after`: nothing lies between. */
export type KillMoment = 'before' | 'sent' | 'after'
export const killMoments: readonly KillMoment[] = ['before', 'sent', 'after']

/**
 * `forget`: what should be committed is rolled back, and the caller is told that it was committed. `unsynced`: SQLite
 * stops to sync. `break`: the next key cannot be begun, for a reason that nobody expects.
 */
export type Plant = 'forget' | 'unsynced' | 'break'

/** The variable that names the control file to the hook. */
export const CONTROL_VARIABLE = 'LAB_CONTROL'

/** Where the hook writes a line for each statement that it counted: id, number, and the words of the statement. */
export const statementsFile = (controlFile: string) => `${controlFile}.statements`

/** All at once, so that the hook never reads half of it. */
export function writeControl(file: string, control: Control): void {
  writeFileSync(`${file}.new`, JSON.stringify(control))
  renameSync(`${file}.new`, file)
}
