import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import type { Rest } from '@vertex/sdk'
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
  { stdin }: Pick<Running, 'stdin'>,
  { url, keyFile }: ServerOptions,
  ask: (rest: Rest) => Promise<T>,
): Promise<T> {
  const apiKey = await readKey(keyFile, stdin)
  const { MemoryShareStore, RequestError, UnavailableError, Vertex } = await import('@vertex/sdk')
  try {
    const vertex = new Vertex({
      url,
      apiKey,
      store: new MemoryShareStore(),
      allowHttpOnLoopback: true,
    })
    return await ask(vertex.rest)
  } catch (error) {
    if (error instanceof Response) throw await refusal(error, url)
    if (error instanceof UnavailableError)
      throw new CommandError('unavailable', error.errType, error.message, { cause: error })
    if (error instanceof RequestError)
      throw new CommandError('usage', error.errType, error.message, { cause: error })
    throw error
  }
}

async function readKey(path: string, stdin: Running['stdin']): Promise<string> {
  const key = (path === '-' ? await textOf(stdin) : await contentOf(path)).trim()
  if (!/^[!-~]+$/.test(key)) {
    const where = path === '-' ? 'stdin' : path
    throw new CommandError('usage', 'key_file', `${where} does not hold one API key or admin token`)
  }
  return key
}

async function textOf(stdin: Running['stdin']): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stdin) chunks.push(Buffer.from(chunk))
  return Buffer.concat(chunks).toString('utf8')
}

async function contentOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
    throw new CommandError('usage', 'key_file', `${path} cannot be read (${code})`)
  }
}

async function refusal(response: Response, url: string): Promise<CommandError> {
  const body: unknown = await response.json().catch(() => undefined)
  const { err_type, err_msg } = Object(body) as { err_type?: unknown; err_msg?: unknown }
  if (typeof err_type !== 'string' || typeof err_msg !== 'string')
    return new CommandError(
      response.status >= 500 ? 'unavailable' : 'failed',
      'bad_response',
      `${url} answered ${response.status}, and not as a Vertex does`,
    )
  return new CommandError(exitOf(response.status, err_type), err_type, err_msg)
}

function exitOf(status: number, errType: string): Exit {
  if (errType === 'access_denied' || errType === 'you_have_to_be_admin') return 'denied'
  return status === 429 || status >= 500 ? 'unavailable' : 'failed'
}
