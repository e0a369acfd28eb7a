export {
  cosign,
  cosignedAt,
  openCheckpoint,
  parseCheckpoint,
  signCheckpoint,
  type Checkpoint,
  type TreeHead,
} from './checkpoint.js'
export {
  decodeEntry,
  decodeExtra,
  encodeEntry,
  encodeExtra,
  SALT_BYTES,
  subjectHash,
  type Entry,
  type EntryKind,
} from './entry.js'
export { emptyRoot, leafHash, nodeHash, rootOf, type Hash, type Range } from './merkle.js'
export {
  COSIGNATURE,
  formatVerifierKey,
  isKeyName,
  MOST_NOTE_LENGTH,
  parseVerifierKey,
  toBase64,
  verifierOf,
  type SignerKey,
  type VerifierKey,
} from './note.js'
export { formatLogProof, parseLogProof, type LogProof } from './proof-text.js'
export {
  consistencyPath,
  equal,
  inclusionPath,
  verifyConsistency,
  verifyInclusion,
} from './proofs.js'
export {
  Edge,
  edgeTiles,
  entryBundle,
  hashOf,
  parseTilePath,
  readEntryBundle,
  tileBytes,
  tileHashes,
  tilePath,
  tilesFor,
  TILE_WIDTH,
  widthIn,
  type TilePlace,
  type TileRef,
} from './tiles.js'
