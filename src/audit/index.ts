export { anchorBlob } from './anchor-blob.js'
export { anchorFile } from './anchor-file.js'
export { Anchoring, AnchorRefused, type AnchorPlace } from './anchoring.js'
export { anchorOf, EMPTY, seal, sealProblem, type Entry, type Head } from './chain.js'
export { hashValue, type AuditKeys } from './keys.js'
export { formatAnchor, formatLine, parseAnchor, parseLine, type Anchor } from './line.js'
export { linesOf, readAnchors } from './lines.js'
export { ofServer, type AuditActor, type AuditRecord } from './record.js'
export {
  verifyLog,
  type AuditProblem,
  type BadRecord,
  type GoodLog,
  type RestoreRecord,
} from './verify.js'
export { AuditWriter, type AuditTable, type NewEntry } from './writer.js'
