/** A handshake or transport message that cannot be read, or a state that has been used up. Names no secret. */
export class ChannelError extends Error {
  override readonly name = 'ChannelError'
}
