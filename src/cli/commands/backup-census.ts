import { type AddCommand, group } from '../command.js'
import { columns } from '../output.js'
import { askServer, type ServerOptions, withServer } from '../server.js'

/** `vertex backup census`: how many keys have a backup, and under which secret. */
export const addBackupCensus: AddCommand = (program, action) => {
  const census = group(program, 'backup', 'backups of key shares')
    .command('census')
    .description('count the keys by the state of their backup and by the secret it was made under')
  withServer(census).action(
    action(async (running, options: ServerOptions) => {
      // The counts are of all keys, however many are listed.
      const { counts, secrets } = await askServer(running, options, (rest) =>
        rest.backupCoverage({ limit: 1 }),
      )
      const states = [
        ['no backup', counts.none],
        ['exported, never verified', counts.exported],
        ['verified', counts.verified],
        ['of these drilled', counts.drilled],
      ] as const
      const bySecret = secrets.map(({ name, version, fingerprint, keys, newest }) => [
        keys,
        version === '' ? name : `${name} ${version}`,
        fingerprint.slice(0, 16),
        newest ? 'newest' : '',
      ])
      running.output.result({ counts, secrets }, [
        ...columns([['keys', ''], ...states.map(([text, count]) => [count, text])]),
        ...(secrets.length === 0
          ? []
          : ['', ...columns([['keys', 'backup secret', 'fingerprint', ''], ...bySecret])]),
      ])
    }),
  )
}
