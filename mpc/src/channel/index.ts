export type { ChannelCrypto } from './crypto.js'
export { ChannelError } from './channel-error.js'
export {
  channelKey,
  checkKeygenId,
  createIdentity,
  identityOf,
  KEYGEN_ID_BYTES,
  type Identity,
  type Role,
} from './identity.js'
export { IdentityKey } from './identity-key.js'
export { nobleChannelCrypto } from './noble.js'
export {
  initiate,
  respond,
  type Established,
  type HandshakeInput,
  type Initiator,
  type Responder,
} from './noise.js'
export { Transport } from './transport.js'
