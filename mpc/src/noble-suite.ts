import { nobleChannelCrypto } from './channel/noble.js'
import { nobleCurve } from './curve/noble.js'
import { referenceKernel } from './kernel/reference.js'
import type { Suite } from './suite.js'

/** Everything from noble: runs in browsers and wherever libsecp256k1 cannot be loaded. */
export function nobleSuite(): Suite {
  return { curve: nobleCurve, kernel: referenceKernel, channel: nobleChannelCrypto }
}
