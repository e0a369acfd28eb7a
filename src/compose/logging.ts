import { pino, type DestinationStream, type Logger, type LoggerOptions } from 'pino'
import type { Config } from '../config.js'
import type { MailEvent } from '../directory/share/mails.js'
import type { ReplicationLogEvent } from '../directory/share/replication/index.js'
import type { RequestRecord, UnexpectedRecord } from '../http/log.js'
import type { Metrics } from '../metrics/metrics.js'
import type { RedisEvent } from '../redis/index.js'
import type { SealEvent, SealLog } from '../seal/index.js'
import type { JobEvent, LeaseEvent } from '../store/index.js'
import type { VaultEvent } from '../vault/index.js'

/** Said once the server listens. */
export interface ListeningRecord {
  readonly event: 'listening'
  readonly url: string
  readonly port: number
  readonly version: string
  readonly metrics: string | undefined
}

type FieldOf<Logged> = Logged extends unknown ? keyof Logged : never

/**
 * Every field that a line of the log may have, besides `level`, `time` and `msg`. A field of a new event does not
 * compile until it stands here, and what is logged past the types is left out.
 */
const fields: Readonly<
  Record<
    FieldOf<
      | RequestRecord
      | UnexpectedRecord
      | VaultEvent
      | SealEvent
      | LeaseEvent
      | JobEvent
      | RedisEvent
      | ListeningRecord
      | MailEvent
      | ReplicationLogEvent
    >,
    true
  >
> = {
  action: true,
  api_key_id: true,
  attempts: true,
  code: true,
  disabled: true,
  duration_ms: true,
  err_type: true,
  error: true,
  event: true,
  first: true,
  frames: true,
  generation: true,
  hash: true,
  key_id: true,
  kind: true,
  line: true,
  message: true,
  method: true,
  metrics: true,
  missing: true,
  mode: true,
  newest: true,
  origin: true,
  peer: true,
  place: true,
  port: true,
  reason: true,
  request_id: true,
  retry_s: true,
  round: true,
  route: true,
  seq: true,
  setting: true,
  share_id: true,
  source: true,
  status: true,
  to: true,
  url: true,
  user_id: true,
  verifier_key: true,
  version: true,
  versions: true,
}

/**
 * JSON lines, on stdout unless told otherwise. A line has the fields above and in them text, numbers and the like; a
 * line from which something had to be left out says how much in `dropped`.
 */
export function createLogger(level: Config['logLevel'], to?: DestinationStream): Logger {
  const options: LoggerOptions = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    hooks: {
      // Before pino sees it, which would take the message of an error for its own and put values into a text.
      logMethod([record, text]: readonly unknown[], method) {
        if (typeof record === 'string') method.call(this, record)
        else method.call(this, onlyKnown(record), typeof text === 'string' ? text : undefined)
      },
    },
  }
  return to === undefined ? pino(options) : pino(options, to)
}

function onlyKnown(given: unknown): Record<string, unknown> {
  const record = given instanceof Error ? { error: given.name } : { ...(given as object) }
  const kept: Record<string, unknown> = {}
  let dropped = 0
  for (const [name, value] of Object.entries(record)) {
    if (Object.hasOwn(fields, name) && isPlain(value)) kept[name] = value
    else dropped++
  }
  if (dropped > 0) kept['dropped'] = dropped
  return kept
}

/** Nothing that could have more inside than its line shows: bytes, errors and objects stay out. */
function isPlain(value: unknown): boolean {
  if (Array.isArray(value)) return value.every((item) => typeof item === 'string')
  return value === null || ['string', 'number', 'boolean', 'undefined'].includes(typeof value)
}

export function sealLogger(logger: Logger, metrics?: Metrics): SealLog {
  return (event) => {
    metrics?.event(event)
    if (event.event === 'secrets_loaded') logger.info(event)
    else logger.warn(event)
  }
}
