/**
 * Every domain-separation tag of the protocol, in one place. A tag is never reused for another purpose and never
 * edited once released: a change of meaning is a new tag with a new version. Tested for uniqueness.
 */
export const tags = {
  /** Binds a run to everything it is about. docs/spec/session.md */
  sessionId: 'vertex/v1/session-id',
  /** Names a key with all its parties. docs/spec/keygen.md */
  keyFingerprint: 'vertex/v1/key-fingerprint',
  /** Names a vault identity. docs/spec/key-hierarchy.md */
  vaultIdentityFingerprint: 'vertex/v1/vault-identity-fingerprint',
  /** What a vault signs when it has no such key. docs/spec/key-hierarchy.md */
  keyIdNotExists: 'vertex/v1/key-id-not-exists',
  /** One vault identity vouching for the next. docs/spec/key-hierarchy.md */
  vaultIdentitySuccessor: 'vertex/v1/vault-identity-successor',
  /** What a recovery drill signs. docs/spec/drill.md, D.3 */
  drillCanary: 'vertex/v1/drill/canary',
  /** What a vault says of a drill that went well. docs/spec/drill.md, D.7 */
  drillReport: 'vertex/v1/drill/report',
  /** What a vault signs of a disaster bundle. docs/spec/bundle.md */
  bundle: 'vertex/v1/bundle',
  /** Key of the hedged randomness of a run. docs/spec/sign.md, section 2 */
  hedgeKey: 'vertex/v1/hedge/key',
  /** One stream of hedged randomness. docs/spec/sign.md, section 2 */
  hedgeStream: 'vertex/v1/hedge/stream',
  /** Narrows a session id to one keygen. docs/spec/keygen.md, step 1.1 */
  keygenRun: 'vertex/v1/keygen/run',
  /** Commitment to a party's polynomial, proofs and chain-code share. docs/spec/keygen.md, step 1.5 */
  keygenCommitment: 'vertex/v1/keygen/commitment',
  /** Challenge of the proof for one coefficient. docs/spec/keygen.md, step 1.4 */
  keygenCoefficientProof: 'vertex/v1/keygen/coefficient-proof',
  /** The chain code from all parties' shares of it. docs/spec/keygen.md, step 3.4 */
  keygenChainCode: 'vertex/v1/keygen/chain-code',
  /** What was committed and opened, as one party saw it. docs/spec/keygen.md, step 4.5 */
  keygenView: 'vertex/v1/keygen/view',
  /** Challenge of the final proof of a share. docs/spec/keygen.md, step 4.6 */
  keygenShareProof: 'vertex/v1/keygen/share-proof',
  /** Everything said in a keygen that all parties must have heard alike. docs/spec/keygen.md, step 5.4 */
  keygenTranscript: 'vertex/v1/keygen/transcript',
  /** A party's closing confirmation. docs/spec/keygen.md, step 5.5 */
  keygenConfirmation: 'vertex/v1/keygen/confirmation',
  /** A party's echo of all confirmations. docs/spec/keygen.md, step 6.2 */
  keygenEcho: 'vertex/v1/keygen/echo',
  /** Shows another party which session id one has. docs/spec/session.md, section 3 */
  sessionCheck: 'vertex/v1/session-check',
  /** Narrows a session id to one signature. docs/spec/sign.md, step 0.3 */
  signRun: 'vertex/v1/sign/run',
  /** Commitment to a nonce point. docs/spec/sign.md, step 1.3 */
  signCommitment: 'vertex/v1/sign/commitment',
  /** All first-round commitments as one signer sees them. docs/spec/sign.md, step 2.2 */
  signView: 'vertex/v1/sign/view',
  /** Names the pair, its order and the run of an OT setup. docs/spec/setup.md */
  setupHeader: 'vertex/v1/setup/header',
  /** Commits to one half of a zero-sharing seed. docs/spec/setup.md */
  setupSeedCommitment: 'vertex/v1/setup/seed-commitment',
  /** Joins the two halves of a zero-sharing seed. docs/spec/setup.md */
  setupZeroSeed: 'vertex/v1/setup/zero-seed',
  /** The id of an OT setup. docs/spec/setup.md */
  setupId: 'vertex/v1/setup/id',
  /** Confirms a finished OT setup. docs/spec/setup.md */
  setupConfirm: 'vertex/v1/setup/confirm',
  /** The session id of one direction of an OT setup. docs/spec/setup.md */
  setupDirection: 'vertex/v1/setup/direction',
  /** RFC 9380 domain tag of the base OT's hash to the curve. docs/spec/ot.md */
  baseOtPoint: 'vertex/v1/base-ot/point/secp256k1_XMD:SHA-256_SSWU_RO_',
  /** Key of one base OT branch. docs/spec/ot.md */
  baseOtKey: 'vertex/v1/base-ot/key',
  /** Children of a node of the all-but-one tree. docs/spec/ot.md */
  pprfNode: 'vertex/v1/pprf/node',
  /** Leaf key and leaf proof of the all-but-one tree. docs/spec/ot.md */
  pprfLeaf: 'vertex/v1/pprf/leaf',
  /** Digest of the leaf proofs of one tree. docs/spec/ot.md */
  pprfProof: 'vertex/v1/pprf/proof',
  /** Expands a leaf for one OT extension. docs/spec/ot.md */
  otExpand: 'vertex/v1/ot/expand',
  /** Challenge of the OT extension's consistency check. docs/spec/ot.md */
  otChallenge: 'vertex/v1/ot/challenge',
  /** Keys of the reverse direction's base OTs. docs/spec/setup.md */
  otKey: 'vertex/v1/ot/key',
  /** Pads of the multiplication. docs/spec/vole.md */
  volePad: 'vertex/v1/vole/pad',
  /** The session id of one direction of a multiplication. docs/spec/vole.md */
  voleDirection: 'vertex/v1/vole/direction',
  /** The public gadget of one direction. docs/spec/vole.md */
  voleGadget: 'vertex/v1/vole/gadget',
  /** Challenge of the multiplication check. docs/spec/vole.md */
  voleTheta: 'vertex/v1/vole/theta',
  /** Digest compared by the multiplication check. docs/spec/vole.md */
  voleMu: 'vertex/v1/vole/mu',
  /** One pair's contribution to a sharing of zero. docs/spec/setup.md */
  zeroShare: 'vertex/v1/zero-share',
  /** What both sides of a channel must mean. docs/spec/run.md */
  channelPrologue: 'vertex/v1/channel-prologue',
  /** A derivation path in an offer. docs/spec/run.md */
  offerPath: 'vertex/v1/offer-path',
  /** The ordered list of what a batch signs. docs/spec/run.md, step B.1 */
  batchList: 'vertex/v1/batch/list',
  /** The session id of one signature of a batch. docs/spec/run.md, step B.2 */
  batchMember: 'vertex/v1/batch/member',
  /** All hellos of a run of three and more. docs/spec/run.md */
  runView: 'vertex/v1/run-view',
} as const

export type Tag = (typeof tags)[keyof typeof tags]
