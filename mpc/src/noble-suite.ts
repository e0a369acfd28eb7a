import { nobleChannelCrypto } from './channel/noble.js'
import { nobleCurve } from './curve/noble.js'
import { referenceKernel } from './kernel/reference.js'
import type { Suite } from './suite.js'

/** Everything from noble and in plain TypeScript: slow, and what all else is compared with. */
export function nobleSuite(): Suite {
  return { curve: nobleCurve, kernel: referenceKernel, channel: nobleChannelCrypto }
}
