// Builds the server out of its parts; nobody else sees all of them.
export { createLogger, type ListeningRecord } from './logging.js'
export type { Note } from './notes.js'
export { isForOperator, isUnavailable } from './refusal.js'
export { markDatabaseRestored } from './restored.js'
export { compose, type Service } from './service.js'
export { readVersion } from './version.js'
