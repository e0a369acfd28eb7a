import type { Logger } from 'pino'
import type { Config } from '../config.js'
import type { Running } from './command.js'
import { CommandError } from './output.js'

/**
 * For commands that work on the server's own database and secrets: reads the server's settings from the environment and
 * closes the process up as the server does. Whatever goes wrong is a CommandError.
 * @param work is given a logger for events, which writes to stderr
 */
export async function withSettings<T>(
  { env, stderr }: Pick<Running, 'env' | 'stderr'>,
  work: (config: Config, logger: Logger) => Promise<T>,
): Promise<T> {
  const [{ createLogger, isForOperator, isUnavailable }, { ConfigError, takeConfig }, hardening] =
    await Promise.all([
      import('../compose/index.js'),
      import('../config.js'),
      import('../hardening.js'),
    ])
  hardening.emptyCoreDumps()
  try {
    const config = takeConfig(env)
    const logger = createLogger('warn', { write: (text) => void stderr.write(text) })
    return await work(config, logger)
  } catch (error) {
    if (error instanceof ConfigError)
      throw new CommandError('config', 'config', error.problems.join('\n'), { cause: error })
    if (isForOperator(error))
      throw new CommandError('config', 'refused', error.message, { cause: error })
    if (isUnavailable(error))
      throw new CommandError('unavailable', 'unavailable', `${error.message}; try again`, {
        cause: error,
      })
    throw error
  }
}
