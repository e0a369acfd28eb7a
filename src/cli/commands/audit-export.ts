import { resolve } from 'node:path'
import { type AddCommand, group } from '../command.js'
import { fileError } from '../file-error.js'
import { withSettings } from '../settings.js'

/** `vertex audit export`: the audit log as a file, a record a line. */
export const addAuditExport: AddCommand = (program, action) => {
  group(program, 'audit', 'the audit log')
    .command('export')
    .description('write the audit log of the database into a new file, beside a running server')
    .argument('<file>', 'a new file')
    .action(
      action(async (running, _options: object, file: string) => {
        const { exportAudit, sealLogger } = await import('../../compose/index.js')
        const made = await withSettings(running, (config, logger) =>
          exportAudit(config, resolve(file), sealLogger(logger), running.output.progress()).catch(
            (error: unknown) => {
              throw fileError(error, 'written')
            },
          ),
        )
        running.output.result(made, [`${made.file}: ${made.seq} records, head ${made.hash}`])
      }),
    )
}
