import { resolve } from 'node:path'
import { type AddCommand, group } from '../command.js'
import { fileError } from '../file-error.js'
import { columns } from '../output.js'
import { withSettings } from '../settings.js'

/** `vertex backup bundle`: the whole vault in one encrypted, signed file. */
export const addBackupBundle: AddCommand = (program, action) => {
  group(program, 'backup', 'backups of key shares')
    .command('bundle')
    .description('write the whole vault into one encrypted, signed file, beside a running server')
    .argument('<file>', 'where to: a new file, or a folder in which it gets a name of its own')
    .action(
      action(async (running, _options: object, file: string) => {
        const { makeBundle, sealLogger } = await import('../../compose/index.js')
        const bundle = await withSettings(running, (config, logger) =>
          makeBundle(config, resolve(file), sealLogger(logger), running.output.progress()).catch(
            (error: unknown) => {
              throw fileError(error, 'written', file)
            },
          ),
        )
        const { secret, audit_head, rows } = bundle
        running.output.result(bundle, [
          `${bundle.file}: ${bundle.bytes} bytes, SHA-256 ${bundle.sha256}`,
          `vault ${bundle.vault_name}, generation ${bundle.generation}`,
          `opens with the backup secret ${secret.name}${secret.version && ` ${secret.version}`}, fingerprint ${secret.fingerprint.slice(0, 16)}`,
          `head of the audit log: ${audit_head.seq} ${audit_head.hash}`,
          '',
          ...columns(Object.entries(rows).map(([table, count]) => [count, table])),
        ])
      }),
    )
}
