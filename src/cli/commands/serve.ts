import type { AddCommand } from '../command.js'

/** `vertex serve`: the server, exactly as `node dist/main.js` starts it. */
export const addServe: AddCommand = (program, action) => {
  program
    .command('serve')
    .description('run the server; its settings come from the environment')
    .action(
      action(async () => {
        await import('../../main.js')
      }),
    )
}
