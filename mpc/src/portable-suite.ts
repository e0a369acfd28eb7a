import { loadWasmCurve } from '../kernel/wasm-curve.js'
import { kernel } from '../kernel/wasm-kernel.js'
import { nobleChannelCrypto } from './channel/noble.js'
import { nobleCurve } from './curve/noble.js'
import type { Suite } from './suite.js'

/**
 * What runs everywhere, browsers included: the WebAssembly kernel with its curve (the reference and noble's curve
 * where that is forbidden, as by a content security policy without 'wasm-unsafe-eval'; `suite.kernel.name` tells), and
 * noble's channel ciphers.
 */
export function portableSuite(): Suite {
  return { curve: loadWasmCurve() ?? nobleCurve, kernel: kernel(), channel: nobleChannelCrypto }
}
