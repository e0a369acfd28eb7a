import { resolve } from 'node:path'
import { type AddCommand, group } from '../command.js'
import { CommandError } from '../output.js'
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

/** What the file system says of a file is for whoever named it. */
export function fileError(error: unknown, what: 'read' | 'written'): unknown {
  if (!(error instanceof Error) || !('code' in error)) return error
  const { code, path = 'a file' } = error as { code: unknown; path?: string }
  if (code === 'EEXIST')
    return new CommandError(
      'usage',
      'file_exists',
      'this file is there already; it is not replaced',
    )
  if (typeof code !== 'string' || !/^E[A-Z]+$/.test(code)) return error
  return new CommandError('usage', 'file', `${path} cannot be ${what} (${code})`)
}
