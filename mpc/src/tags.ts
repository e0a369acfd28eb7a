/**
 * Every domain-separation tag of the protocol, in one place. A tag is never reused for another purpose and never
 * edited once released: a change of meaning is a new tag with a new version. Tested for uniqueness.
 */
export const tags = {
  /** Binds a run to everything it is about. docs/spec/session.md */
  sessionId: 'vertex/v1/session-id',
  /** Names a key with all its parties. docs/spec/keygen.md */
  keyFingerprint: 'vertex/v1/key-fingerprint',
} as const

export type Tag = (typeof tags)[keyof typeof tags]
