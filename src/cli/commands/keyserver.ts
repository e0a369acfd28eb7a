import { chmod, readFile, stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { DirectoryServerSettings } from '../../compose/index.js'
import { makeFile } from '../../new-file.js'
import { type AddCommand, group, type Running } from '../command.js'
import { fileError } from '../file-error.js'
import { CommandError } from '../output.js'
import type { Options } from './directory.js'

const KEY_FILE = 'keyserver.key'
/** Of what is to be signed, and of a key. */
const MOST_BYTES = 4 * 1024 * 1024

/** The flags of `vertex directory keyserver`, beside those of every system. */
export const keyserverFlags = {
  flags: [
    { flag: '--domain <names>', what: 'whose names it gives out, with commas between (needed)' },
    { flag: '--key <file>', what: `its secret; made if missing (default: ${KEY_FILE})` },
    { flag: '--token-key <file>', what: 'calls cost a token that this public key verifies' },
    { flag: '--escrow-key <base64>', what: 'the public half of its escrow key' },
    { flag: '--reserved <names>', what: 'localparts that nobody gets (default: admin, root, …)' },
  ],
  settings: settingsOf,
} as const

const flagOf = {
  VERTEX_KEYSERVER_DOMAINS: ['--domain', 'domain'],
  VERTEX_KEYSERVER_TOKEN_KEY_FILE: ['--token-key', 'tokenKey'],
  VERTEX_KEYSERVER_ESCROW_KEY: ['--escrow-key', 'escrowKey'],
  VERTEX_KEYSERVER_RESERVED: ['--reserved', 'reserved'],
} as const

/** What a flag may be is what the server's setting may be. @throws CommandError */
async function settingsOf(options: Options): Promise<Partial<DirectoryServerSettings>> {
  const { settings, keyserverOf } = await import('../../config.js')
  const { standaloneKeyserver } = await import('../../compose/index.js')
  const valueOf = <Name extends keyof typeof flagOf>(name: Name) => {
    const [flag, option] = flagOf[name]
    const read = settings[name].safeParse(options[option])
    if (read.success) return read.data as ReturnType<(typeof settings)[Name]['parse']>
    throw new CommandError('usage', 'flag', `${flag} ${read.error.issues[0]!.message}`)
  }
  const config = keyserverOf({
    VERTEX_KEYSERVER_DOMAINS: valueOf('VERTEX_KEYSERVER_DOMAINS'),
    VERTEX_KEYSERVER_RESERVED: valueOf('VERTEX_KEYSERVER_RESERVED'),
    VERTEX_KEYSERVER_TOKEN_KEY_FILE: valueOf('VERTEX_KEYSERVER_TOKEN_KEY_FILE'),
    VERTEX_KEYSERVER_ESCROW_KEY: valueOf('VERTEX_KEYSERVER_ESCROW_KEY'),
  })
  if (config === undefined)
    throw new CommandError('usage', 'domain', '--domain is needed: whose names are given out?')
  return { keyserver: await standaloneKeyserver(config, resolve(options['key'] ?? KEY_FILE)) }
}

const TOKENS = 'payment tokens of a keyserver'

/** `vertex token key|sign`: what the operator of a keyserver does about payment tokens. */
export const addTokens: AddCommand = (program, action) => {
  group(program, 'token', TOKENS)
    .command('key')
    .description('make a key that issues tokens, and its public half for the keyserver')
    .argument('<file>', 'where the secret half goes; the public one gets .pub after it')
    .action(
      action(async ({ output }: Running, _: object, file: string) => {
        const { makeTokenKey } = await import('../../compose/index.js')
        const { privatePem, publicPem } = makeTokenKey()
        const [secret, shown] = [resolve(file), `${resolve(file)}.pub`]
        try {
          await makeFile(secret, privatePem)
          await makeFile(shown, publicPem)
          await chmod(shown, 0o644)
        } catch (error) {
          throw fileError(error, 'written')
        }
        output.result({ secret, public: shown }, [
          `secret half: ${secret}; keep it away from the keyserver`,
          `public half: ${shown}; for --token-key or VERTEX_KEYSERVER_TOKEN_KEY_FILE`,
        ])
      }),
    )
  group(program, 'token', TOKENS)
    .command('sign')
    .description('issue tokens that were paid for: sign what is on stdin, blinded, a line each')
    .requiredOption('--key <file>', 'the secret half of the token key')
    .action(
      action(async ({ output, stdin }: Running, { key }: { key: string }) => {
        const { signTokens, TokenKeyError } = await import('../../compose/index.js')
        const lines = (await textOf(stdin)).split('\n').map((line) => line.trim())
        const blinded = lines.filter((line) => line !== '')
        if (blinded.length === 0)
          throw new CommandError('usage', 'stdin', 'there is nothing on stdin to be signed')
        const pem = await readKey(resolve(key))
        try {
          const signatures = signTokens(pem, blinded)
          output.result({ signatures }, signatures)
        } catch (error) {
          if (error instanceof TokenKeyError)
            throw new CommandError('failed', 'token', error.message)
          throw error
        }
      }),
    )
}

async function textOf(stdin: Running['stdin']): Promise<string> {
  let text = ''
  for await (const piece of stdin) {
    text += piece.toString()
    if (text.length > MOST_BYTES) throw new CommandError('usage', 'stdin', 'stdin is too long')
  }
  return text
}

async function readKey(path: string): Promise<string> {
  try {
    if ((await stat(path)).size > MOST_BYTES)
      throw new CommandError('usage', 'file', `${path} is too long to be a key`)
    return await readFile(path, 'utf8')
  } catch (error) {
    throw fileError(error, 'read')
  }
}
