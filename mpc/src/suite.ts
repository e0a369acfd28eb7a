import type { ChannelCrypto } from './channel/crypto.js'
import type { Curve } from './curve/curve.js'
import type { Kernel } from './kernel/kernel.js'

/** What the pure protocol code is given: where the curve work, the symmetric kernel and the channel's ciphers come from. */
export interface Suite {
  readonly curve: Curve
  readonly kernel: Kernel
  readonly channel: ChannelCrypto
}
