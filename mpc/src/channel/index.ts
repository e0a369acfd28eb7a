export type { ChannelCrypto } from './crypto.js'
export { ChannelError } from './channel-error.js'
export { createIdentity, identityOf, channelKey, type Identity } from './identity.js'
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
