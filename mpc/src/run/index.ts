export type { KeygenRun, RunOptions, SignRun } from './options.js'
export type { SetupCache } from './setup-cache.js'
export {
  RunFailed,
  SessionMismatch,
  type MissingParty,
  type OfferField,
  type PeerAbort,
  type RunFailure,
} from './failures.js'
export { runKeygen } from './keygen.js'
export { runSign } from './sign.js'
