import type { RestoreFrom, RestorePlan } from '../../compose/index.js'
import type { AddCommand } from '../command.js'
import { CommandError } from '../output.js'
import { withSettings } from '../settings.js'

interface Options {
  readonly inPlace?: true
  readonly plan?: true
}

/** `vertex restore`: a lost database from a bundle, or an older copy that was put back. */
export const addRestore: AddCommand = (program, action) => {
  program
    .command('restore')
    .description(
      'fill an empty database from a bundle, or mark one that was put back from an older copy',
    )
    .argument('[file]', 'the bundle')
    .option('--in-place', 'without a bundle: an older copy of the database is in its place again')
    .option('--plan', 'say what would be done, and change nothing')
    .action(
      action(async (running, options: Options, file?: string) => {
        if ((file === undefined) !== (options.inPlace === true))
          throw new CommandError(
            'usage',
            'usage',
            'name either a bundle or --in-place, and not both',
          )
        const { planRestore, restore, RestoreRefused, BundleRefused, sealLogger } =
          await import('../../compose/index.js')
        const { output } = running
        await withSettings(running, async (config, logger) => {
          const logs = {
            seal: sealLogger(logger),
            vault: (event: object) => {
              logger.warn(event)
            },
            progress: output.progress(),
          }
          const from: RestoreFrom = file
          try {
            if (options.plan === true) {
              const plan = await planRestore(config, from, logs)
              output.result(plan, linesOf(plan, 'This would be done:'))
              if (plan.refused !== undefined)
                throw new RestoreRefused(plan.refused.code, plan.refused.message)
              return
            }
            const restored = await restore(config, from, logs, (plan) => {
              for (const line of linesOf(plan, 'This is done now:')) output.note(line)
            })
            output.result(restored, [`Restored. The new generation is ${restored.generation}.`])
          } catch (error) {
            if (error instanceof BundleRefused)
              throw new CommandError(
                error.code === 'bundle_unreadable' ? 'usage' : 'failed',
                error.code,
                error.message,
                { cause: error },
              )
            if (error instanceof RestoreRefused)
              throw new CommandError('failed', error.code, error.message, { cause: error })
            throw error
          }
        })
      }),
    )
}

function linesOf({ bundle, changes, refused }: RestorePlan, begin: string): string[] {
  const of =
    bundle === undefined
      ? []
      : [
          `Bundle of the vault ${bundle.vault_name}, made at ${bundle.created_at}, whole and signed; SHA-256 ${bundle.sha256}`,
        ]
  return [
    ...of,
    refused === undefined ? begin : 'Refused. It would have been done:',
    ...changes.map((change) => `- ${change}`),
  ]
}
