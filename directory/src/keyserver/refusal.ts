/** Why something is refused. */
export type KeyserverReason =
  /** Not in the form that it should have. */
  | 'malformed'
  /** In form, and against a rule. */
  | 'refused'
  /** There is no such thing. */
  | 'not_found'
  /** The identity is somebody else's, or has gone on meanwhile. */
  | 'conflict'
  /** A payment token is missing, is not good, or was used before. */
  | 'payment'

/** What the rules refuse. The message is for whoever sent it, with the words of the original where it has some. */
export class KeyserverRefusal extends Error {
  override readonly name = 'KeyserverRefusal'
  constructor(
    readonly reason: KeyserverReason,
    message: string,
  ) {
    super(message)
  }
}

export const malformed = (message: string) => new KeyserverRefusal('malformed', message)
export const refused = (message: string) => new KeyserverRefusal('refused', message)
