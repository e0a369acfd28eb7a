// Keys
export { startKeygen, type KeygenInput } from './dkls23/keygen/index.js'
export {
  checkKeyShare,
  compareBytes,
  decodeKeyShare,
  encodeKeyShare,
  InvalidKeyShare,
  keyFingerprint,
  readKeyShare,
  type KeyShare,
} from './dkls23/key-share.js'
export { Secret } from './dkls23/secret.js'
export { derivePublicKey, InvalidPath, NoSuchChild, type DerivedKey } from './dkls23/derive.js'

// Signatures
export {
  startSignFirst,
  startSignMany,
  startSignSecond,
  type Signature,
  type SignInput,
} from './dkls23/sign/index.js'
export { encodeDer } from './dkls23/der.js'
export { digestOf, hashAlgos, type HashAlgo } from './digest.js'

// OT setups: the cache that signing needs, one for each pair of parties
export { startPairSetup } from './setup/index.js'
export { Gadgets } from './setup/gadgets.js'
export { decodePairSetup, encodePairSetup, type PairSetup } from './setup/pair-setup.js'

// Whole runs over a room: the way to keygen and sign without handling rounds
export * from './run/index.js'
export * from './channel/index.js'
export * from './room/index.js'

// What a run is made of
export { sessionId, PROTOCOL_VERSION, type SessionCommon, type SessionParts } from './session.js'
export { partyIndex, quorum, MAX_PARTIES, type PartyIndex, type Quorum } from './party.js'
export type { Inbox, Outbox, Round, Step } from './round.js'
export { ProtocolAbort, type AbortCode, type Reaction } from './abort.js'

// Where the curve work, the symmetric kernel and the channel's ciphers come from
export type { Suite } from './suite.js'
export { nobleSuite } from './noble-suite.js'
export { portableSuite } from './portable-suite.js'
export { InvalidPoint, type Curve, type Point, type Scalar } from './curve/curve.js'

// One encoder for everything that is hashed, and the small tools that go with it
export { Transcript } from './transcript.js'
export { tags, type Tag } from './tags.js'
export { bytesToHex, concatBytes, equalBytes, hexToBytes, wipe } from './bytes.js'

// What a recovery drill signs and reports
export * from './drill.js'

// The identity of a vault, which its clients pin
export {
  signBundle,
  signKeyIdNotExists,
  signSuccessor,
  VAULT_IDENTITY_BYTES,
  VAULT_NONCE_BYTES,
  VAULT_SIGNATURE_BYTES,
  vaultIdentityFingerprint,
  vaultIdentityPublicKey,
  verifyBundle,
  verifyKeyIdNotExists,
  verifySuccessor,
  type IdentitySuccession,
  type KeyIdNotExists,
  type SignedBundle,
} from './vault-identity.js'
