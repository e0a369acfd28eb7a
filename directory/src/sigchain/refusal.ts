/** Why an event, a chain or the name of one is refused. */
export type RefusalReason =
  /** The text of a primary is not one. */
  | 'bad_primary'
  /** Not the JSON of an event. */
  | 'bad_envelope'
  /** Of another primary than the chain. */
  | 'wrong_primary'
  | 'bad_signature'
  /** It does not go on where the chain ends. */
  | 'wrong_seq'
  | 'bad_prev'

/** An event, or a chain, that the rules refuse. The message is for people and names no personal data. */
export class SigchainRefusal extends Error {
  override readonly name = 'SigchainRefusal'
  /** @param line of a chain, from 1 */
  constructor(
    readonly reason: RefusalReason,
    message: string,
    readonly line?: number,
  ) {
    super(message)
  }

  /** Whether it might have been right for another end of the chain. */
  get isConflict(): boolean {
    return this.reason === 'wrong_seq' || this.reason === 'bad_prev'
  }
}

export const refuse = (reason: RefusalReason, message: string) =>
  new SigchainRefusal(reason, message)
