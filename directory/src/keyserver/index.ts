export { fromBase64, toBase64 } from './bytes.js'
export {
  ckdf,
  ENTRY_BYTES,
  entryText,
  followingEntries,
  makeEntry,
  NO_HASH,
  splitEntry,
  uidHashIn,
  type ChainEntry,
} from './chain.js'
export { KEYSERVER, mapIdentity, mapLocalpart, mappedIdentity, type Identity } from './identity.js'
export { canonical, canonicalText } from './json.js'
export { AGREES, CIPHERSUITE, makeKeyEntry, SIGNS, sortedKeys, type KeyEntry } from './key-entry.js'
export {
  agreementKey,
  checkKeyInit,
  chooseFallback,
  flushBytes,
  MAX_KEY_INIT_LIFETIME,
  sealAnchor,
  sigKeyHash,
  type CheckedKeyInit,
  type Dispensable,
  type KeyInit,
  type KeyInitContents,
  type SessionAnchor,
} from './key-init.js'
export {
  makeKeyInit,
  makeUid,
  newEscrowKey,
  newUidSecrets,
  printEscrowKey,
  readEscrowKey,
  updateUid,
  type NewKeyInit,
  type NewUid,
  type UidSecrets,
  type UpdatedBy,
} from './make.js'
export {
  checkMessage,
  escrowOf,
  linkOf,
  type ChainLink,
  type CheckedMessage,
  type UidContent,
  type UidMessage,
} from './message.js'
export { KeyserverRefusal, type KeyserverReason } from './refusal.js'
export {
  decryptMessage,
  encryptMessage,
  isServerSignature,
  openReply,
  parsed,
  replyOf,
  signedOfReply,
  uidReply,
  type ReplyEntry,
  type UidReply,
} from './reply.js'
export {
  assertConnected,
  assertFirst,
  assertFollows,
  assertLifetime,
  currentOf,
  lastOf,
  ROLLOVER,
  stateOf,
  type FoundMessage,
} from './rules.js'
