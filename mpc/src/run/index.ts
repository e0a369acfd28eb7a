export {
  MAX_BATCH,
  type KeygenRun,
  type RunOptions,
  type Signable,
  type SignBatchRun,
  type SignRun,
  type SigningParty,
  type Watch,
} from './options.js'
export type { SetupCache } from './setup-cache.js'
export {
  RunFailed,
  SessionMismatch,
  type MissingParty,
  type OfferField,
  type PeerAbort,
  type RunFailure,
} from './failures.js'
export { bytesAhead } from './peer.js'
export { runKeygen } from './keygen.js'
export { runSign, runSignBatch } from './sign.js'
