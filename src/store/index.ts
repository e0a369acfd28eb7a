export { answering } from './answering.js'
export { openAuditBeside } from './audit-beside.js'
export { bundledTables, readBundled, type BundledRow } from './bundled.js'
export { StoreRefused } from './errors.js'
export { postgresLease, postgresReplicas, type Lease, type LeaseEvent } from './lease.js'
export { all, assertCurrent, lookAt, type Look } from './look.js'
export {
  openStore,
  openUnsealed,
  type Database,
  type OpenStore,
  type StoreOptions,
  type UnsealedStore,
} from './open.js'
export { restoreDatabase, type Restoring } from './restore.js'
export { openSnapshot, type Snapshot } from './snapshot.js'
export { sqliteDatabaseExists } from './sqlite.js'
export type { Row, SqlValue } from './engine.js'
export type { UnitStore } from './store.js'
export type { MoreTables } from './tables.js'
export type { Unit } from './unit.js'
export { localJobs, postgresJobs, type Job, type JobEvent, type JobLog, type Jobs } from './jobs.js'
