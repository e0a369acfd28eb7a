export {
  assertFollows,
  checkEvent,
  liveSubjects,
  longestChain,
  signEvent,
  verifyChain,
  type CheckedEvent,
  type Head,
  type NewEvent,
} from './chain.js'
export { canonical, envelopeHash, parseEnvelope, type Envelope, type Op } from './envelope.js'
export { parsePrimary, primaryOf, type Primary, type Scheme } from './primary.js'
export { SigchainRefusal, type RefusalReason } from './refusal.js'
export { primaryOfSigner, signPayload, type SignedBytes, type Signer } from './signature.js'
