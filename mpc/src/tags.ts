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
} as const

export type Tag = (typeof tags)[keyof typeof tags]
