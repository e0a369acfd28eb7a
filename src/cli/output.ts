/*
 * What the `vertex` command says, and where.
 *
 * 1. Results go to stdout, everything else (progress, warnings, errors, help that was not asked for) to stderr. What
 *    stdout gets can be piped on.
 * 2. With `--json`, stdout gets exactly one JSON document and a newline, with the names of the HTTP API; an error is one
 *    JSON document `{ "error": { "code", "message" } }` on stderr, and stdout stays empty. What is said on the side, to
 *    people, is left out then. Without it the text is for people and may change at any time. Help and the version are
 *    text in any case.
 * 3. A result is written once, when it is whole. A command that fails has written none, unless the result is what
 *    failed (exit 1): then it tells in what way.
 * 4. Secrets are never arguments, which other processes can read, and never printed: they come from files or stdin. Only
 *    switches of an original may be some, which can stand in its file as well.
 * 5. Nothing is asked and no colour is used: every command can run unattended.
 * 6. The exit code is one of `exits`, below. `serve` and `directory` are servers: they log to stdout and end
 *    as the server does.
 */

/** How a command may end. Stable: scripts depend on them. docs/operations/command.md lists them too. */
export const exits = {
  /** Done. */
  done: 0,
  /** Refused, or something that was checked is not in order. Trying again does not help. */
  failed: 1,
  /** The command line is not right, or names a file that cannot be read. */
  usage: 2,
  /** A server or a database does not answer, or has no time. Trying again later is right. */
  unavailable: 69,
  /** A bug. */
  internal: 70,
  /** The API key or admin token is not accepted, or may not do this. */
  denied: 77,
  /** The configuration is wrong. */
  config: 78,
} as const

export type Exit = keyof typeof exits

/** An expected end of a command other than success. The message is for people and holds no secret. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
  /**
   * @param code for scripts: stable, lower case with underscores
   */
  constructor(
    readonly exit: Exit,
    readonly code: string,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
  }
}

/** One that is told in the words of the program whose command line this is, and begins as its errors do. */
export class OriginalError extends CommandError {}

/** Where a command writes. */
export interface Streams {
  readonly stdout: { write(text: string): unknown }
  readonly stderr: { write(text: string): unknown }
}

/** The one way of a command to speak. */
export class Output {
  constructor(
    private readonly streams: Streams,
    private readonly json: boolean,
  ) {}

  /** The result: `value` with `--json`, else the lines. Once for each command. */
  result(value: object, lines: readonly string[]): void {
    const text = this.json ? JSON.stringify(value) : lines.map(harmless).join('\n')
    this.streams.stdout.write(`${text}\n`)
  }

  /** Something on the side, for people. */
  note(text: string): void {
    if (!this.json) this.streams.stderr.write(`${harmless(text)}\n`)
  }

  /** Says how far something is that takes longer than a second, once a second. */
  progress(): (text: () => string) => void {
    let said = performance.now()
    return (text) => {
      const now = performance.now()
      if (now - said < 1_000) return
      said = now
      this.note(text())
    }
  }

  error(error: CommandError): void {
    const { code, message } = error
    const who = error instanceof OriginalError ? 'error' : 'vertex'
    const text = this.json
      ? JSON.stringify({ error: { code, message } })
      : `${who}: ${message.split('\n').map(harmless).join('\n')}`
    this.streams.stderr.write(`${text}\n`)
  }
}

/** A line without what a terminal would act on: words of a server or of a file may be anybody's. */
const harmless = (line: string) => line.replace(/\p{Cc}/gu, '?')

/** Rows in columns, two spaces apart; numbers to the right. */
export function columns(rows: readonly (readonly (string | number)[])[]): string[] {
  const widths: number[] = []
  for (const row of rows)
    row.forEach((cell, i) => (widths[i] = Math.max(widths[i] ?? 0, String(cell).length)))
  return rows.map((row) =>
    row
      .map((cell, i) =>
        typeof cell === 'number' ? String(cell).padStart(widths[i]!) : cell.padEnd(widths[i]!),
      )
      .join('  ')
      .trimEnd(),
  )
}
