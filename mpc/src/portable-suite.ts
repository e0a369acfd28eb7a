import { kernel } from '../kernel/wasm-kernel.js'
import { nobleChannelCrypto } from './channel/noble.js'
import { nobleCurve } from './curve/noble.js'
import type { Suite } from './suite.js'

/**
 * What runs everywhere, browsers included: the WebAssembly kernel (the reference where that is forbidden, as by a
 * content security policy without 'wasm-unsafe-eval'; `suite.kernel.name` tells), noble's curve and channel ciphers.
 */
export function portableSuite(): Suite {
  return { curve: nobleCurve, kernel: kernel(), channel: nobleChannelCrypto }
}
