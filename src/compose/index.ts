// Builds the server out of its parts; nobody else sees all of them.
export { BundleRefused } from '../bundle/index.js'
export { exportAudit, verifyAudit, type AuditReport } from './audit-log.js'
export { makeBundle, type BundleInfo, type Progress } from './bundle.js'
export type { DirectoryServer } from './alone.js'
export { serveSystem, type DirectoryServerSettings, type SystemName } from './directory.js'
export { standaloneKeyserver } from './keyserver.js'
export { makeTokenKey, signTokens, TokenKeyError } from './token-key.js'
export {
  logKey,
  LogUnreachable,
  LogUsage,
  verifyLogAt,
  verifyLogHere,
  witnessLog,
  type BadLog,
  type LogReport,
} from './log-check.js'
export { createLogger, sealLogger, type ListeningRecord } from './logging.js'
export type { Note } from './notes.js'
export { isForOperator, isUnavailable } from './refusal.js'
export {
  planRestore,
  restore,
  RestoreRefused,
  type Restored,
  type RestoreFrom,
  type RestoreLogs,
  type RestorePlan,
} from './restore.js'
export { compose, type Service } from './service.js'
export { benchShares, BenchFailed, type ShareBench } from './share-bench.js'
export { resyncPeer, ResyncStopped, serveShares } from './share-server.js'
export { readVersion } from './version.js'
