import { readFile } from 'node:fs/promises'
import type { Rest, RestOutput } from '@vertex/sdk'
import { errorCode } from '../../error-code.js'
import { replaceFile } from '../../new-file.js'
import { isSealedAnew } from '../blob-header.js'
import { type AddCommand, group } from '../command.js'
import { eachInTurn, endWith } from '../many.js'
import { CommandError, columns } from '../output.js'
import { askServer, type ServerOptions, withServer } from '../server.js'

interface Options extends ServerOptions {
  readonly dryRun?: boolean
}

/** A file as an export was written into it; what else stands there stays. */
interface BackupFile {
  readonly export_type: 'encrypted'
  readonly key_share: string
}

type Rewrapped = RestOutput<'rewrapKeyShare'>

const words = {
  rewrapped: 'rewrapped',
  would_rewrap: 'would be rewrapped',
  newest: 'already under the newest',
  kept: 'kept by an earlier rewrap',
} as const

/** What stands behind the name of a file whose backup was replaced, and a number when that was taken. */
const KEPT = '.before-rewrap'

/** `vertex backup rewrap`: seals the backups in files anew under the newest secret. */
export const addBackupRewrap: AddCommand = (program, action) => {
  const rewrap = group(program, 'backup', 'backups of key shares')
    .command('rewrap')
    .description('seal the backups in files anew under the newest backup secret, in their place')
    .argument('<file...>', 'files with a backup each, as the export answered it')
    .option('--dry-run', 'do all of it but replacing the files')
  withServer(rewrap).action(
    action(async (running, options: Options, files: string[]) => {
      await askServer(running, options, async (rest) => {
        const outcomes = await eachInTurn(files, (file) =>
          withFile(file, () => rewrapFile(rest, file, options.dryRun === true)),
        )
        const results = outcomes.map((one, i) => {
          const file = files[i]!
          if ('done' in one) return { file, ...one.done }
          const { code, message } = one.error
          return { file, error: { code, message } }
        })
        const lines = results.map((one) =>
          'error' in one
            ? ['FAILED', one.file, one.error.message]
            : [words[one.status], one.file, one.status === 'kept' ? '' : versions(one)],
        )
        running.output.result({ files: results }, columns(lines))
        endWith(outcomes, 'rewrap_failed', 'backups were not rewrapped')
      })
    }),
  )
}

async function rewrapFile(rest: Rest, file: string, isDry: boolean) {
  // A pattern that matches the files matches these as well.
  if (/\.before-rewrap(?:-\d+)?$/.test(file)) return { status: 'kept' as const }
  const former = await readBackup(file)
  const made = await rest.rewrapKeyShare(backupIn(former))
  const { key_id, pubkey, epoch, former_secret_version, secret_version } = made
  const result = { key_id, pubkey, epoch, former_secret_version, secret_version }
  if (!made.rewrapped) return { status: 'newest' as const, ...result }
  if (!isSealedAnew(former.key_share, made)) throw badResponse()
  if (isDry) return { status: 'would_rewrap' as const, ...result }
  const text = `${JSON.stringify({ ...former, key_share: made.key_share })}\n`
  const check = async (written: string) => {
    // What is on the disk is what must open: the former backup goes only for one that is good.
    const verified = await rest.verifyKeyShare(backupIn(parseBackup(file, written)))
    if (!isSame(verified, made)) throw badResponse()
  }
  const former_file = await replaceFile(file, text, check, KEPT)
  return { status: 'rewrapped' as const, ...result, former_file }
}

const badResponse = () =>
  new CommandError(
    'failed',
    'bad_response',
    'what the server answered is no backup of the same share; the file stays',
  )

const backupIn = ({ export_type, key_share }: BackupFile) => ({ export_type, key_share })

const isSame = (verified: RestOutput<'verifyKeyShare'>, made: Rewrapped) =>
  verified.key_id === made.key_id &&
  verified.pubkey === made.pubkey &&
  verified.epoch === made.epoch &&
  verified.secret_version === made.secret_version

async function readBackup(file: string): Promise<BackupFile> {
  return parseBackup(file, await readFile(file, 'utf8'))
}

/** @throws CommandError */
function parseBackup(file: string, text: string): BackupFile {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    value = undefined
  }
  const { export_type, key_share } = Object(value) as Record<string, unknown>
  if (typeof key_share !== 'string' || export_type !== 'encrypted')
    throw new CommandError('failed', 'no_backup', `${file} does not hold an encrypted backup`)
  return value as BackupFile
}

/** The errors of the file system, by their code alone. */
async function withFile<T>(file: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const code = errorCode(error)
    if (code === undefined || !('syscall' in (error as Error))) throw error
    throw new CommandError('failed', 'file', `${file} cannot be read or replaced (${code})`)
  }
}

const versions = (one: { former_secret_version: string; secret_version: string }) =>
  one.former_secret_version === one.secret_version
    ? one.secret_version
    : `${one.former_secret_version} -> ${one.secret_version}`
