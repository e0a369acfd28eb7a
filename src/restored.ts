import {
  createLogger,
  isForOperator,
  isUnavailable,
  markDatabaseRestored,
} from './compose/index.js'
import { ConfigError, takeConfig } from './config.js'
import { emptyCoreDumps } from './hardening.js'

// To be run once, with the server stopped, after its database was put back from an older copy.
emptyCoreDumps()
try {
  const config = takeConfig(process.env)
  const generation = await markDatabaseRestored(config, createLogger(config.logLevel))
  process.stdout.write(
    `The database is marked as restored: its generation is now ${generation}, and all OT setups are forgotten.\n`,
  )
} catch (error) {
  const known = error instanceof ConfigError || isForOperator(error) || isUnavailable(error)
  process.stderr.write(
    `${known ? error.message : 'The database could not be marked as restored.'}\n`,
  )
  process.exit(1)
}
