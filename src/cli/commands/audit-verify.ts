import { resolve } from 'node:path'
import type { AuditReport } from '../../compose/index.js'
import { type AddCommand, group } from '../command.js'
import { fileError } from '../file-error.js'
import { CommandError } from '../output.js'
import { withSettings } from '../settings.js'

interface Options {
  readonly anchors: readonly string[]
  readonly codes?: true
}

/** `vertex audit verify`: whether the audit log is whole, and which record is the first bad one. */
export const addAuditVerify: AddCommand = (program, action) => {
  group(program, 'audit', 'the audit log')
    .command('verify')
    .description('check the audit log of the database, beside a running server, or an exported one')
    .argument('[file]', 'an exported log; without it the database of the settings')
    .option(
      '--anchors <file...>',
      'files of anchors, one a line, with which the log must agree',
      [] as string[],
    )
    .option('--codes', 'with a file: also check its codes, with the storage key of the settings')
    .action(
      action(async (running, { anchors, codes }: Options, file?: string) => {
        const { verifyAudit, sealLogger } = await import('../../compose/index.js')
        const { output } = running
        const check = {
          file: file === undefined ? undefined : resolve(file),
          anchors: anchors.map((path) => resolve(path)),
        }
        const report = await (
          file !== undefined && codes !== true
            ? verifyAudit(undefined, check, () => undefined, output.progress())
            : withSettings(running, (config, logger) =>
                verifyAudit(config, check, sealLogger(logger), output.progress()),
              )
        ).catch((error: unknown) => {
          throw fileError(error, 'read')
        })
        output.result(report, told(report))
        if (!report.ok)
          throw new CommandError('failed', report.problem, `the audit log is not in order`)
      }),
    )
}

function told(report: AuditReport): string[] {
  if (!report.ok)
    return [
      report.problem === 'no_anchor_agrees'
        ? 'none of the anchors is of this log: it is another one, or was made anew as a whole'
        : `record ${report.seq} is the first bad one: ${report.problem}`,
    ]
  const { head, generation, codes, unfinished, anchors, unanchored, restores } = report
  const some = unfinished.slice(0, 10).join(', ')
  return [
    `${head.seq} records, all in order; head ${head.hash}`,
    `generation ${generation}`,
    codes
      ? 'their codes were made with this storage key'
      : 'their codes were not checked, which needs the storage key',
    unfinished.length === 0
      ? 'everything that began has ended'
      : `began and has no end, so it may have happened: ${unfinished.length} (${some}${unfinished.length > 10 ? ', …' : ''})`,
    `anchors that agree: ${anchors.agreed}; records after the last of them: ${unanchored}`,
    ...(anchors.abandoned === 0
      ? []
      : [`anchors of records that were lost with a restore: ${anchors.abandoned}`]),
    ...(anchors.foreign === 0 ? [] : [`anchors of other databases: ${anchors.foreign}`]),
    ...(anchors.unreadable === 0 ? [] : [`lines that are no anchors: ${anchors.unreadable}`]),
    ...restores.map(({ seq, bundle }) => `record ${seq}: restored from the bundle ${bundle}`),
  ]
}
