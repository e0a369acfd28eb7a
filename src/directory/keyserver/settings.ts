/** What the operator decides about the keyserver. */
export interface KeyserverSettings {
  /** Whose names are given out here, lower case; at least one. */
  readonly domains: readonly string[]
  /** Localparts that nobody gets, mapped. */
  readonly reserved: readonly string[]
  /** 32 bytes, from which its keys follow. */
  readonly seed: Uint8Array
  /** PEM; the one for new tokens first. Without any, calls cost nothing. */
  readonly tokenKeys: readonly string[]
  /** The public half of the operator's escrow key, 32 bytes: the keyserver's SIGESCROW. */
  readonly escrowKey: Uint8Array | undefined
}
