import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import type { Rest, ShareStore, Vertex } from '@vertex/sdk'
import { errorCode } from '../error-code.js'
import type { Running } from './command.js'
import { CommandError, type Exit } from './output.js'

export interface ServerOptions {
  readonly url: string
  readonly keyFile: string
}

/** The options of every command that asks a running server. */
export function withServer(command: Command): Command {
  return command
    .option('--url <url>', 'where the server is', 'http://127.0.0.1:8080')
    .requiredOption(
      '--key-file <file>',
      "file with a user's API key or the admin token; - for stdin",
    )
}

/** Asks a running server. Whatever goes wrong is a CommandError. */
export async function askServer<T>(
  running: Pick<Running, 'stdin'>,
  options: ServerOptions,
  ask: (rest: Rest) => Promise<T>,
): Promise<T> {
  const { MemoryShareStore } = await import('@vertex/sdk')
  return asClient(running, options, new MemoryShareStore(), ({ rest }) => ask(rest))
}

/** Works as a client of a running server, and closes it. Whatever goes wrong is a CommandError. */
export async function asClient<T>(
  { stdin }: Pick<Running, 'stdin'>,
  { url, keyFile }: ServerOptions,
  store: ShareStore,
  work: (vertex: Vertex) => Promise<T>,
): Promise<T> {
  const apiKey = (await readSecret(keyFile, stdin, 'key_file')).trim()
  if (!/^[!-~]+$/.test(apiKey)) {
    const where = keyFile === '-' ? 'stdin' : keyFile
    throw new CommandError('usage', 'key_file', `${where} does not hold one API key or admin token`)
  }
  const { Vertex } = await import('@vertex/sdk')
  let vertex: Vertex | undefined
  try {
    vertex = new Vertex({ url, apiKey, store, allowHttpOnLoopback: true })
    return await work(vertex)
  } catch (error) {
    throw (await commandErrorOf(error)) ?? error
  } finally {
    await vertex?.close()
  }
}

/** What a client of a server throws, as an end of a command; undefined for what is not expected. */
export async function commandErrorOf(error: unknown): Promise<CommandError | undefined> {
  if (error instanceof CommandError) return error
  if (error instanceof Response) return refusal(error)
  const {
    DeadlineError,
    RequestError,
    RoomTimeoutError,
    StoreLockedError,
    UnavailableError,
    VertexError,
  } = await import('@vertex/sdk')
  if (!(error instanceof VertexError)) return undefined
  const { errType, message, status } = error
  const end = (exit: Exit) => new CommandError(exit, errType, message, { cause: error })
  const passes = [DeadlineError, RoomTimeoutError, StoreLockedError, UnavailableError]
  if (passes.some((type) => error instanceof type)) return end('unavailable')
  if (status !== undefined) return end(exitOf(status, errType))
  return end(error instanceof RequestError ? 'usage' : 'failed')
}

/** A secret from a file or, for `-`, from stdin, without the end of its line. @throws CommandError */
export async function readSecret(
  path: string,
  stdin: Running['stdin'],
  code: string,
): Promise<string> {
  const text = path === '-' ? await textOf(stdin) : await contentOf(path, code)
  return text.replace(/\r?\n$/, '')
}

async function textOf(stdin: Running['stdin']): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stdin) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks).toString('utf8')
}

async function contentOf(path: string, what: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    const code = errorCode(error) ?? 'unknown'
    throw new CommandError('usage', what, `${path} cannot be read (${code})`)
  }
}

async function refusal(response: Response): Promise<CommandError> {
  const body: unknown = await response.json().catch(() => undefined)
  const { err_type, err_msg } = Object(body) as { err_type?: unknown; err_msg?: unknown }
  if (typeof err_type !== 'string' || typeof err_msg !== 'string')
    return new CommandError(
      response.status >= 500 ? 'unavailable' : 'failed',
      'bad_response',
      `the server answered ${response.status}, and not as a Vertex does`,
    )
  return new CommandError(exitOf(response.status, err_type), err_type, err_msg)
}

function exitOf(status: number, errType: string): Exit {
  if (errType === 'access_denied' || errType === 'you_have_to_be_admin') return 'denied'
  return status === 429 || status >= 500 ? 'unavailable' : 'failed'
}
