import { access } from 'node:fs/promises'
import { join } from 'node:path'
import type { DrilledBackup } from '@vertex/sdk'
import { addToFile } from '../../new-file.js'
import type { AddCommand } from '../command.js'
import { fileError } from '../file-error.js'
import { eachInTurn, endWith } from '../many.js'
import { CommandError, columns } from '../output.js'
import { asClient, commandErrorOf, readSecret, type ServerOptions, withServer } from '../server.js'

interface Options extends ServerOptions {
  readonly store: string
  readonly passphraseFile: string
  readonly reports?: string
}

/** `vertex drill`: lets the stored backups of keys sign once each, together with the client's shares. */
export const addDrill: AddCommand = (program, action) => {
  const drill = program
    .command('drill')
    .description('recovery drill: have the stored backups of keys sign once each, in memory only')
    .argument('[key...]', "the client's ids of the keys; all keys of the store if absent")
  withServer(drill)
    .requiredOption('--store <folder>', "the client's share store")
    .requiredOption(
      '--passphrase-file <file>',
      'file with the passphrase of the store; - for stdin',
    )
    .option('--reports <file>', 'add the signed reports to this file, a line of JSON each')
    .action(
      action(async ({ output, stdin }, options: Options, keys: string[]) => {
        if (options.keyFile === '-' && options.passphraseFile === '-')
          throw new CommandError(
            'usage',
            'stdin',
            'only one of the two secrets can come from stdin',
          )
        const store = await openStore(options, stdin)
        try {
          await asClient({ stdin }, options, store, async ({ ecdsa }) => {
            const ids = keys.length > 0 ? keys : await ecdsa.listKeys()
            const outcomes = await eachInTurn(ids, async (id) => {
              const drilled = toResult(await (await ecdsa.openKey(id)).drillBackup())
              if (options.reports !== undefined && drilled.report !== null)
                await keep(options.reports, { id, report: drilled.report })
              return drilled
            })
            const drills = outcomes.map((one, i) => {
              const id = ids[i]!
              if ('done' in one) return { id, ...one.done }
              const { code, message } = one.error
              return { id, error: { code, message } }
            })
            const lines = drills.map((one) =>
              'error' in one
                ? ['FAILED', one.id, one.error.message]
                : ['good', one.id, oneLine(one)],
            )
            output.result({ drills }, lines.length > 0 ? columns(lines) : ['no keys'])
            endWith(outcomes, 'drill_failed', 'backups did not pass their drill')
          })
        } finally {
          await store.close()
        }
      }),
    )
}

/** @throws CommandError; also for a folder that is no store, which opening would make one */
async function openStore(
  { store, passphraseFile }: Options,
  stdin: Parameters<typeof readSecret>[1],
) {
  const passphrase = await readSecret(passphraseFile, stdin, 'passphrase_file')
  const isThere = access(join(store, 'store.vtx')).then(
    () => true,
    () => false,
  )
  if (!(await isThere))
    throw new CommandError('usage', 'store', `${store} is not a share store that can be read`)
  const { FileShareStore } = await import('@vertex/sdk/node')
  try {
    return await FileShareStore.open({ directory: store, passphrase })
  } catch (error) {
    throw (await commandErrorOf(error)) ?? error
  }
}

/** @throws CommandError */
async function keep(path: string, line: object): Promise<void> {
  try {
    await addToFile(path, `${JSON.stringify(line)}\n`)
  } catch (error) {
    throw fileError(error, 'written', path)
  }
}

/** With the names of the HTTP API. */
const toResult = (drilled: DrilledBackup) => ({
  pubkey: drilled.publicKey,
  epoch: drilled.epoch,
  digest: drilled.digest,
  drilled_at: drilled.drilledAt,
  secret_version: drilled.secretVersion,
  report: drilled.report,
})

/** A secret in a file has no version. */
const oneLine = ({ drilled_at, secret_version }: ReturnType<typeof toResult>) =>
  secret_version ? `${drilled_at}  secret ${secret_version}` : drilled_at
