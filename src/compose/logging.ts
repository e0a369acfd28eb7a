import { pino, type Logger } from 'pino'
import type { Config } from '../config.js'
import type { Metrics } from '../metrics/metrics.js'
import type { SealLog } from '../seal/index.js'

/** JSON lines on stdout. Only what is put into a record by name is ever in one. */
export function createLogger(level: Config['logLevel']): Logger {
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime })
}

export function sealLogger(logger: Logger, metrics?: Metrics): SealLog {
  return (event) => {
    metrics?.event(event)
    if (event.event === 'secrets_loaded') logger.info(event)
    else logger.warn(event)
  }
}
